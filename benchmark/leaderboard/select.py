"""Which runs a leaderboard shows: the newest setting on disk, unless the options choose another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmark.errors import UserError, attempt
from benchmark.experiment.experiment import Experiment, Row, load_experiment
from benchmark.leaderboard.checkout import kept_report
from benchmark.leaderboard.document import Report, leaderboard_of
from benchmark.leaderboard.judge import judged
from benchmark.leaderboard.results import RowResult, Table
from benchmark.run.folder import RunFolder
from benchmark.run.plan import Plan, Request, find_dataset, plan_for, with_seeds
from benchmark.run.record import RunRecord
from benchmark.run.spec import RunSpec
from benchmark.run.state import Planned, look


@dataclass(frozen=True)
class Started:
    """A run of an experiment that has a folder, and its record if it has ended."""

    spec: RunSpec
    record: RunRecord | None


@dataclass(frozen=True)
class Runs:
    """The runs of an experiment's rows in a results folder, and what of the folder could not be read."""

    started: tuple[Started, ...]
    skipped: tuple[str, ...]

    @cached_property
    def _records(self) -> dict[str, RunRecord | None]:
        return {run.spec.run_id: run.record for run in self.started}

    def look_up(self, spec: RunSpec, config: Mapping[str, Any], folder: RunFolder) -> Planned:
        """What became of a run; a record that was read is not read again."""
        record = self._records.get(spec.run_id)
        if record is None:
            return look(spec, config, folder)
        return Planned(spec, config, folder, record.state, record)

    def seeds(self, setting: tuple[Any, ...], overrides: Mapping[str, Any]) -> set[int]:
        """The seeds that were started in a setting with these overrides from the command line."""
        return {
            run.spec.seed
            for run in self.started
            if _setting(run.spec) == setting and run.spec.command_line == overrides
        }


def report_on_disk(request: Request) -> Report:
    """The leaderboard of the runs that the results folder holds for an experiment, over all of its rows.

    What the request leaves open (profile, data, seeds) is taken from the newest record, so that a report needs
    neither the data nor the options of the sweep. Run ids are computed again: a run whose row has changed since is
    not its row's. Without any run, as in a fresh clone, ``<experiment>.json`` in the results folder stands for them.

    Raises:
        UserError: The experiment is wrong, or the results folder has nothing of it that fits the request.
    """
    experiment = load_experiment(request.path)
    runs = runs_on_disk(request.results, experiment)
    fitting = _fitting(runs, experiment, request)
    if fitting:
        return report_of(_newest(fitting, experiment, request, runs), request, runs)
    if not runs.started and not runs.skipped:
        kept = kept_report(experiment, request)
        if kept is not None:
            return kept
    return report_of(_nothing_run(experiment, request), request, runs)


def report_of_sweep(plan: Plan, request: Request) -> Report:
    """The leaderboard after a sweep: the plan's rows as they are now, with every seed ever started in its setting.

    So it is what `report_on_disk` gives for the same options, whichever seeds the sweep was asked for.
    """
    runs = runs_on_disk(request.results, plan.experiment)
    seeds = runs.seeds(_setting_of(plan), request.overrides)
    asked = tuple(runs.look_up(run.spec, run.config, run.folder) for run in plan.runs)
    now = with_seeds(replace(plan, runs=asked), request, seeds, runs.look_up)
    return report_of(now, request, runs)


def report_of(plan: Plan, request: Request, runs: Runs) -> Report:
    """The leaderboard of a plan's rows.

    Args:
        plan: The runs.
        request: The options; overrides stand in the title.
        runs: All runs of the experiment, to find those of other configs among.
    """
    planned: dict[str, list[Planned]] = defaultdict(list)
    for run in sorted(plan.runs, key=lambda run: run.spec.seed):
        planned[run.spec.row].append(run)
    stale = _stale(plan, runs)
    rows = [_row_result(row, planned[row.name], stale) for row in plan.rows]
    rows_judged, images = judged(rows, request.results)
    changed = ", ".join(f"{key}={value}" for key, value in request.overrides.items())
    title = f"{plan.experiment.title} with {changed}" if changed else plan.experiment.title
    table = Table(plan.experiment.name, title, plan.profile, plan.dataset, rows_judged)
    return Report(
        leaderboard_of(table, images),
        {name: listed[0].config for name, listed in planned.items()},
        tuple(
            f"row {row}, seed {seed}: runs/{run_id} was made with another config than the row has now"
            for (row, seed), run_id in stale.items()
        ),
        runs.skipped,
    )


