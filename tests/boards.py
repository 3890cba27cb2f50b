"""Rows, records and leaderboards that a test makes up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from records import OOM
from records import record as made_up

from benchmark.data.dataset import Dataset, Split
from benchmark.experiment.experiment import Row
from benchmark.experiment.published import HiddenScores, Published
from benchmark.experiment.rows.parts import PartsRecipe
from benchmark.files import write_json
from benchmark.leaderboard.document import Leaderboard, leaderboard_of
from benchmark.leaderboard.judge import judged
from benchmark.leaderboard.outputs.base import Configs, Material
from benchmark.leaderboard.results import RowResult, Table
from benchmark.leaderboard.write import Written
from benchmark.leaderboard.write import write_report as write_files
from benchmark.run.folder import RunFolder
from benchmark.run.record import RunRecord, State
from benchmark.run.runs import Runs
from benchmark.run.spec import RunSpec
from benchmark.statistics import RESAMPLES
from benchmark.statistics.draws import write_draws as write_file

IMAGES = {"count": 50, "sha256": "d4" * 32}
DATA = Dataset(
    name="waste",
    classes=("Paper", "Metal"),
    train=Split(Path("/data/train.json"), Path("/data"), "a1" * 32),
    val=Split(Path("/data/val.json"), Path("/data"), "b2" * 32),
)
LABELS = {
    "Model": "RetinaNet",
    "Backbone": "ResNet-50",
    "Neck": "FPN",
    "Head": "RetinaHead",
    "Learning Method": "mstrain_3x",
}
PARTS = {"backbone": "resnet50", "neck": "fpn", "head": "retina", "schedule": "mstrain_3x"}
RECIPE = PartsRecipe.model_validate({"parts": PARTS})
PUBLISHED = 0.4527


def make_row(
    name: str = "r50",
    published: float | Published | None = PUBLISHED,
    leaderboard: HiddenScores | None = None,
    **labels: str,
) -> Row:
    said = Published(value=published) if isinstance(published, float) else published
    labels = {**LABELS, **labels}
    return Row(name=name, recipe=RECIPE, labels=labels, published=said, leaderboard=leaderboard)


def make_record(
    row: str = "r50", seed: int = 0, map50: float = 0.5, profile: str = "full", **changes: Any
) -> RunRecord:
    plain = {
        "run_id": f"{row}-s{seed}-{profile}-12345678",
        "row": row,
        "seed": seed,
        "profile": profile,
        "metrics": {"mAP50": map50, "mAP": map50 / 2, "per_class": {}},
        "params": 36_350_000,
        "train_seconds": 11_220.25,
        "peak_memory_gib": 7.5,
        "started_at": "2024-01-01T00:00:00+00:00",
        "finished_at": "2024-01-01T03:07:00+00:00",
        "val_images": IMAGES,
    }
    return made_up(**{**plain, **changes})


def failed(row: str, seed: int = 0, **changes: Any) -> RunRecord:
    end = {"metrics": {}, "state": State.FAILED, "failure": OOM}
    return make_record(row, seed, **{**end, **changes})


def on_disk(results: Path, record: RunRecord, data: Dataset = DATA) -> RunRecord:
    """Writes a run folder as a job does, and reads its record back."""
    folder = RunFolder(results / "runs" / record.run_id)
    spec = RunSpec(
        record.run_id,
        "board",
        record.row,
        LABELS,
        "parts",
        PARTS,
        record.seed,
        data,
        record.profile,
    )
    folder.write_spec(spec)
    # Past `RunFolder.write_record`: earlier versions wrote records of complete runs without a score, too.
    write_json(folder.record_file, record.to_json())
    return folder.read_record()


def result(row: Row, *ends: RunRecord | State) -> RowResult:
    """A row with seeds 0, 1, ...: of each a record, or the state of a run without one."""
    return RowResult(
        row=row,
        seeds=tuple(range(len(ends))),
        records=tuple(end if isinstance(end, RunRecord) else None for end in ends),
        states=tuple(end.state if isinstance(end, RunRecord) else end for end in ends),
    )


def make_table(*rows: RowResult, profile: str = "full") -> Table:
    return Table("board", "Waste detection", profile, DATA, rows)


def make_board(*rows: RowResult, profile: str = "full") -> Leaderboard:
    return leaderboard_of(make_table(*rows, profile=profile), IMAGES["count"])


def draws(map50: float, spread: float, seed: int = 0) -> NDArray[np.float64]:
    """Bootstrap draws around a value."""
    return np.random.default_rng(seed).normal(map50, spread, RESAMPLES)


def write_draws(results: Path, record: RunRecord, drawn: ArrayLike) -> None:
    """Writes a run's draws as a job does."""
    write_file(RunFolder(results / "runs" / record.run_id).bootstrap_file, drawn)


def judged_board(results: Path, *rows: RowResult, profile: str = "full") -> Leaderboard:
    """A leaderboard with the intervals and ranks that the draws in the run folders give."""
    found, images = judged(rows, results)
    return leaderboard_of(make_table(*found, profile=profile), images)


def write_report(
    leaderboard: Leaderboard,
    results: Path,
    configs: Configs | None = None,
    readme: Path | None = None,
    check: bool = False,
) -> Written:
    """Writes or compares the files of a leaderboard in a results folder."""
    return write_files(Material(leaderboard, Runs(results), configs, readme), check)
