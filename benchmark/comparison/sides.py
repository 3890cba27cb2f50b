"""The two sides of a comparison: a name of a row, or of a run, becomes evaluations on disk."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.errors import UserError, allowed, attempt, why
from benchmark.experiment.published import Judge
from benchmark.files import is_file
from benchmark.leaderboard.document import Leaderboard, Line
from benchmark.leaderboard.kept import leaderboards
from benchmark.run.folder import Damaged, RunFolder
from benchmark.run.record import RunRecord, State
from benchmark.run.runs import Runs
from benchmark.run.spec import RunSpec
from benchmark.statistics.draws import read_draws
from benchmark.statistics.intervals import Sample
from benchmark.statistics.matches import Matches
from benchmark.statistics.resample import bootstrap

_LISTED = 20  # names that a message lists; of more it gives the nearest


@dataclass(frozen=True)
class Evaluated:
    """One complete run and its evaluation.

    Attributes:
        spec: What was asked.
        map50: mAP50 on all images, a fraction in 0..1.
        matches: Its detections at IoU 0.5.
        draws: mAP50 over resamples of the images, shape (B,), float64.
        test: Hex SHA-256 of the test split that it is on; empty of one on the validation images.
    """

    spec: RunSpec
    map50: float
    matches: Matches
    draws: NDArray[np.float64]
    test: str = ""


@dataclass(frozen=True)
class Side:
    """What is on one side of a comparison: the complete runs of a row, or one run.

    Attributes:
        name: The row or run as the user named it.
        runs: At least one run, in the order of the seeds; of a row over folds at least one of each fold.
        notes: What a reader must know of the choice of these runs.
    """

    name: str
    runs: tuple[Evaluated, ...]
    notes: tuple[str, ...] = ()

    @property
    def row(self) -> str:
        """Name of the row."""
        return self.runs[0].spec.row

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seed of each run; of a row over folds each seed once."""
        seeds = tuple(run.spec.seed for run in self.runs)
        of_folds = any(run.spec.fold is not None for run in self.runs)
        return tuple(dict.fromkeys(seeds)) if of_folds else seeds

    @cached_property
    def folds(self) -> tuple[int, ...]:
        """The folds that a row is over; empty of one run, on the test split, and where nothing is divided."""
        if self.runs[0].test:
            return ()  # all of them saw the same images
        folds = {run.spec.fold for run in self.runs if run.spec.fold is not None}
        return tuple(sorted(folds)) if len(folds) > 1 else ()

    @property
    def _by_fold(self) -> list[list[Evaluated]]:
        return [[run for run in self.runs if run.spec.fold == fold] for fold in self.folds]

    @property
    def matches_by_fold(self) -> list[list[Matches]]:
        """The detections of each run of each fold."""
        return [[run.matches for run in runs] for runs in self._by_fold]

    @property
    def of_folds(self) -> NDArray[np.float64]:
        """mAP50 of each fold, means over its seeds, shape (F,)."""
        return np.array([np.mean([run.map50 for run in runs]) for runs in self._by_fold])

    @property
    def matches(self) -> list[Matches]:
        """The detections of each run."""
        return [run.matches for run in self.runs]

    @cached_property
    def sample(self) -> Sample:
        """mAP50 over seeds and images."""
        values = np.array([run.map50 for run in self.runs], np.float64)
        return Sample(values, np.mean([run.draws for run in self.runs], axis=0), self.images)

    @property
    def map50(self) -> float:
        """Mean mAP50 of the runs, within each fold first, a fraction in 0..1."""
        return float(self.of_folds.mean()) if self.folds else self.sample.value

    @property
    def images(self) -> int:
        """Number of images that the runs were evaluated on, over all folds."""
        if self.folds:
            return sum(len(matches[0].image_ids) for matches in self.matches_by_fold)
        return len(self.runs[0].matches.image_ids)


