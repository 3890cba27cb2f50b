"""The runs of leaderboards as a pandas data frame, for notebooks and scripts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from benchmark.leaderboard.outputs.notebook import KEYS, boards_of, described, keys_of
from benchmark.leaderboard.run_of_row import Run

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Of:
    """A column of the frame.

    Attributes:
        about: What it is.
        read: Takes it from a run.
        dtype: pandas dtype that holds it, and its absence.
        unit: Its unit; empty where it has none.
    """

    about: str
    read: Callable[[Run], object]
    dtype: Literal["object", "float64", "Int64", "boolean"] = "object"
    unit: str = ""


COLUMNS = {
    "run_id": Of("Id of the run, the name of its folder.", lambda r: r.run_id),
    "seed": Of("Random seed.", lambda r: r.seed, "Int64"),
    "fold": Of("Which fold, from 0; ``<NA>`` where nothing is divided.", lambda r: r.fold, "Int64"),
    "state": Of("``complete``, ``failed``, ``lost``, ``running``, ``waiting``.", lambda r: r.state),
    "map50": Of("mAP50, of a complete run.", lambda r: r.map50, "float64", "fraction"),
    "best_map50": Of(
        "Best mAP50 of any validation; the highest of several is too high.",
        lambda r: r.validations.best_map50 if r.validations else None,
        "float64",
        "fraction",
    ),
    "epoch": Of(
        "Epochs done at the validation that map50 is of.",
        lambda r: r.validations.epoch if r.validations else None,
        "float64",
        "epochs",
    ),
    "device": Of("What it ran on.", lambda r: r.device),
    "finished_at": Of("When it ended, ISO 8601 in UTC.", lambda r: r.finished_at),
    "failure": Of("Kind of the failure.", lambda r: r.failure.kind if r.failure else None),
    "cause": Of("The failure's cause.", lambda r: r.failure.message if r.failure else None),
    "commit": Of("Git commit of the code.", lambda r: r.commit),
    "dirty": Of("Whether the commit does not hold all that ran.", lambda r: r.dirty, "boolean"),
    "config_sha256": Of("SHA-256 of its ``config.py``.", lambda r: r.config_sha256),
    "train_sha256": Of("SHA-256 of the training annotations.", lambda r: r.train_sha256),
    "val_sha256": Of("SHA-256 of the validation annotations.", lambda r: r.val_sha256),
    "tracked": Of("``online``, ``offline``, or None.", lambda r: r.tracked),
    "url": Of("Address of the tracked run.", lambda r: r.url),
    "folder": Of("Its folder, relative to the results folder.", lambda r: r.folder),
}


def runs(folder: str | PathLike[str] = "results") -> pd.DataFrame:
    """Every run of every leaderboard of a results folder in one data frame, a line a run.

    A run that several leaderboards show has a line in each. A seed without a record has a line with its state alone.
    The run folders need not be there.

    Args:
        folder: The results folder, in which ``detboard sweep`` or ``detboard report`` wrote the leaderboards.

    Returns:
        The columns ``experiment``, ``profile``, ``dataset``, ``board`` and ``row``, then those of `COLUMNS`. Fractions
        are in 0..1, at full precision. ``attrs`` as in `benchmark.leaderboard.outputs.notebook.results`.

    Raises:
        FileNotFoundError: If the folder holds no leaderboard.
        benchmark.errors.UserError: If none of them can be read; of one among others, a warning says why it is left out.
    """
    import pandas as pd

    names = {**KEYS, "row": "Name of the row in the experiment."}
    lines = [
        (*keys_of(board), line.row, *(column.read(run) for column in COLUMNS.values()))
        for board in boards_of(Path(folder))
        for line in board.rows
        for run in line.runs
    ]
    frame = pd.DataFrame(lines, columns=[*names, *COLUMNS], dtype=object)
    frame = frame.astype({key: column.dtype for key, column in COLUMNS.items()})
    units = {key: column.unit for key, column in COLUMNS.items()}
    return described(frame, units, names | {key: c.about for key, c in COLUMNS.items()})
