"""Results folders with evaluated runs and leaderboards over them, made up: nothing is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.dataset import Dataset, Split
from benchmark.experiment import Row
from benchmark.report.document import leaderboard_of
from benchmark.report.table import RowResult, Table
from benchmark.run import RunFolder, RunRecord, RunSpec, State
from benchmark.statistics.matches import Matches
from benchmark.statistics.resample import bootstrap, class_precision

CLASSES = ("Paper", "Metal", "Glass [tinted]", "Never there")
PARTS = {"backbone": "resnet50", "neck": "fpn", "head": "retina", "schedule": "mstrain_3x"}
PUBLISHED = 0.4527


def dataset(val: str = "b2", train: str = "a1") -> Dataset:
    splits = {"train": train, "val": val}
    paths = {
        name: Split(Path(f"/data/{name}.json"), Path("/data"), digits * 32)
        for name, digits in splits.items()
    }
    return Dataset(name="waste", classes=CLASSES, **paths)


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
    profile = changes.get("profile", "full")
    run_id = f"{row}-s{seed}-{profile}-12345678"
    spec = RunSpec(run_id, "board", row, {}, PARTS, seed, data or dataset(), profile)
    record = replace(_record(run_id, row, seed, matches), **changes)
    folder = RunFolder(results / "runs" / run_id)
    folder.write_spec(spec)
    folder.write_record(record)
    if matches is not None:
        matches.save(folder.matches_file)
        np.save(folder.bootstrap_file, bootstrap(matches))
    return record


def _record(run_id: str, row: str, seed: int, matches: Matches | None) -> RunRecord:
    per_class = [] if matches is None else class_precision(matches).tolist()
    known = {
        name: {
            "mAP50": None if np.isnan(value) else value,
            "mAP": None if np.isnan(value) else value / 2,
        }
        for name, value in zip(CLASSES, per_class, strict=False)
    }
    map50 = float(np.nanmean(per_class)) if per_class else None
    return RunRecord(
        run_id=run_id,
        row=row,
        seed=seed,
        profile="full",
        state=State.COMPLETE,
        metrics={"mAP50": map50, "mAP": map50 and map50 / 2, "per_class": known},
        no_predictions=False,
        params=36_350_000,
        train_seconds=11_220.25,
        peak_memory_gib=7.5,
        started_at="2026-11-22T00:00:00+00:00",
        finished_at="2026-11-22T03:07:00+00:00",
        provenance={"device": "GPU", "git": {"commit": "c" * 40, "dirty": False}},
    )


def write_board(
    results: Path, rows: Mapping[str, Sequence[RunRecord]], name: str = "board", **changes: Any
) -> Path:
    """Writes the leaderboard of some rows; ``changes`` are those of each row's result."""
    lines = tuple(
        RowResult(
            Row(name=row, parts=PARTS, labels={"Model": "RetinaNet"}, published=PUBLISHED),
            seeds=tuple(record.seed for record in records),
            records=tuple(records),
            states=tuple(record.state for record in records),
            **changes,
        )
        for row, records in rows.items()
    )
    profile = next(record.profile for records in rows.values() for record in records)
    path = results / f"{name}.json"
    path.write_text(leaderboard_of(Table(name, "A board", profile, dataset(), lines)).text())
    return path
