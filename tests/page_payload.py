"""The page's payload: the nine rows of the leaderboard, or any number of rows, that nothing was trained for.

The table comes from records by the report's own way; only curves and gallery are made up here.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from boards import DATA, make_record, result
from nine_rows import PARAMETERS, ROWS
from records import PROVENANCE, latency

from benchmark.data.scene import CLASSES
from benchmark.experiment.experiment import Row
from benchmark.leaderboard.document import leaderboard_of
from benchmark.leaderboard.outputs.base import Material
from benchmark.leaderboard.outputs.page.payload import payload as collected
from benchmark.leaderboard.results import RowResult, Table
from benchmark.run.record import RunRecord, State
from benchmark.run.runs import Runs
from benchmark.statistics.intervals import Interval
from benchmark.statistics.ranks import Rank

# mAP50 of the nine rows; the first and the fifth are equally large and equally good
_MAP50 = (0.047, 0.0467, 0.0306, 0.0364, 0.047, 0.0501, 0.0525, 0.0566, 0.0817)
_OOM = {"kind": "oom", "message": "CUDA out of memory. Tried to allocate 2.00 GiB (GPU 0)."}
_KINDS = ("Cls", "Loc", "Both", "Dupe", "Bkg", "Miss")


def payload(
    rows: int | Sequence[int] = 9,
    seeds: int = 3,
    classes: tuple[str, ...] = CLASSES,
    profile: str = "smoke",
) -> dict[str, Any]:
    """The same for the same arguments: so many rows, or those of the given numbers. Row 1 failed, and row 3 waits."""
    chance = random.Random(0)
    numbers = range(rows) if isinstance(rows, int) else rows
    made_up = (_result(number, seeds, classes, chance) for number in numbers)
    found = tuple(_under(profile, end) for end in made_up)
    data = replace(DATA, name="synthetic", classes=classes)
    board = leaderboard_of(
        Table("leaderboard", "Detection leaderboard", profile, data, found), 24 if numbers else None
    )
    configs = {end.row.name: _config(end) for end in found}
    made = collected(Material(board, Runs(Path("no such folder")), configs))
    done = [r for r in made["leaderboard"]["rows"] if r["values"]["state"] == "complete"]
    made |= {
        "curves": _curves(done[:60], chance),
        "curves_left_out": max(0, len(done) - 60) * seeds,
    }
    return made | ({"gallery": _gallery(done[:12], classes, chance)} if done else {})


def _under(profile: str, end: RowResult) -> RowResult:
    records = tuple(record and replace(record, profile=profile) for record in end.records)
    return replace(end, records=records)


def _result(number: int, seeds: int, classes: tuple[str, ...], chance: random.Random) -> RowResult:
    row, map50 = _row(number), _MAP50[number % len(ROWS)]
    params = round(PARAMETERS[ROWS[number % len(ROWS)].name], -4)
    if number >= len(ROWS):
        map50 *= chance.uniform(0.5, 1.2)
    if number == 3:
        waiting = result(row, *[State.WAITING] * seeds)
        return replace(waiting, stale=(f"{row.name}-s0-smoke-87654321",))
    if number == 1:
        failure = {"metrics": {}, "state": State.FAILED, "failure": _OOM, "profile": "smoke"}
        return result(row, *(make_record(row.name, seed, **failure) for seed in range(seeds)))
    changes = _measured(map50, params, classes, chance)
    if number == 5:
        changes |= {"notes": ["boxes in 11 of 12 images"]}
    if number == 2:
        changes |= {"latency_ms": None, "missing": {"latency_ms": "The device was busy."}}
    half = 0.006 + chance.random() * 0.01
    return replace(
        result(row, *(_record(row.name, seed, map50, changes) for seed in range(seeds))),
        interval=Interval(map50 - half, map50 + half * 1.2),
        rank=Rank(number % 9 + 1, number % 9 + 3),
        changes=("bbox_head.num_classes: 80 -> 10", "LVISMetric -> CocoMetric")
        if number == 5
        else (),
    )


def _row(number: int) -> Row:
    row = ROWS[number % len(ROWS)]
    return row if number < len(ROWS) else row.model_copy(update={"name": f"{row.name}_{number}"})


def _measured(
    map50: float, params: int, classes: tuple[str, ...], chance: random.Random
) -> dict[str, Any]:
    """What the records of a row have in common."""
    by_class = {name: map50 * chance.uniform(0, 2.2) for name in classes}
    per_class = {name: {"mAP50": ap, "mAP": ap * 0.45} for name, ap in by_class.items()}
    if len(classes) > 8:  # no object of the class
        per_class[classes[8]] = {"mAP50": None, "mAP": None}
    parts = {"mAP": 0.45, "mAP75": 0.3, "mAP_m": 0.2, "mAP_l": 0.6}
    return {
        "profile": "smoke",
        "metrics": {key: map50 * part for key, part in parts.items()} | {"per_class": per_class},
        "params": params,
        "flops": {"value": params * 5600, "input": [3, 512, 512]},
        "latency_ms": latency(40 + params / 1e6, 52 + params / 9e5),
        "tide": {kind: chance.random() * 0.2 for kind in _KINDS},
        "peak_memory_gib": 1 + params / 1e8,
        "train_seconds": 9 + params / 6e6,
    }


def _record(name: str, seed: int, map50: float, changes: dict[str, Any]) -> RunRecord:
    provenance = PROVENANCE | {"git": PROVENANCE["git"] | {"dirty": seed == 2}}
    address = f"https://wandb.ai/team/leaderboard/runs/{make_record(name, seed).run_id}"
    tracked = {"name": "wandb", "mode": "online", "url": address}
    metrics = changes["metrics"] | {"mAP50": map50 + (seed - 1) * 0.002}
    offline = {"name": "wandb", "mode": "offline", "url": None}
    modes = {0: tracked, 1: offline}  # of the third seed nothing is known
    own = {"metrics": metrics, "provenance": provenance, "tracking": modes.get(seed)}
    return make_record(name, seed, **changes | own)


def _config(end: RowResult) -> dict[str, Any]:
    names = end.row.recipe.names
    backbone: dict[str, Any] = {"type": names["backbone"]}
    if "convnext" in names["backbone"]:
        backbone["layer_scale_init_value"] = 1.0
    return {
        "model": {"backbone": backbone, "neck": {"type": names["neck"]}},
        "optim_wrapper": {"optimizer": {"lr": 0.01 if "3x" in end.row.name else 0.005}},
        "train_cfg": {"max_epochs": 12},
    }


def _curves(lines: list[dict[str, Any]], chance: random.Random) -> dict[str, Any]:
    curves = {}
    for line in lines:
        for run in line["runs"]:
            last = run["map50"]
            scores = [last * (1 - 0.7**epoch) + chance.gauss(0, 0.0012) for epoch in range(1, 13)]
            curves[run["run_id"]] = {
                "row": line["row"],
                "seed": run["seed"],
                "val": {
                    "epoch": list(range(1, 13)),
                    "mAP50": scores,
                    "mAP": [s * 0.45 for s in scores],
                },
                "train": {
                    "epoch": [step / 8 for step in range(1, 97)],
                    "loss": [0.4 + 1.2 * 0.96**step + chance.gauss(0, 0.03) for step in range(96)],
                },
            }
    return curves


def _gallery(
    lines: list[dict[str, Any]], classes: tuple[str, ...], chance: random.Random
) -> dict[str, Any]:
    images = [_image(number, classes, chance) for number in range(4)]
    return {
        "images": images,
        "predictions": {
            line["row"]: [[_guess(box, chance) for box in image["truth"]] for image in images]
            for line in lines
        },
        "seed": {line["row"]: 0 for line in lines},
        "missing": None,
    }


def _image(number: int, classes: tuple[str, ...], chance: random.Random) -> dict[str, Any]:
    import base64
    import io

    from PIL import Image, ImageDraw

    picture = Image.new("RGB", (320, 240), (60 + 30 * number, 120, 130))
    draw = ImageDraw.Draw(picture)
    truth = []
    for _ in range(3):
        left, top = chance.randrange(0, 400), chance.randrange(0, 300)
        box = [left, top, left + chance.randrange(80, 230), top + chance.randrange(60, 170)]
        draw.rectangle(
            [side / 2 for side in box], fill=tuple(chance.randrange(40, 230) for _ in "rgb")
        )
        truth.append({"label": chance.choice(classes), "xyxy": [float(side) for side in box]})
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=80)
    source = "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
    return {
        "file": f"val/{number:06}.jpg",
        "width": 640,
        "height": 480,
        "src": source,
        "truth": truth,
    }


def _guess(box: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    moved = [side + chance.gauss(0, 12) for side in box["xyxy"]]
    return {"label": box["label"], "xyxy": moved, "score": chance.uniform(0.1, 0.95)}
