"""Results folders with evaluated runs and leaderboards over them, made up: nothing is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from boards import DATA, IMAGES, make_record, make_row, make_table, on_disk, result, write_draws

from benchmark.data.dataset import Dataset
from benchmark.leaderboard.document import leaderboard_of
from benchmark.run.record import RunRecord
from benchmark.statistics.matches import Matches
from benchmark.statistics.resample import bootstrap, class_precision

CLASSES = ("Paper", "Metal", "Glass [tinted]", "Never there")


def dataset(val: str = "b2", train: str = "a1") -> Dataset:
    return replace(
        DATA,
        classes=CLASSES,
        train=replace(DATA.train, sha256=train * 32),
        val=replace(DATA.val, sha256=val * 32),
    )


def make_matches(quality: float, seed: int = 0, images: int = 40) -> Matches:
    """Detections that hit a share of the objects; the objects are the same for all with as many images."""
    things = np.random.default_rng(images).integers(0, 4, (images, len(CLASSES)))
    things[:, -1] = 0
    things[0] = 0  # an image without objects
    random = np.random.default_rng(seed + round(quality * 1e6))
    found = []
    for image, label in np.argwhere(things):
        count = int(things[image, label])
        found += [(label, image, random.random(), random.random() < quality) for _ in range(count)]
    found.sort(key=lambda detection: (detection[0], -detection[2]))
    label, image, score, hit = zip(*found, strict=True)
    return Matches(
        image_ids=np.arange(10, 10 + images),
        files=tuple(f"val/{number:03}.jpg" for number in range(images)),
        classes=CLASSES,
        objects=things.astype(np.int32),
        label=np.array(label, np.int16),
        image=np.array(image, np.int32),
        score=np.array(score, np.float64),
        hit=np.array(hit, bool),
    )


def write_run(
    results: Path,
    row: str,
    matches: Matches | None,
    seed: int = 0,
    data: Dataset | None = None,
    **changes: Any,
) -> RunRecord:
    """Writes a run's folder; ``changes`` are those of its record."""
    known = {"metrics": {}} if matches is None else _measured(matches)
    record = on_disk(results, make_record(row, seed, **{**known, **changes}), data or dataset())
    if matches is not None:
        matches.save(results / "runs" / record.run_id / "matches.npz")
        write_draws(results, record, bootstrap(matches))
    return record


def _measured(matches: Matches) -> dict[str, Any]:
    """What a record holds of the evaluation."""
    precision = class_precision(matches)
    per_class = {
        name: {"mAP50": value, "mAP": value and value / 2}
        for name, value in zip(CLASSES, map(_or_none, precision.tolist()), strict=True)
    }
    present = precision[np.isfinite(precision)]
    map50 = float(present.mean()) if len(present) else None
    return {
        "metrics": {"mAP50": map50, "mAP": map50 and map50 / 2, "per_class": per_class},
        "val_images": {**IMAGES, "count": len(matches.image_ids)},
    }


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else value


def write_board(
    results: Path, rows: Mapping[str, Sequence[RunRecord]], name: str = "board", **changes: Any
) -> Path:
    """Writes the leaderboard of some rows; ``changes`` are those of each row's result."""
    lines = [replace(result(make_row(row), *records), **changes) for row, records in rows.items()]
    profile = next(record.profile for records in rows.values() for record in records)
    table = replace(make_table(*lines, profile=profile), name=name, dataset=dataset())
    path = results / f"{name}.json"
    path.write_text(leaderboard_of(table).text())
    return path