def _row_result(
    row: Row, runs: Sequence[Planned], stale: Mapping[tuple[str, int], str]
) -> RowResult:
    seeds = tuple(run.spec.seed for run in runs)
    return RowResult(
        row,
        seeds,
        records=tuple(run.record for run in runs),
        states=tuple(run.state for run in runs),
        stale=tuple(stale[row.name, seed] for seed in seeds if (row.name, seed) in stale),
    )


def _stale(plan: Plan, runs: Runs) -> dict[tuple[str, int], str]:
    """By row and seed without a record: the id of its newest run in the same setting, made with another config."""
    empty = {(run.spec.row, run.spec.seed) for run in plan.runs if run.record is None}
    setting = _setting_of(plan)
    candidates = [
        (run.record.finished_at, run.spec)
        for run in runs.started
        if run.record is not None
        and (run.spec.row, run.spec.seed) in empty
        and _setting(run.spec) == setting
        # A trial with --set says nothing of the row.
        and not run.spec.command_line
    ]
    candidates.sort(key=lambda found: (found[0], found[1].run_id))
    return {(spec.row, spec.seed): spec.run_id for _, spec in candidates}


def _fitting(runs: Runs, experiment: Experiment, request: Request) -> list[Started]:
    """The finished runs of the profile, the data and the overrides that the request names."""
    found = [run for run in runs.started if run.record is not None]
    if request.profile is not None:
        found = [run for run in found if run.spec.profile == request.profile]
    if request.data_root is not None:
        wanted = find_dataset(experiment, request).hashes
        found = [run for run in found if run.spec.dataset.hashes == wanted]
    return [run for run in found if run.spec.command_line == request.overrides]


def _newest(
    fitting: Sequence[Started], experiment: Experiment, request: Request, runs: Runs
) -> Plan:
    """The plan of the setting of the newest record; what is known of its runs is not read again."""
    newest = max(fitting, key=_finished).spec
    seeds = request.seeds or tuple(runs.seeds(_setting(newest), request.overrides))
    chosen = replace(request, seeds=seeds)
    return plan_for(
        experiment, chosen, newest.dataset, newest.profile, experiment.rows, runs.look_up
    )


def _finished(run: Started) -> tuple[str, str]:
    return run.record.finished_at if run.record else "", run.spec.run_id


def _nothing_run(experiment: Experiment, request: Request) -> Plan:
    """A table of dashes, if the data can be found; else there is nothing to show."""
    try:
        dataset = find_dataset(experiment, request)
    except UserError:
        raise UserError(
            f"{request.results}: no finished run of experiment '{experiment.name}' fits the options; "
            "run 'detboard sweep' first"
        ) from None
    profile = request.profile or experiment.profile
    return plan_for(experiment, request, dataset, profile, experiment.rows)


def runs_on_disk(results: Path, experiment: Experiment) -> Runs:
    """The runs of an experiment's rows that the results folder holds."""
    rows = {row.name for row in experiment.rows}
    started: list[Started] = []
    skipped: list[str] = []
    for path in sorted(results.glob("runs/*"), key=lambda path: path.name):
        run = attempt(skipped, _started, RunFolder(path), experiment.name)
        if run is not None and run.spec.row in rows:
            started.append(run)
    return Runs(tuple(started), tuple(f"skipped {problem}" for problem in skipped))


def _started(folder: RunFolder, experiment: str) -> Started | None:
    """A run of the experiment, None if the folder holds another's or none.

    Raises:
        UserError: A file of it is damaged.
    """
    try:
        spec = folder.read_spec()
    except (FileNotFoundError, NotADirectoryError):
        return None
    if spec.experiment != experiment:
        return None
    with suppress(FileNotFoundError):
        return Started(spec, folder.read_record())
    return Started(spec, None)


def _setting(spec: RunSpec) -> tuple[Any, ...]:
    return (spec.profile, *spec.dataset.hashes)


def _setting_of(plan: Plan) -> tuple[Any, ...]:
    return (plan.profile, *plan.dataset.hashes)
