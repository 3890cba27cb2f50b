"""Gives the runs of a row that has another name now to the row of that name, in place of training them again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmark.errors import UserError, allowed, attempt
from benchmark.experiment.experiment import Experiment
from benchmark.files import read_json, write_json
from benchmark.run.folder import RunFolder
from benchmark.run.identity import run_id
from benchmark.run.owners import askers_of, by_setting, plan_like
from benchmark.run.plan import choose_rows
from benchmark.run.runs import Runs
from benchmark.run.spec import RunSpec
from benchmark.sweep.holders import only_driver
from benchmark.sweep.tending import busy, discard
from benchmark.sweep.tidying import COMING


@dataclass(frozen=True)
class Move:
    """A run, and the id that it has under the new name of its row."""

    spec: RunSpec
    new_id: str


def move_row(
    experiment: Experiment, old: str, new: str, on_disk: Runs, told: Callable[[str], None]
) -> None:
    """Gives the runs of a former row to a row that asks for the same under another name.

    A run keeps everything but its row and its id, which has the row's name in it; trackers know it by its first id.

    Args:
        experiment: As it is now: it has the new row, and the old one no more.
        old: Name of the former row.
        new: Name of the row.
        on_disk: The runs of the results folder.
        told: Hears of each run, moved or not.

    Raises:
        UserError: With every problem; nothing is moved then.
    """
    _check_names(experiment, old, new)
    with only_driver(on_disk.results):
        problems: list[str] = []
        stay: list[str] = []
        specs = _runs_of(experiment, old, on_disk, stay)
        moves = _moves(experiment, specs, new, on_disk, stay)
        for move in moves:
            problems += _objections(move, experiment, on_disk)
        if not specs:
            problems.append(_none_of(experiment, old, on_disk))
        if not moves:
            problems += stay
        if problems:
            raise UserError(problems)
        for move in moves:
            _move(on_disk, move, new)
            told(f"{move.spec.run_id} is {move.new_id}")
        for sentence in stay:
            told(f"stays: {sentence}")


def _check_names(experiment: Experiment, old: str, new: str) -> None:
    names = [row.name for row in experiment.rows]
    problems = []
    if new not in names:
        problems.append(f"{new}: {experiment.path} has no such row; {allowed(new, names)}")
    if old in names:
        problems.append(
            f"{old}: {experiment.path} still has this row, whose runs are its own; rename it there first"
        )
    if problems:
        raise UserError(problems)


def _runs_of(experiment: Experiment, old: str, on_disk: Runs, problems: list[str]) -> list[RunSpec]:
    """What the experiment asked for under the row's former name; ``problems`` takes each folder that cannot be read."""
    found = on_disk.started(lambda spec: spec.row == old and spec.study is None, problems)
    return [run.spec for run in found if experiment.name in askers_of(run.spec, on_disk)]


def _none_of(experiment: Experiment, old: str, on_disk: Runs) -> str:
    found = on_disk.started(lambda spec: spec.row == old and spec.study is None, [])
    others = sorted({name for run in found for name in askers_of(run.spec, on_disk)})
    whose = f"; those of a row of this name are of {', '.join(others)}" if others else ""
    return f"{old}: {experiment.name} has no run of a row of this name in {on_disk.results}{whose}"


def _moves(
    experiment: Experiment, specs: Sequence[RunSpec], new: str, on_disk: Runs, stay: list[str]
) -> list[Move]:
    """The runs that the new row asks for, under the ids that it asks for; ``stay`` takes why others are none."""
    moves = []
    asked = _asked(experiment, specs, new, on_disk)
    for spec in specs:
        digest = spec.run_id.rpartition("-")[2]
        move = Move(spec, run_id(new, spec.seed, spec.profile, digest, spec.fold))
        if move.new_id in asked:
            moves.append(move)
        else:
            stay.append(f"{spec.run_id} was made with another config than row {new} has now")
    return moves


def _asked(experiment: Experiment, specs: Sequence[RunSpec], new: str, on_disk: Runs) -> set[str]:
    """The ids that the new row asks for in the settings of the runs; a setting that it does not fit asks for none."""
    rows = choose_rows(experiment, [new])
    plans = (attempt([], plan_like, experiment, rows, like, on_disk) for like in by_setting(specs))
    return {run.spec.run_id for plan in plans if plan for run in plan.runs}


def _objections(move: Move, experiment: Experiment, on_disk: Runs) -> list[str]:
    folder, there = on_disk.folder(move.spec.run_id), on_disk.folder(move.new_id)
    others = [name for name in askers_of(move.spec, on_disk) if name != experiment.name]
    name = folder.path.name
    problems = [running] if (running := busy(folder)) else []
    if others:
        problems.append(f"{name}: is also of {', '.join(others)}, which would train it again")
    if there.path.exists() and not _is_copy(there, move):
        problems.append(f"{name}: there is a {move.new_id} already; remove one of the two")
    return problems


def _is_copy(there: RunFolder, move: Move) -> bool:
    """Whether a move that was killed has only left the old folder to be removed."""
    spec = attempt([], there.read_spec) if there.spec_file.exists() else None
    return spec is not None and move.spec.run_id in spec.former_ids


def _move(on_disk: Runs, move: Move, row: str) -> None:
    """Makes the folder anew beside the old one, its files being the same, and gives it its name in one step.

    Whenever it is killed, the run is there under its old id, its new one, or both.
    """
    folder, there = on_disk.folder(move.spec.run_id), on_disk.folder(move.new_id)
    if not there.path.exists():
        coming = RunFolder(there.path.parent / COMING / move.new_id)
        shutil.rmtree(coming.path.parent, ignore_errors=True)
        # A lease would be the very file that a job renews which was given up, and wakes up.
        shutil.copytree(
            folder.path,
            coming.path,
            symlinks=True,
            copy_function=_linked,
            ignore=shutil.ignore_patterns(folder.lease_file.name),
        )
        changes = {"run_id": move.new_id, "row": row}
        _rewrite(coming.spec_file, {**changes, "former_ids": [*move.spec.ids]})
        if coming.finished:
            _rewrite(coming.record_file, changes)
        if coming.tested_file.exists():
            with suppress(ValueError):  # a damaged one is made again
                _rewrite(coming.tested_file, {"run_id": move.new_id})
        coming.path.rename(there.path)
        coming.path.parent.rmdir()
    discard(folder.path)


def _linked(source: str, target: str) -> None:
    """A second name for a file; a copy where the file system has no such thing."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target)


def _rewrite(path: Path, changes: Mapping[str, object]) -> None:
    """Changes fields of a file and keeps the others, those of other versions too."""
    write_json(path, {**read_json(path), **changes})
