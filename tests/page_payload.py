"""A payload of the page as the report makes it: the nine rows of the leaderboard, or any number of rows."""

from __future__ import annotations

import hashlib
import random
from typing import Any

CLASSES = (
    "General trash",
    "Paper",
    "Paper pack",
    "Metal",
    "Glass",
    "Plastic",
    "Styrofoam",
    "Plastic bag",
    "Battery",
    "Clothing",
)
# name, backbone, label of the backbone, neck, head, label of the head, schedule, published, parameters, mAP50
ROWS = (
    ("r50_fpn_freeanchor_1x", "resnet50", "ResNet-50", "fpn", "free_anchor", "FreeAnchorRetinaHead",
     "step_1x", "StepLR_1x", 0.1771, 36_520_000, 0.047),
    ("r50_fpn_pisa_1x", "resnet50", "ResNet-50", "fpn", "pisa", "PISARetinaHead",
     "step_1x", "StepLR_1x", 0.2482, 36_520_000, 0.0467),
    ("r50_fpg_50e", "resnet50", "ResNet-50", "fpg", "retina_sepbn", "RetinaHead",
     "step_50e", "StepLR_50e", 0.292, 71_270_000, 0.0306),
    ("r50_fpn_90k", "resnet50", "ResNet-50", "fpn", "retina", "RetinaHead",
     "multistep_90k", "LinearLR + MultiStepLR_90k", 0.389, 36_520_000, 0.0364),
    ("r50_fpn_3x", "resnet50", "ResNet-50", "fpn", "retina", "RetinaHead",
     "mstrain_3x", "mstrain_3x", 0.4527, 36_520_000, 0.0435),
    ("r101_fpn_3x", "resnet101", "ResNet-101", "fpn", "retina", "RetinaHead",
     "mstrain_3x", "mstrain_3x", 0.4591, 55_510_000, 0.0501),
    ("x101_fpn_3x", "resnext101_64x4d", "ResNeXt-101", "fpn", "retina", "RetinaHead",
     "mstrain_3x", "mstrain_3x", 0.4976, 94_410_000, 0.0525),
    ("convnext_tiny_fpn_3x", "convnext_tiny", "ConvNeXt-tiny", "fpn", "retina", "RetinaHead",
     "mstrain_3x", "mstrain_3x", 0.4978, 37_310_000, 0.0566),
    ("convnext_large_fpn_3x", "convnext_large", "ConvNeXt-large", "fpn", "retina", "RetinaHead",
     "mstrain_3x", "mstrain_3x", 0.6073, 207_830_000, 0.0817),
)  # fmt: skip
# key, title, unit, better, group, numeric, shown
COLUMNS = (
    ("row", "Row", "", None, "main", False, False),
    ("rank", "Rank", "", None, "main", False, True),
    ("rank_first", "First rank", "", "lower", "trace", True, False),
    ("rank_last", "Last rank", "", "lower", "trace", True, False),
    ("model", "Model", "", None, "main", False, True),
    ("backbone", "Backbone", "", None, "main", False, True),
    ("neck", "Neck", "", None, "main", False, True),
    ("head", "Head", "", None, "main", False, True),
    ("learning_method", "Learning Method", "", None, "main", False, True),
    ("leaderboard_map50", "Leaderboard mAP50", "fraction", "higher", "main", True, True),
    ("map50", "mAP50 (smoke)", "fraction", "higher", "main", True, True),
    ("interval", "95 % interval", "", None, "main", False, True),
    ("map50_low", "Interval from", "fraction", None, "trace", True, False),
    ("map50_high", "Interval to", "fraction", None, "trace", True, False),
    ("difference", "Difference", "fraction", "higher", "main", True, True),
    ("published_inside", "Published inside", "", None, "main", False, True),
    ("map", "mAP (smoke)", "fraction", "higher", "quality", True, True),
    ("map75", "mAP75", "fraction", "higher", "quality", True, True),
    ("map_s", "mAP small", "fraction", "higher", "quality", True, True),
    ("map_m", "mAP medium", "fraction", "higher", "quality", True, True),
    ("map_l", "mAP large", "fraction", "higher", "quality", True, True),
    ("tide_cls", "Cls", "fraction", "lower", "errors", True, True),
    ("tide_loc", "Loc", "fraction", "lower", "errors", True, True),
    ("tide_both", "Both", "fraction", "lower", "errors", True, True),
    ("tide_dupe", "Dupe", "fraction", "lower", "errors", True, True),
    ("tide_bkg", "Bkg", "fraction", "lower", "errors", True, True),
    ("tide_miss", "Miss", "fraction", "lower", "errors", True, True),
    ("params", "Parameters (M)", "parameters", "lower", "main", True, True),
    ("flops", "GFLOPs", "multiply-adds", "lower", "cost", True, True),
    ("latency_ms", "Latency (ms)", "ms", "lower", "cost", True, True),
    ("latency_p95_ms", "Latency, 95th percentile (ms)", "ms", "lower", "cost", True, True),
    ("peak_memory_gib", "Peak memory (GiB)", "GiB", "lower", "cost", True, True),
    ("train_seconds", "Training time", "s", "lower", "main", True, True),
    ("device", "Device", "", None, "cost", False, True),
    ("status", "State", "", None, "main", False, True),
    ("state", "State", "", None, "trace", False, False),
    ("failure", "Failure", "", None, "trace", False, False),
    ("no_predictions", "No predictions", "runs", None, "trace", True, False),
    ("seeds_complete", "Seeds complete", "runs", None, "trace", True, False),
    ("seeds", "Seeds", "", None, "trace", False, False),
    ("run_ids", "Runs", "", None, "trace", False, False),
)
_LABELS = ("model", "backbone", "neck", "head", "learning_method")
_DEVICE = "CPU: AMD EPYC 9B14, 2 cores"


