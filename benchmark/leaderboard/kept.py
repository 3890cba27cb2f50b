"""The leaderboards that a results folder keeps: ``<board>.json``, under version control where runs are not."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from benchmark.config.faster import as_options
from benchmark.data.dataset import Dataset, Fold, Split, fold_file
from benchmark.errors import UserError, attempt, shown
from benchmark.experiment.data_source import DataSource
from benchmark.experiment.experiment import Experiment, Row
from benchmark.files import read_json
from benchmark.leaderboard.boards import Boards, Kept, kept_boards
from benchmark.leaderboard.columns import columns_of
from benchmark.leaderboard.columns.column import Column
from benchmark.leaderboard.columns.result import SAID_KEYS
from benchmark.leaderboard.document import VERSION, Data, Leaderboard, Line
from benchmark.leaderboard.published import kept_otherwise
from benchmark.leaderboard.reports import Report
from benchmark.leaderboard.results import RowResult, titled
from benchmark.run.contents import missing_files
from benchmark.run.identity import former_run_id
from benchmark.run.plan import Plan, Request, asked_ids, find_dataset, plan_as_far
from benchmark.run.record import State
from benchmark.run.runs import Runs
from benchmark.run.spec import RunSpec
from benchmark.validation import worded

_MOST = 2**63  # numpy holds no larger integer; and no column a larger number


def read_leaderboard(path: Path) -> Leaderboard:
    """Reads ``results/<board>.json``.

    Raises:
        UserError: It cannot be read, or was written by another version.
    """
    return _leaderboard(path, _content(path))


def leaderboards(results: Path, problems: list[str]) -> dict[str, Leaderboard]:
    """Every ``<board>.json`` of a results folder, by what its files are called, sorted by it.

    Other JSON files are passed over, a copy under another name too: it is no board's.

    Args:
        results: The results folder.
        problems: Takes a message for each leaderboard that cannot be read.
    """
    paths = sorted(results.glob("*.json"), key=lambda path: path.stem)
    read = [attempt(problems, _own, path) for path in paths]
    return {board.stem: board for board in read if board is not None}


def _own(path: Path) -> Leaderboard | None:
    try:
        content = _content(path)
    except UserError:
        if path.with_suffix(".csv").exists():  # marks of a merge, for example
            raise
        return None
    known = content if isinstance(content, dict) else {}
    named = known.get("board") or known.get("experiment")
    return _leaderboard(path, content) if named == path.stem else None


def _content(path: Path) -> object:
    try:
        return read_json(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise _not_ours(path, f"invalid JSON: {error}") from None


def _leaderboard(path: Path, content: object) -> Leaderboard:
    try:
        board = Leaderboard.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        raise _not_ours(path, worded(first, "leaderboard")) from None
    keys = {column.key for column in board.declared}
    lacking = {key for values in board.values for key in keys - values.keys()}
    if lacking:
        raise _not_ours(path, f"no values of {', '.join(sorted(lacking))}")
    for line in board.rows:
        for column in board.declared:
            value = line.values[column.key]
            if not _fits(column, value):
                where = f"row {line.row}: values.{column.key}"
                raise _not_ours(path, f"{where}: {shown(value)} is no {column.dtype}")
    return board


def _fits(column: Column, value: object) -> bool:
    """Whether a value is one of a column's; None is one of each."""
    if value is None or column.dtype == "object":
        return value is None or isinstance(value, str)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    whole = column.dtype == "Int64"
    return abs(value) < _MOST and (isinstance(value, int) or not whole)


def _not_ours(path: Path, why: str) -> UserError:
    return UserError(
        f"{path}: not a leaderboard of schema version {VERSION} ({why}); detboard report writes it again"
    )


def kept_alone(boards: Boards, request: Request, nothing_run: bool) -> list[Kept]:
    """The boards that fit a request and of whose setting no run was ever started here.

    Args:
        boards: The boards of the experiment.
        request: The options.
        nothing_run: Whether there is no run of the experiment at all.

    Raises:
        UserError: Nothing was run, and a file is no leaderboard, or the options ask for another than those kept: they
            would be lost.
    """
    started = {made.setting for made in boards.made}
    alone = [board for board in boards.kept if board.setting not in started]
    others = {b.path: _other_options(b, boards.experiment, request) for b in alone}
    fitting = [board for board in alone if not others[board.path]]
    if nothing_run and not fitting:
        _refuse_damaged(boards)
        if alone:
            raise _of_other_settings(boards, others)
    return fitting


def _of_other_settings(boards: Boards, others: Mapping[Path, list[str]]) -> UserError:
    options = dict.fromkeys(option for found in others.values() for option in found)
    stay = (
        "is of another setting and stays as it is"
        if len(others) == 1
        else "are of others and stay as they are"
    )
    return UserError(
        f"{boards.results}: no finished run of experiment '{boards.experiment.name}' fits {', '.join(options)}; "
        f"{', '.join(map(str, others))} {stay}"
    )


def _refuse_damaged(boards: Boards) -> None:
    """Refuses what stands in the place of a board and is none."""
    results, name = boards.results, boards.experiment.name
    known = {board.path for board in kept_boards(results)}
    for path in (results / f"{name}.json", *sorted(results.glob(f"{glob.escape(name)}.*.json"))):
        if path in known or not path.exists():
            continue
        content = _content(path)
        if path.stem == name or (isinstance(content, dict) and content.get("board") == path.stem):
            _leaderboard(path, content)


