"""Leaderboards as pandas data frames, for notebooks and scripts."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.errors import UserError
from benchmark.leaderboard.columns import columns_with, stored_columns
from benchmark.leaderboard.columns.column import Column
from benchmark.leaderboard.document import Leaderboard, Line
from benchmark.leaderboard.kept import leaderboards

if TYPE_CHECKING:  # importing pandas takes over a second: only who asks for a frame pays
    import pandas as pd

# What stands before the columns of the table.
KEYS = {
    "experiment": "Name of the experiment.",
    "profile": "How much was done: only ``full`` compares with published values, and on their data only.",
    "dataset": "Name of the data set.",
    "board": "What the files of the leaderboard are called: two data sets of one name differ in it.",
}
PER_CLASS = {
    **KEYS,
    "row": "Name of the row in the experiment.",
    "class": "Name of the class.",
    "mAP50": "AP at IoU 0.5 of the class; mean over the complete runs.",
    "mAP": "AP over IoU 0.5 to 0.95 of the class; mean over the complete runs.",
}
TEST_PER_CLASS = {
    "test_mAP50": "AP at IoU 0.5 of the class on the test split; mean over the complete runs.",
    "test_mAP": "AP over IoU 0.5 to 0.95 of the class on the test split; mean over the complete runs.",
}


def results(folder: str | PathLike[str] = "results") -> pd.DataFrame:
    """Every leaderboard of a results folder in one data frame, a line a row.

    The first columns are ``experiment``, ``profile``, ``dataset`` and ``board``; the others are those of the CSV file,
    under the same names, listed with their units in ``docs/notebook.md``. ``frame.attrs["units"]`` and
    ``frame.attrs["about"]`` are mappings from column to unit (empty where there is none) and to what it is.

    Args:
        folder: The results folder, in which ``detboard sweep`` or ``detboard report`` wrote the leaderboards.

    Returns:
        Numbers at full precision as ``float64`` (NaN where there is none) or ``Int64``, yes or no as ``boolean``
        (``<NA>`` where there is none), texts as ``object`` (None where there is none).

    Raises:
        FileNotFoundError: If the folder holds no leaderboard.
        benchmark.errors.UserError: If none of them can be read; of one among others, a warning says why it is left out.
    """
    import pandas as pd

    boards = boards_of(Path(folder))
    columns = _columns(boards)
    keys = [column.key for column in columns]
    lines = [
        (*keys_of(board), *(line.values.get(key) for key in keys))
        for board in boards
        for line in board.rows
    ]
    frame = pd.DataFrame(lines, columns=[*KEYS, *map(_named, keys)], dtype=object)
    frame["published_inside"] = frame["published_inside"].map({"yes": True, "no": False})
    frame = frame.astype({**dict.fromkeys(KEYS, "object"), **_dtypes(columns)})
    units = {_named(c.key): c.unit for c in columns}
    return described(frame, units, {_named(c.key): c.about for c in columns})


def results_per_class(folder: str | PathLike[str] = "results") -> pd.DataFrame:
    """AP of every class of every row of every leaderboard in a results folder, a line a row and class.

    ``frame.pivot(index=["experiment", "row"], columns="class", values="mAP50")`` makes a column of each class.

    Args:
        folder: The results folder.

    Returns:
        Columns ``experiment``, ``profile``, ``dataset``, ``board``, ``row``, ``class``, ``mAP50`` and ``mAP``, the last
        two fractions in 0..1, ``float64``, NaN for a class without an object. Where rows were evaluated on a test
        split, ``test_mAP50`` and ``test_mAP`` stand behind them. Rows without a complete run have no line.
        ``attrs`` as in `results`.

    Raises:
        FileNotFoundError: If the folder holds no leaderboard.
        benchmark.errors.UserError: If none of them can be read; of one among others, a warning says why it is left out.
    """
    import pandas as pd

    boards = boards_of(Path(folder))
    on_test = any(line.test_per_class for board in boards for line in board.rows)
    about = {**PER_CLASS, **(TEST_PER_CLASS if on_test else {})}
    lines = [
        (*keys_of(board), line.row, *of_class)
        for board in boards
        for line in board.rows
        for of_class in _classes(line, on_test)
    ]
    numbers = list(about)[list(about).index("mAP50") :]
    frame = pd.DataFrame(lines, columns=list(about), dtype=object)
    frame = frame.astype(dict.fromkeys(numbers, "float64"))
    return described(frame, dict.fromkeys(numbers, "fraction"), about)


def _classes(line: Line, on_test: bool) -> Iterator[tuple[object, ...]]:
    """Of each class its name, and AP50 and AP on the validation images and, if that is asked for, the test split."""
    for name in {**line.per_class, **line.test_per_class}:
        sides = (line.per_class, line.test_per_class) if on_test else (line.per_class,)
        found = [side.get(name) for side in sides]
        values = [(one.mAP50, one.mAP) if one else (None, None) for one in found]
        yield (name, *(value for pair in values for value in pair))


def keys_of(board: Leaderboard) -> tuple[str, str, str, str]:
    """The values of `KEYS` of a leaderboard."""
    return board.experiment, board.profile, board.dataset.name, board.stem


def boards_of(folder: Path) -> list[Leaderboard]:
    """The leaderboards of a results folder, at least one; of each that cannot be read, a warning says why.

    Raises:
        FileNotFoundError: If the folder holds none.
        benchmark.errors.UserError: If none of them can be read.
    """
    problems: list[str] = []
    found = list(leaderboards(folder, problems).values())
    if problems and not found:
        raise UserError(problems)
    for problem in problems:
        warnings.warn(f"left out: {problem}", stacklevel=3)
    if not found:
        what = "holds no leaderboard" if folder.is_dir() else "is no folder"
        raise FileNotFoundError(
            f"{folder.resolve()} {what}: run 'detboard report EXPERIMENT', or name the results folder"
        )
    return found


def _columns(boards: Sequence[Leaderboard]) -> tuple[Column, ...]:
    """The columns of all leaderboards: the labels of each, in the order of the first that has them."""
    labels = {column.key: column for board in boards for column in board.labels}
    keys = {column.key for board in boards for column in board.columns}
    return stored_columns(columns_with(labels.values(), keys))


def _dtypes(columns: Sequence[Column]) -> dict[str, Any]:
    return {_named(c.key): "boolean" if c.key == "published_inside" else c.dtype for c in columns}


def _named(key: str) -> str:
    """What a column is called: a label of an earlier version may have a key that stands before the columns now."""
    return f"label_{key}" if key in KEYS else key


def described(frame: pd.DataFrame, units: dict[str, str], about: dict[str, str]) -> pd.DataFrame:
    """A frame that says of each column its unit, and what it is."""
    frame.attrs["units"] = {str(name): units.get(str(name), "") for name in frame.columns}
    frame.attrs["about"] = {str(name): {**KEYS, **about}[str(name)] for name in frame.columns}
    return frame