def find_sides(
    names: Sequence[str], results: Path, experiment: str | None = None, split: Judge | None = None
) -> list[Side]:
    """The side that each name stands for: a row of a leaderboard, or a run.

    Args:
        names: Of rows, or ids of runs.
        results: The results folder.
        experiment: Look rows up in this experiment's leaderboard only.
        split: On which images they are looked at; None for what ranks the rows that are named, as their leaderboards
            say, and for the validation images of runs.

    Raises:
        UserError: With every problem.
    """
    problems: list[str] = []
    unread: list[str] = []
    boards = attempt(problems, boards_of, results, experiment, unread) or {}
    runs = Runs(results)
    named = {n: attempt(problems, board_of, n, runs, boards) for n in dict.fromkeys(names)}
    if problems:
        raise UserError(dict.fromkeys([*unread, *problems]))
    on = split or _usual([board for board in named.values() if board])
    found = {n: attempt(problems, _side, n, runs, board, on) for n, board in named.items()}
    if problems:
        raise UserError(dict.fromkeys([*unread, *problems]))
    sides = [side for name in names if (side := found[name]) is not None]
    left_out = tuple(f"a leaderboard is left out: {problem}." for problem in unread)
    return [replace(sides[0], notes=(*sides[0].notes, *left_out)), *sides[1:]]


def boards_of(results: Path, experiment: str | None, unread: list[str]) -> dict[str, Leaderboard]:
    """The leaderboards by name: the one that is called so, or all of an experiment."""
    boards = leaderboards(results, unread)
    if experiment is None:
        return boards
    named = {experiment: boards[experiment]} if experiment in boards else {}
    found = named or {key: b for key, b in boards.items() if b.experiment == experiment}
    if not found:
        names = {*boards, *(board.experiment for board in boards.values())}
        raise UserError(f"--experiment {experiment}: {allowed(experiment, names)}")
    return found


def _usual(boards: Sequence[Leaderboard]) -> Judge:
    """The split that ranks the rows of all of some leaderboards."""
    return "test" if boards and all(board.judge for board in boards) else "val"


def _side(name: str, runs: Runs, board: Leaderboard | None, split: Judge) -> Side:
    if board is not None:
        return _row(name, runs, board, split)
    return Side(name, (_evaluated(name, runs, split),))


def board_of(name: str, runs: Runs, boards: Mapping[str, Leaderboard]) -> Leaderboard | None:
    """The leaderboard that holds the row of a name; None where it is the id of a run.

    Raises:
        UserError: It is neither, or a row of several leaderboards.
    """
    holders = [key for key, board in boards.items() if any(row.row == name for row in board.rows)]
    if len(holders) > 1:
        raise UserError(
            f"row '{name}' is in the leaderboards of {', '.join(holders)}: "
            "choose one with --experiment NAME, or give a run id"
        )
    if holders:
        return boards[holders[0]]
    # A name with a slash, or '..', is no folder of runs/.
    if Path(name).name == name and is_file(runs.folder(name).spec_file):
        return None
    raise UserError(_unknown(name, runs, boards))


def _row(name: str, runs: Runs, board: Leaderboard, split: Judge) -> Side:
    """The complete runs of a row; those of another config than the row's now are left out."""
    line, chosen = complete_of(name, board)
    absent = [run for run in chosen if not runs.folder(run).path.is_dir()]
    problems = [_elsewhere(absent, runs)] if absent else []
    read = [attempt(problems, _evaluated, run, runs, split) for run in chosen if run not in absent]
    found = tuple(run for run in read if run is not None)
    if not found:
        raise UserError(problems)
    left_out = [f"'{name}': left out: {problem}." for problem in problems]
    if board.dataset.folds and split == "val":
        _require_folds(name, found, board.dataset.folds)
    return Side(name, found, (*_left_out(name, line), *left_out))


def _require_folds(name: str, runs: Sequence[Evaluated], count: int) -> None:
    lacking = sorted({*range(count)} - {run.spec.fold for run in runs if run.spec.fold is not None})
    if lacking:
        raise UserError(
            f"row '{name}' has no complete run of fold {', '.join(map(str, lacking))} of {count}: a mean over some of "
            "the folds compares with nothing; run 'detboard sweep', or name two runs of one fold"
        )


def complete_of(name: str, board: Leaderboard) -> tuple[Line, list[str]]:
    """A row of a leaderboard, and the ids of its complete runs, at least one.

    Raises:
        UserError: It has none.
    """
    line = next(line for line in board.rows if line.row == name)
    chosen = [run.run_id for run in line.runs if run.state == State.COMPLETE.value and run.run_id]
    if not chosen:
        raise UserError(
            f"row '{name}' has no complete run in {board.stem}.json: "
            "run 'detboard sweep', or 'detboard report' if that is done"
        )
    return line, chosen


def _left_out(name: str, line: Line) -> tuple[str, ...]:
    """What of the row is not in the comparison."""
    notes = []
    unfinished = [run.which for run in line.runs if run.state != State.COMPLETE.value]
    if unfinished:
        notes.append(f"'{name}': no complete run of {_listed(unfinished)}.")
    if line.stale:
        notes.append(f"'{name}': left out, made with another config: {', '.join(line.stale)}.")
    return tuple(notes)