def kept_report(board: Kept, boards: Boards, request: Request, on_disk: Runs) -> Report:
    """A board that the results folder keeps without its runs.

    Returns:
        The leaderboard, no configs, and a sentence for everything in it that is not as the experiment is now: run
        ids are computed again from the experiment and its parts.

    Raises:
        UserError: The file is no leaderboard.
    """
    experiment, stem = boards.experiment, boards.stems[board.setting]
    kept = read_leaderboard(board.path)
    if stem != kept.stem:
        kept = kept.model_copy(update={"board": stem, "file": boards.file})
    asked = replace(request, seeds=kept.seeds, needs_data=False)
    where = (_dataset(kept.dataset), kept.profile, Runs(board.path.parent))
    plan, lost = plan_as_far(experiment, asked, *where)
    untold = tuple(problem for problems in lost.values() for problem in problems)
    of_plan = kept.model_copy(update={"rows": tuple(r for r in kept.rows if r.row not in lost)})
    differs = _differences(of_plan, plan, board.path)
    return Report(kept.stem, lambda: kept, on_disk, None, (*differs, *untold))


def _other_options(kept: Kept, experiment: Experiment, request: Request) -> list[str]:
    """The options that ask for something else than is kept."""
    found = as_options(request.overrides)
    profile, *hashes = kept.setting
    if request.profile not in (None, profile):
        found.append(f"--profile {request.profile}")
    if request.seeds is not None and set(request.seeds) != set(kept.seeds):
        found.append(f"--seeds {','.join(map(str, request.seeds))}")
    root = request.data_root
    if root is not None and find_dataset(experiment, request).hashes != tuple(hashes):
        found.append(f"--data-root {root}")
    return found


def _dataset(data: Data) -> Dataset:
    """The dataset without its files: a run id counts their hashes only."""
    train, val = (Split(Path(), Path(), sha256) for sha256 in (data.train, data.val))
    whole = Dataset(data.name, data.classes, train, val, masks=data.masks)
    if not data.folds:
        return whole
    files = (Split(Path(fold_file(0, name)), Path(), "") for name in ("train", "val"))
    fold = Fold(0, data.folds, data.val, train, (("", ""),) * data.folds)
    return replace(whole, train=next(files), val=next(files), fold=fold)


def _differences(kept: Leaderboard, plan: Plan, path: Path) -> list[str]:
    lines = {line.row: line for line in kept.rows}
    rows = {row.name: row for row in plan.rows}
    found = [f"row {name}: not in {path}" for name in rows if name not in lines]
    found += [f"row {name} of {path}: not in the experiment" for name in lines if name not in rows]
    cache = path.parent / "datasets.json"
    if why := kept_otherwise(plan.experiment, plan.dataset, kept.caveat, cache):
        found.append(f"{path}: {why}")
    found += [f"{path}: {why}" for why in _of_another_test(kept, plan.experiment.dataset)]
    if kept.title != (title := titled(plan.experiment, plan.dataset)):
        found.append(f"title: '{title}', in {path}: '{kept.title}'")
    if (kept.judge or "val") != plan.experiment.judge:
        found.append(f"judge: {plan.experiment.judge}, in {path}: {kept.judge or 'val'}")
    own = tuple({c.key: c for c in (*_said(kept.declared), *_said(columns_of(plan.rows)))}.values())
    for name in (name for name in lines if name in rows):
        found += _label_differences(rows[name], own, lines[name], path)
    ids = {possible for run in plan.runs for possible in _ids(run.spec)}
    ids |= _either_way(plan, path.parent)
    # Where the weights that a row starts from are gone, as in a fresh clone, its ids cannot be told.
    untold = {run.spec.row for run in plan.runs if missing_files(run.config)}
    return found + [
        f"row {line.row}, {run.which}: {run.run_id} in {path} was made with another config than the row has now"
        for line in kept.rows
        if line.row in rows and line.row not in untold
        for run in line.runs
        if run.run_id is not None and run.run_id not in ids
    ]


def _either_way(plan: Plan, results: Path) -> set[str]:
    """The ids of a plan's runs whichever images a shortened run has taken, which only the data tells."""
    of_plan = Request(plan.experiment.path, results, seeds=plan.seeds)
    where = (plan.dataset, plan.profile, plan.rows, Runs(results))
    return asked_ids(plan.experiment, of_plan, *where)


def _ids(spec: RunSpec) -> tuple[str, str]:
    """The id of a run, and the one that it has had before."""
    digest = spec.run_id.rpartition("-")[2]
    return spec.run_id, former_run_id(spec.row, spec.seed, spec.profile, digest, spec.fold)


def _of_another_test(kept: Leaderboard, source: DataSource) -> Iterator[str]:
    """What is wrong with differences to values published on test, where the experiment records which test that is."""
    measured = kept.dataset.test.sha256 if kept.dataset.test else None
    if source.sha256 is None or source.sha256.test == measured:
        return
    for line in kept.rows:
        on_test = line.values.get("published_split") == "test"
        if on_test and line.values["difference"] is not None:
            yield f"row {line.row}: held against a value of another test split than dataset.sha256 names"


def _said(columns: Sequence[Column]) -> list[Column]:
    """The columns of what an experiment says of its rows."""
    return [column for column in columns if column.label or column.key in SAID_KEYS]


def _label_differences(row: Row, own: Sequence[Column], line: Line, path: Path) -> list[str]:
    """Where what a row says of itself, in the columns ``own``, is not what is kept."""
    now = RowResult(row, (0,), (None,), (State.WAITING,))
    return [
        f"row {row.name}: {c.title} is {c.cell(c.read(now))}, in {path}: {c.cell(line.values.get(c.key))}"
        for c in own
        if c.read(now) != line.values.get(c.key)
    ]
