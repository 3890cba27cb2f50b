"""Which runs a leaderboard shows: the newest setting on disk, unless the options choose another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmark.errors import UserError
from benchmark.experiment import Experiment, Row, load_experiment
from benchmark.plan import Plan, Planned, Request, find_dataset, look, plan_for
from benchmark.report.checkout import kept_leaderboard
from benchmark.report.document import Leaderboard, leaderboard_of
from benchmark.report.judged import judged
from benchmark.report.table import RowResult, Table
from benchmark.run import RunFolder, RunRecord, RunSpec


@dataclass(frozen=True)
class Board:
    """A leaderboard, and what stands beside it.

    Attributes:
        leaderboard: What is shown.
        configs: The composed config of each row, by name; None where the run folders are not there, so that the page
            and the plots cannot be made.
        stale: A sentence for every number that does not belong to its row as the row is now.
    """

    leaderboard: Leaderboard
    configs: Mapping[str, Mapping[str, Any]] | None
    stale: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recorded:
    """A finished run of an experiment."""

    spec: RunSpec
    record: RunRecord


def board_on_disk(request: Request) -> Board:
    """The leaderboard of the runs that the results folder holds for an experiment, over all of its rows.

    What the request leaves open (profile, data, seeds) is taken from the newest record, so that a report needs
    neither the data nor the options of the sweep. Run ids are computed again: a run whose row has changed since is
    not its row's. Without any run, as in a fresh clone, ``<experiment>.json`` in the results folder stands for them.

    Raises:
        UserError: The experiment is wrong, or the results folder has nothing of it that fits the request.
    """
    experiment = load_experiment(request.path)
    everything = recorded(request.results, experiment)
    found = _fitting(everything, experiment, request)
    if found:
        return board_of(_newest(found, experiment, request, everything), request, everything)
    if not everything and (kept := kept_leaderboard(experiment, request)) is not None:
        return Board(*kept)
    return board_of(_nothing_run(experiment, request), request, everything)


def board_of(plan: Plan, request: Request, everything: Sequence[Recorded]) -> Board:
    """The leaderboard of a plan's rows.

    Args:
        plan: The runs.
        request: The options; overrides stand in the title.
        everything: All finished runs of the experiment, to find those of other configs among.
    """
    runs: dict[str, list[Planned]] = defaultdict(list)
    for run in plan.runs:
        runs[run.spec.row].append(run)
    stale = _stale(plan, everything)
    rows = [_row_result(row, runs[row.name], stale) for row in plan.rows]
    rows_judged, images = judged(rows, request.results)
    changed = ", ".join(f"{key}={value}" for key, value in request.overrides.items())
    title = f"{plan.experiment.title} with {changed}" if changed else plan.experiment.title
    table = Table(plan.experiment.name, title, plan.profile, plan.dataset, rows_judged)
    return Board(
        leaderboard_of(table, images),
        {name: listed[0].config for name, listed in runs.items()},
        tuple(
            f"row {row}, seed {seed}: runs/{run_id} was made with another config than the row has now"
            for (row, seed), run_id in stale.items()
        ),
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


def _stale(plan: Plan, everything: Sequence[Recorded]) -> dict[tuple[str, int], str]:
    """By row and seed without a record: the id of its newest run in the same setting, made with another config."""
    empty = {(run.spec.row, run.spec.seed) for run in plan.runs if run.record is None}
    setting = (plan.profile, *plan.dataset.hashes)
    candidates = [
        run
        for run in everything
        if (run.spec.row, run.spec.seed) in empty and _setting(run.spec) == setting
    ]
    candidates.sort(key=lambda run: (run.record.finished_at, run.spec.run_id))
    return {(run.spec.row, run.spec.seed): run.spec.run_id for run in candidates}


def _fitting(
    everything: Sequence[Recorded], experiment: Experiment, request: Request
) -> list[Recorded]:
    """The runs of the profile, the data and the overrides that the request names."""
    found = list(everything)
    if request.profile is not None:
        found = [run for run in found if run.spec.profile == request.profile]
    if request.data_root is not None:
        wanted = find_dataset(experiment, request).hashes
        found = [run for run in found if run.spec.dataset.hashes == wanted]
    rows = {row.name: row for row in experiment.rows}
    exact = [
        run for run in found if _extra(run.spec, rows[run.spec.row]) == dict(request.overrides)
    ]
    # A row that has lost a key of its `set` looks like one that was given it on the command line.
    return exact or ([] if request.overrides else found)


def _newest(
    found: Sequence[Recorded],
    experiment: Experiment,
    request: Request,
    everything: Sequence[Recorded],
) -> Plan:
    """The plan of the setting of the newest record; what is known of its runs is not read again."""
    newest = max(found, key=lambda run: (run.record.finished_at, run.spec.run_id)).spec
    same = [run.spec for run in found if _setting(run.spec) == _setting(newest)]
    seeds = request.seeds or tuple(sorted({spec.seed for spec in same}))
    chosen = replace(request, seeds=seeds)
    known = {run.spec.run_id: run.record for run in everything}

    def look_up(spec: RunSpec, config: Mapping[str, Any], folder: RunFolder) -> Planned:
        record = known.get(spec.run_id)
        if record is None:
            return look(spec, config, folder)
        return Planned(spec, config, folder, record.state, record)

    return plan_for(experiment, chosen, newest.dataset, newest.profile, experiment.rows, look_up)


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


def recorded(results: Path, experiment: Experiment) -> list[Recorded]:
    """The finished runs of an experiment's rows that the results folder holds."""
    rows = {row.name for row in experiment.rows}
    found = []
    for path in sorted(results.glob("runs/*")):
        folder = RunFolder(path)
        with suppress(FileNotFoundError, NotADirectoryError):  # unfinished, or no run at all
            spec = folder.read_spec()
            if spec.experiment == experiment.name and spec.row in rows:
                found.append(Recorded(spec, folder.read_record()))
    return found


def _extra(spec: RunSpec, row: Row) -> dict[str, Any]:
    """The overrides that came from the command line."""
    return {key: value for key, value in spec.overrides.items() if key not in row.overrides}


def _setting(spec: RunSpec) -> tuple[Any, ...]:
    return (spec.profile, *spec.dataset.hashes)