def _listed(runs: Sequence[str]) -> str:
    """``seed 1, 2``; of folds each run in its words."""
    if any("fold" in words for words in runs):
        return "; ".join(runs)
    return f"seed {', '.join(words.removeprefix('seed ') for words in runs)}"


def _unknown(name: str, runs: Runs, boards: Mapping[str, Leaderboard]) -> str:
    rows = {row.row for board in boards.values() for row in board.rows}
    if len(rows) > _LISTED:
        rows = set(difflib.get_close_matches(name, rows, n=5))
    ids = runs.ids()
    near = difflib.get_close_matches(name, ids, n=1)
    hint = f"; the nearest run is '{near[0]}'" if near else ""
    if not boards and not ids:
        hint = f"; {runs.results} holds neither: name the results folder with --results"
    return f"'{name}' is no row of a leaderboard and no run: rows {allowed(name, rows)}{hint}"


def _elsewhere(names: Sequence[str], runs: Runs) -> str:
    """What is said of runs whose folders are not here: once for a row, however many seeds it has."""
    many = len(names) > 1
    absent = "their folders are not here" if many else "its folder is not here"
    return (
        f"{'runs' if many else 'run'} {', '.join(names)}: {absent} ({runs.folder(names[0]).path.parent}): compare "
        "reads run folders, which are not under version control; "
        f"copy {'them' if many else 'it'} from where the sweep ran, or name that results folder with --results"
    )


def complete_run(name: str, runs: Runs) -> tuple[RunFolder, RunRecord]:
    """The folder and the record of a run that is complete.

    Raises:
        UserError: It is not complete, or its folder is not here.
    """
    folder, record = runs.folder(name), runs.record(name)
    if not folder.path.is_dir():
        raise UserError(_elsewhere([name], runs))
    if record is None:
        raise UserError(f"run {name} is not finished: 'detboard sweep' continues it")
    if record.state is not State.COMPLETE:
        why = f" ({record.cause})" if record.cause else ""
        raise UserError(
            f"run {name} is {record.state.value}{why}: "
            f"'detboard sweep --retry {record.state.value}' runs it again"
        )
    return folder, record


def _evaluated(name: str, runs: Runs, split: Judge) -> Evaluated:
    folder, record = complete_run(name, runs)
    folder.check_spec()
    spec = runs.spec(name)
    folder.check_fits(record, spec)
    return _on_test(folder, spec) if split == "test" else _on_val(folder, record, spec)


def _on_test(folder: RunFolder, spec: RunSpec) -> Evaluated:
    tested = folder.tested_if_any()
    map50 = tested.score("mAP50") if tested is not None else None
    if tested is None or map50 is None:
        why = f" ({tested.problem})" if tested is not None and tested.problem else ""
        does = "'detboard sweep' does it where the data has one with annotations, or "
        lasting = tested is not None and tested.lasting
        raise UserError(
            f"run {folder.path.name} is not evaluated on a test split{why}: {'' if lasting else does}compare on the "
            "validation images with --split val"
        )
    matches = _matches(folder.test_matches_file)
    drawn = read_draws(folder.test_bootstrap_file)
    draws = bootstrap(matches) if drawn is None else drawn
    return Evaluated(spec, map50, matches, draws, test=tested.sha256)


def _on_val(folder: RunFolder, record: RunRecord, spec: RunSpec) -> Evaluated:
    name = folder.path.name
    if record.unvalidated:
        raise UserError(
            f"run {name}: {record.unvalidated}; compare on the test split with --split test"
        )
    if not folder.matches_file.exists():
        why = (record.missing or {}).get("bootstrap", "a trial, or from an earlier version")
        raise UserError(
            f"run {name} has no {folder.matches_file.name} ({why}): "
            "remove its folder, and 'detboard sweep' runs it again"
        )
    map50 = record.score("mAP50")
    if map50 is None:
        raise UserError(f"run {name} has {record.scoreless}")
    matches = _matches(folder.matches_file)
    # The bootstrap that the job left, or the same again.
    drawn = read_draws(folder.bootstrap_file)
    return Evaluated(spec, map50, matches, bootstrap(matches) if drawn is None else drawn)


def _matches(path: Path) -> Matches:
    try:
        return Matches.load(path)
    except (OSError, ValueError) as error:
        raise Damaged(f"{path}: cannot be read: {why(error)}") from None
