"""Whose detector finds boxes: a name of a row, or of a run, becomes the folder that has its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from benchmark.comparison.sides import board_of, boards_of, complete_of, complete_run
from benchmark.errors import UserError
from benchmark.experiment.rows.augmented import Views
from benchmark.files import is_file
from benchmark.leaderboard.document import Leaderboard
from benchmark.run.folder import RunFolder
from benchmark.run.runs import Runs
from benchmark.run.spec import RunSpec


@dataclass(frozen=True)
class Named:
    """The detector that a user has named.

    Attributes:
        folder: The complete run that has its config and its weights.
        spec: What was asked of that run.
        run_id: The run that was meant: this one, or one that is made from it with views of its own.
        views: The views that it is to see of each image; None for the image itself.
        notes: What a reader must know of the choice, a sentence each.
    """

    folder: RunFolder
    spec: RunSpec
    run_id: str
    views: Views | None
    notes: tuple[str, ...] = ()


def named_detector(
    name: str, results: Path, experiment: str | None = None, tta: bool = False
) -> Named:
    """The detector that a name stands for: of a row of a leaderboard, of a run, or of a run's folder.

    Of a row with several complete runs it is that of the first.

    Args:
        name: The row, the run's id, or the path of its folder.
        results: Folder of the results.
        experiment: The leaderboard of the row, where several have one of its name.
        tta: Whether it is to see the usual views of each image.

    Raises:
        UserError: There is no such row or run, it is not complete, or no detector is behind it.
    """
    if is_file(Path(name) / "spec.json"):
        folder = Path(name).resolve()
        return _of_run(folder.name, Runs(folder.parents[1]), tta)
    runs, unread = Runs(results), list[str]()
    boards = boards_of(results, experiment, unread)
    try:
        found = _named(name, runs, boards, tta)
    except UserError as error:
        raise UserError([*unread, *error.problems]) from None
    left_out = (f"a leaderboard is left out: {problem}." for problem in unread)
    return replace(found, notes=(*found.notes, *left_out))


def _named(name: str, runs: Runs, boards: Mapping[str, Leaderboard], tta: bool) -> Named:
    board = board_of(name, runs, boards)
    if board is None:
        return _of_run(name, runs, tta)
    _, chosen = complete_of(name, board)
    found = _of_run(chosen[0], runs, tta)
    several = f"row '{name}' has {len(chosen)} complete runs: {chosen[0]} is taken."
    return replace(found, notes=(several,)) if len(chosen) > 1 else found


def _of_run(run_id: str, runs: Runs, tta: bool) -> Named:
    folder, _ = complete_run(run_id, runs)
    spec = folder.read_spec()
    if spec.recipe != "tta":
        if not is_file(folder.config_file):
            raise UserError(
                f"run {run_id} has no detector: its boxes are made from {_sources(spec)}; name a run that was trained"
            )
        return Named(folder, spec, run_id, Views() if tta else None)
    if tta:
        raise UserError(f"run {run_id} has views of its own: leave --tta out")
    source, _ = complete_run(spec.made_from[0], runs)
    views = Views.model_validate(spec.making["tta"])
    return Named(source, source.read_spec(), run_id, views)


def _sources(spec: RunSpec) -> str:
    return f"{len(spec.made_from)} other runs" if spec.made_from else "a file"