def payload(rows: int = 9, seeds: int = 3, classes: tuple[str, ...] = CLASSES) -> dict[str, Any]:
    """The same for the same arguments. The second row failed and the fourth waits, where there are that many."""
    chance = random.Random(0)
    lines = [_row(number, seeds, classes, chance) for number in range(rows)]
    board = {
        "schema_version": 1,
        "experiment": "leaderboard",
        "title": "Detection leaderboard",
        "profile": "smoke",
        "comparable": False,
        "caveat": "Smoke profile: shortened training on small synthetic images.",
        "dataset": {
            "name": "synthetic",
            "classes": list(classes),
            "train": _hash("train"),
            "val": _hash("val"),
            "val_images": 24,
        },
        "seeds": list(range(seeds)),
        "method": {"level": 0.95, "resamples": 1000, "bootstrap_seed": 0, "correction": "Holm"},
        "columns": [_column(*column) for column in COLUMNS],
        "rows": lines,
    }
    done = [line for line in lines if line["values"]["state"] == "complete"]
    return {
        "leaderboard": board,
        "texts": [_texts(line) for line in lines],
        "curves": _curves(done[:60], chance),
        "curves_left_out": max(0, len(done) - 60) * seeds,
        "configs": _configs(lines),
        "gallery": _gallery(done[:12], classes, chance),
    }


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _column(
    key: str, title: str, unit: str, better: str | None, group: str, numeric: bool, shown: bool
) -> dict[str, Any]:
    return {
        "key": key,
        "title": title,
        "unit": unit,
        "better": better,
        "group": group,
        "label": key in _LABELS,
        "numeric": numeric,
        "shown": shown,
        "about": f"What {title} is, in a sentence.",
    }


def _row(
    number: int, seeds: int, classes: tuple[str, ...], chance: random.Random
) -> dict[str, Any]:
    name, backbone, b_label, neck, head, h_label, schedule, method, published, params, map50 = ROWS[
        number % len(ROWS)
    ]
    if number >= len(ROWS):
        name, map50 = f"{name}_{number}", map50 * chance.uniform(0.5, 1.2)
    state = {1: "failed", 3: "waiting"}.get(number, "complete")
    labels = dict(zip(_LABELS, ("RetinaNet", b_label, neck.upper(), h_label, method), strict=True))
    line: dict[str, Any] = {
        "row": name,
        "parts": {"backbone": backbone, "neck": neck, "head": head, "schedule": schedule},
        "values": {
            **dict.fromkeys(column[0] for column in COLUMNS),
            "row": name,
            **labels,
            "leaderboard_map50": published,
            "state": state,
            "status": {"failed": "failed (oom)", "waiting": "waiting"}.get(state, state),
            "seeds": " ".join(map(str, range(seeds))),
            "seeds_complete": 0,
        },
        "per_class": {},
        "missing": {},
        "runs": [],
    }
    if state == "complete":
        _complete(line, map50, params, number, classes, chance)
    if state != "waiting":
        line["runs"] = [_run(line, seed) for seed in range(seeds)]
        line["values"]["run_ids"] = " ".join(run["run_id"] for run in line["runs"])
    if state == "failed":
        line["values"]["failure"] = "oom"
    return line


