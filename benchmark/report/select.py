"""Which runs a table shows: the newest setting on disk, unless the options choose another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmark.errors import UserError
from benchmark.experiment import Experiment, load_experiment
from benchmark.plan import Plan, Request, find_dataset, plan_for
from benchmark.report.table import RowResult, Table
from benchmark.run import RunFolder, RunRecord, RunSpec


@dataclass(frozen=True)
class _Recorded:
    spec: RunSpec
    record: RunRecord


def table_of(plan: Plan, overrides: Mapping[str, Any]) -> Table:
    """The table of a plan's rows; ``overrides`` from the command line stand in its title."""
    results = []
    for row in plan.rows:
        runs = [run for run in plan.runs if run.spec.row == row.name]
        seeds = tuple(run.spec.seed for run in runs)
        records = tuple(run.record for run in runs)
        results.append(RowResult(row, seeds, records, tuple(run.state for run in runs)))
    changed = ", ".join(f"{key}={value}" for key, value in overrides.items())
    title = f"{plan.experiment.title} with {changed}" if changed else plan.experiment.title
    return Table(plan.experiment.name, title, plan.profile, plan.dataset, tuple(results))


def plan_on_disk(request: Request) -> Plan:
    """The plan of the runs that the results folder holds for an experiment, over all of its rows.

    What the request leaves open (profile, data, seeds) is taken from the newest record, so that a report needs
    neither the data nor the options of the sweep. Run ids are computed again: a run whose row has changed since is
    not its row's.

    Raises:
        UserError: The experiment is wrong, or the results folder has no run of it that fits the request.
    """
    experiment = load_experiment(request.path)
    found = _recorded(request.results, experiment)
    if request.profile is not None:
        found = [run for run in found if run.spec.profile == request.profile]
    if request.data_root is not None:
        wanted = find_dataset(experiment, request).hashes
        found = [run for run in found if run.spec.dataset.hashes == wanted]
    found = [run for run in found if _extra(run.spec, experiment) == dict(request.overrides)]
    if not found:
        return _nothing_run(experiment, request)
    newest = max(found, key=lambda run: (run.record.finished_at, run.spec.run_id)).spec
    same = [run.spec for run in found if _setting(run.spec) == _setting(newest)]
    seeds = request.seeds or tuple(sorted({spec.seed for spec in same}))
    chosen = replace(request, seeds=seeds)
    return plan_for(experiment, chosen, newest.dataset, newest.profile, experiment.rows)


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


def _recorded(results: Path, experiment: Experiment) -> list[_Recorded]:
    rows = {row.name for row in experiment.rows}
    folders = [RunFolder(path.parent) for path in sorted(results.glob("runs/*/record.json"))]
    specs = [(folder, folder.read_spec()) for folder in folders if folder.spec_file.exists()]
    return [
        _Recorded(spec, folder.read_record())
        for folder, spec in specs
        if spec.experiment == experiment.name and spec.row in rows
    ]


def _extra(spec: RunSpec, experiment: Experiment) -> dict[str, Any]:
    """The overrides that came from the command line."""
    own = next(row.overrides for row in experiment.rows if row.name == spec.row)
    return {key: value for key, value in spec.overrides.items() if key not in own}


def _setting(spec: RunSpec) -> tuple[Any, ...]:
    return (spec.profile, *spec.dataset.hashes)
