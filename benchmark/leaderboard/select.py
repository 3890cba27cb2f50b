"""Which runs the leaderboards of an experiment show: a board for each setting on disk that the options choose."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from benchmark.errors import UserError, attempt
from benchmark.experiment.experiment import Experiment, Row, load_experiment
from benchmark.launchers.living import standing
from benchmark.leaderboard.boards import Boards, Made, settings_made
from benchmark.leaderboard.history import History, Setting, history_of, setting_of
from benchmark.leaderboard.kept import kept_alone, kept_report
from benchmark.leaderboard.on_test import with_tests
from benchmark.leaderboard.published import (
    is_elsewhere,
    untested,
    why_not_compared,
    why_row_not_compared,
)
from benchmark.leaderboard.reports import Report, Reports, Unjudged
from benchmark.leaderboard.results import COMPARABLE_PROFILE, RowResult, Table, titled
from benchmark.leaderboard.uncomposed import told_of, uncomposed_result
from benchmark.run.plan import (
    Plan,
    Request,
    damages,
    find_dataset,
    plan_as_far,
    refreshed,
    with_seeds,
)
from benchmark.run.reached import reached
from benchmark.run.runs import Runs, Started
from benchmark.run.spec import RunSpec
from benchmark.run.state import Planned


def reports_on_disk(request: Request) -> Reports:
    """The boards that the results folder holds of an experiment, each over all of its rows.

    Profile and data of the request choose among them. Seeds are those that were ever started in a board's setting, so
    that a report needs neither the data nor the options of the sweep. Run ids are computed again: a run whose row has
    changed since is not its row's. For a board without any run, as in a fresh clone, its JSON file stands.

    Raises:
        UserError: The experiment is wrong, or the results folder has nothing of it that fits the request.
    """
    experiment, on_disk = load_experiment(request.path), Runs(request.results, standing)
    history = history_of(experiment, request, on_disk)
    boards = Boards(experiment, request.results, settings_made(history.started))
    kept = [] if history.skipped else kept_alone(boards, request, nothing_run=not history.started)
    fitting = list(_fitting(history, experiment, request))
    # Runs of another experiment file of this name are in the history, too: their board is that file's.
    settings = [s for s in fitting if not boards.other_of(boards.stems[s.setting])]
    if not settings and not kept:
        settings = fitting
    if not settings and not kept:
        settings = [_nothing_run(history, experiment, request)]
    problems: dict[str, list[str]] = defaultdict(list)
    stems = boards.stems
    made = [
        _attempted(problems[stems.get(setting.setting, "")], setting, request, history, boards)
        for setting in settings
    ]
    on_disk.remember()
    made += [
        attempt(problems[stems[board.setting]], kept_report, board, boards, request, on_disk)
        for board in kept
    ]
    found = [report for report in made if report is not None]
    told = _told(problems)
    if not found:
        raise UserError(told)
    found.sort(key=lambda report: report.board)
    return Reports(tuple(found), boards.renamed, told)


def _told(problems: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """What stands in the way of boards, by what their files are called; one alone need not be named."""
    several = len(problems) > 1
    words = [
        f"board {stem}: {p}" if several else p for stem, found in problems.items() for p in found
    ]
    return tuple(dict.fromkeys(words))


def _attempted(
    problems: list[str], setting: Made, request: Request, history: History, boards: Boards
) -> Report | None:
    """The board of a setting, None if it cannot be made; ``problems`` takes why, and which rows are not whole."""
    made = attempt(problems, _made, setting, request, history, boards)
    if made is None:
        return None
    report, lost = made
    problems += told_of(lost)
    return report


def _made(
    setting: Made, request: Request, history: History, boards: Boards
) -> tuple[Report, Mapping[str, Sequence[str]]]:
    """The board of a setting, and why rows of it cannot be composed.

    Neither data nor weights are needed: the records hold what they came to.
    """
    seeds = request.seeds or tuple(history.seeds(setting.setting)) or None
    wanted = replace(request, seeds=seeds, needs_data=False)
    experiment, on_disk = boards.experiment, history.on_disk
    plan, lost = plan_as_far(experiment, wanted, setting.dataset, setting.profile, on_disk)
    return _report(plan, request, history, boards, lost), lost


def report_of_sweep(plan: Plan, request: Request, on_disk: Runs) -> Reports:
    """The leaderboard after a sweep: the plan's rows as they are now, with every seed ever started in its setting.

    So it is what `reports_on_disk` gives for the same options, whichever seeds the sweep was asked for.

    Args:
        plan: The runs of the table as they were planned.
        request: The options of the sweep.
        on_disk: The runs of the results folder; those that are known already are not read again.
    """
    history = history_of(plan.experiment, request, on_disk)
    seeds = history.seeds(_setting_of(plan))
    now = with_seeds(refreshed(plan, on_disk), request, seeds, on_disk)
    boards = Boards(plan.experiment, request.results, settings_made(history.started))
    chosen = {row.name for row in plan.rows}
    others = [row.name for row in plan.experiment.rows if row.name not in chosen]
    lost = (
        [] if request.overrides else others
    )  # which a plan for the table leaves out for no other reason
    return Reports((_report(now, request, history, boards, lost),), boards.renamed)


def seeds_of_board(plan: Plan, request: Request) -> tuple[int, ...]:
    """The seeds that the board of a plan's setting has: the experiment's, and all others that were started in it.

    Args:
        plan: Any plan in that setting.
        request: Its options; overrides count for nothing.
    """
    bare = replace(request, overrides={}, seeds=None)
    history = history_of(plan.experiment, bare, Runs(request.results, standing))
    return tuple(sorted({*plan.experiment.seeds, *history.seeds(_setting_of(plan))}))


def _report(
    plan: Plan, request: Request, history: History, boards: Boards, lost: Collection[str]
) -> Report:
    """The leaderboard of a plan's rows, and of the ``lost`` ones, which cannot be composed.

    Overrides of the request stand in its title.
    """
    stem = boards.stem(plan.profile, plan.dataset)
    planned: dict[str, list[Planned]] = defaultdict(list)
    for run in sorted(plan.runs, key=lambda run: (run.spec.seed, run.spec.fold or 0)):
        planned[run.spec.row].append(run)
    stale = _stale(plan, history)
    unlike = why_not_compared(plan, request)
    compared = plan.profile == COMPARABLE_PROFILE and not unlike
    found = {
        r.name: _row_result(r, planned[r.name], stale, compared)
        # A row that is made from others has no run where these share none of the seeds.
        if r.name in planned
        else uncomposed_result(r, plan, history, False)
        for r in plan.rows
    }
    gone = (row for row in plan.experiment.rows if row.name in lost)
    found |= {row.name: uncomposed_result(row, plan, history, compared) for row in gone}
    ordered = [found[row.name] for row in plan.experiment.rows if row.name in found]
    rows, test = with_tests(ordered, history.on_disk, plan.experiment.judge)
    outdated = {run.spec.run_id for run in plan.runs if run.outdated}
    title = titled(plan.experiment, plan.dataset, request.overrides)
    of = (plan.experiment.name, title, plan.profile, plan.dataset, rows, unlike)
    files = (stem, boards.file, is_elsewhere(plan))
    table = Table(*of, *files, test=test, judge=plan.experiment.judge)
    unjudged = Unjudged(table, request.results, compared, untested(plan, test) if compared else "")
    return Report(
        stem,
        unjudged.leaderboard,
        history.on_disk,
        {name: listed[0].config for name, listed in planned.items()},
        tuple(
            f"row {of.row}, {of.which}: runs/{of.run_id} {_why_stale(of.run_id, outdated)}"
            for of in stale.values()
        ),
        tuple(dict.fromkeys([*history.skipped, *(f"skipped {d}" for d in damages(plan.runs))])),
        unjudged,
    )


def _why_stale(run_id: str, outdated: Collection[str]) -> str:
    if run_id in outdated:
        return "was made from runs that were made again since; the next sweep makes it again"
    return "was made with another config than the row has now"


def _row_result(
    row: Row,
    runs: Sequence[Planned],
    stale: Mapping[_Of, RunSpec],
    compared: bool,
) -> RowResult:
    """Of a row in a table that compares with published values, or does not: then it needs no reason of its own."""
    return RowResult(
        row,
        tuple(run.spec.seed for run in runs),
        records=tuple(run.record for run in runs),
        states=tuple(run.state for run in runs),
        reached=tuple(map(reached, runs)),
        stale=tuple(stale[one].run_id for run in runs if (one := _of(run.spec)) in stale),
        unlike=why_row_not_compared(row, runs[0].config) if compared else "",
        changes=runs[0].spec.changes,
        folds=tuple(run.spec.fold for run in runs if run.spec.fold is not None),
    )


_Of = tuple[str, int, int | None]  # a run's row, seed and fold


def _of(spec: RunSpec) -> _Of:
    return spec.row, spec.seed, spec.fold


def _stale(plan: Plan, history: History) -> dict[_Of, RunSpec]:
    """By row, seed and fold without a record: its newest run in the same setting, made with another config."""
    empty = {_of(run.spec) for run in plan.runs if run.record is None}
    setting = _setting_of(plan)
    candidates = [
        (run.record.finished_at, run.spec)
        for run in history.started
        if run.record is not None
        and _of(run.spec) in empty
        and setting_of(run.spec) == setting
        # A trial with --set says nothing of the row.
        and not run.spec.command_line
    ]
    candidates.sort(key=lambda found: (found[0], found[1].run_id))
    return {_of(spec): spec for _, spec in candidates}


def _fitting(history: History, experiment: Experiment, request: Request) -> Iterable[Made]:
    """The settings of finished runs with the overrides, the profile and the data that the request names.

    Of a setting that was run on several copies of its data, the copy of the newest record.
    """
    found = [run for run in history.fitting if run.record is not None]
    if request.profile is not None:
        found = [run for run in found if run.spec.profile == request.profile]
    if request.data_root is not None:
        wanted = find_dataset(experiment, request).hashes
        found = [run for run in found if run.spec.dataset.hashes == wanted]
    found.sort(key=_finished)
    return {setting_of(r.spec): Made(r.spec.profile, r.spec.dataset) for r in found}.values()


def _finished(run: Started) -> tuple[str, str]:
    return run.record.finished_at if run.record else "", run.spec.run_id


def _nothing_run(history: History, experiment: Experiment, request: Request) -> Made:
    """The setting of a table of dashes, if the data can be found; else there is nothing to show."""
    try:
        dataset = find_dataset(experiment, request)
    except UserError:
        nothing = (
            f"{request.results}: no finished run of experiment '{experiment.name}' fits the options; "
            "run 'detboard sweep' first"
        )
        raise UserError([*history.skipped, nothing]) from None
    return Made(request.profile or experiment.profile, dataset)


def _setting_of(plan: Plan) -> Setting:
    return (plan.profile, *plan.dataset.hashes)