def _complete(
    line: dict[str, Any],
    map50: float,
    params: int,
    number: int,
    classes: tuple[str, ...],
    chance: random.Random,
) -> None:
    half = 0.006 + chance.random() * 0.01
    kinds = ("cls", "loc", "both", "dupe", "bkg", "miss")
    line["values"] |= {
        "rank": f"{number % 9 + 1}–{number % 9 + 3}",
        "rank_first": number % 9 + 1,
        "rank_last": number % 9 + 3,
        "map50": map50,
        "map50_low": map50 - half,
        "map50_high": map50 + half * 1.2,
        "interval": f"{map50 - half:.4f}–{map50 + half * 1.2:.4f}",
        **{
            key: map50 * part
            for key, part in (("map", 0.45), ("map75", 0.3), ("map_m", 0.2), ("map_l", 0.6))
        },
        **{f"tide_{kind}": chance.random() * 0.2 for kind in kinds},
        "params": params,
        "flops": params * 5600,
        "peak_memory_gib": 1 + params / 1e8,
        "train_seconds": 9 + params / 6e6,
        "device": _DEVICE,
        "no_predictions": 0,
        "seeds_complete": 3,
    }
    if number == 2:
        line["missing"] = {"latency_ms": "The device was busy with another process."}
    else:
        line["values"] |= {"latency_ms": 40 + params / 1e6, "latency_p95_ms": 52 + params / 9e5}
    line["per_class"] = {
        name: {"mAP50": value, "mAP": value * 0.45}
        for name in classes
        for value in [map50 * chance.uniform(0, 2.2)]
    }
    if len(classes) > 8:
        line["per_class"][classes[8]] = {"mAP50": None, "mAP": None}


def _run(line: dict[str, Any], seed: int) -> dict[str, Any]:
    state, name = line["values"]["state"], line["row"]
    map50 = line["values"]["map50"]
    run_id = f"{name}-s{seed}-{_hash(name + str(seed))[:8]}"
    message = "CUDA out of memory. Tried to allocate 2.00 GiB (GPU 0; 10.75 GiB in all)."
    return {
        "run_id": run_id,
        "folder": f"runs/{run_id}",
        "seed": seed,
        "state": state,
        "map50": None if map50 is None else map50 + (seed - 1) * 0.002,
        "device": _DEVICE,
        "commit": hashlib.sha1(b"commit").hexdigest(),
        "dirty": seed == 2,
        "config_sha256": _hash(name),
        "train_sha256": _hash("train"),
        "val_sha256": _hash("val"),
        "wandb": f"https://wandb.ai/team/leaderboard/runs/{run_id}" if seed == 0 else None,
        "finished_at": "2026-01-05T10:42:17+00:00",
        "failure": {"kind": "oom", "message": message} if state == "failed" else None,
        "stale": None,
    }


def _texts(line: dict[str, Any]) -> dict[str, str]:
    return {
        key: "—" if value is None else _text(key, value) for key, value in line["values"].items()
    }


def _text(key: str, value: Any) -> str:
    if key == "leaderboard_map50":
        return str(value)
    if key in ("params", "flops"):
        return f"{value / (1e6 if key == 'params' else 1e9):.2f}"
    if key == "train_seconds":
        return f"{value:.1f} s"
    if key in ("latency_ms", "latency_p95_ms", "peak_memory_gib"):
        return f"{value:.1f}"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


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


def _configs(lines: list[dict[str, Any]]) -> dict[str, Any]:
    rows = {
        line["row"]: {
            "model.backbone.type": line["parts"]["backbone"],
            "model.neck.type": line["parts"]["neck"],
            "optim_wrapper.optimizer.lr": f"{0.01 / (number % 4 + 1):g}",
            "model.backbone.layer_scale_init_value": "1.0" if "convnext" in line["row"] else None,
        }
        for number, line in enumerate(lines)
    }
    common = {"train_cfg.max_epochs": "12", "optim_wrapper.optimizer.lr": "0.01"}
    return {"common": common, "rows": rows}


def _gallery(
    lines: list[dict[str, Any]], classes: tuple[str, ...], chance: random.Random
) -> dict[str, Any]:
    if not lines:
        return {"images": [], "predictions": {}, "seed": {}, "missing": "No run is complete yet."}
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
