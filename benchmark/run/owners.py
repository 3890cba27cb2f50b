"""Whose runs are: which row of which experiment asks for each of them as the experiments are now."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from benchmark.config.faster import option_names
from benchmark.errors import UserError
from benchmark.experiment.experiment import Experiment, Row
from benchmark.run.plan import Plan, Request, plan_for
from benchmark.run.runs import Runs
from benchmark.run.spec import RunSpec


class Kind(str, Enum):
    """What is known of whose a run is."""

    ROW = "row"  # an experiment asks for it now
    NO_ROW = "no row"  # every experiment that asked for it was looked at, and asks no more
    UNKNOWN = "unknown"  # an experiment that asked for it was not named, or cannot be composed now
    TRIAL = "trial"


@dataclass(frozen=True)
class Owner:
    """Whose a run is, and that in words."""

    kind: Kind
    words: str


@dataclass(frozen=True)
class Asked:
    """What an experiment asks for, of the settings that some runs were started in.

    Attributes:
        ids: Run ids.
        doubts: By row, why what it asks for cannot be told.
    """

    ids: frozenset[str]
    doubts: Mapping[str, str]


def asked_of(experiment: Experiment, specs: Iterable[RunSpec], on_disk: Runs) -> Asked:
    """Which runs an experiment asks for in the settings, with the overrides and seeds, that runs were started with.

    The data need not be there. A run counts for the row whose name is in its spec.
    """
    names = {row.name for row in experiment.rows}
    ids: set[str] = set()
    doubts: dict[str, str] = {}
    for like in by_setting(spec for spec in specs if spec.row in names):
        ids |= _asked_in(experiment, like, on_disk, doubts)
    return Asked(frozenset(ids), doubts)


def _asked_in(
    experiment: Experiment, specs: Sequence[RunSpec], on_disk: Runs, doubts: dict[str, str]
) -> set[str]:
    """What rows ask for in the setting of their runs; ``doubts`` takes each row that cannot be composed in it."""
    names = {spec.row for spec in specs}
    rows = [row for row in experiment.rows if row.name in names]
    with suppress(UserError):  # one that cannot be composed hides the others
        return _ids(plan_like(experiment, rows, specs, on_disk))
    ids: set[str] = set()
    for row in rows:
        try:
            ids |= _ids(plan_like(experiment, [row], specs, on_disk))
        except UserError as error:
            doubts[row.name] = error.problems[0]
    return ids


def _ids(plan: Plan) -> set[str]:
    return {run.spec.run_id for run in plan.runs}


def by_setting(specs: Iterable[RunSpec]) -> list[list[RunSpec]]:
    """Runs of one profile, on one data set, with the same ``--set``, together."""
    settings: dict[str, list[RunSpec]] = defaultdict(list)
    for spec in specs:
        setting = [spec.profile, spec.dataset.hashes, dict(spec.command_line)]
        settings[json.dumps(setting, sort_keys=True)].append(spec)
    return list(settings.values())


def plan_like(
    experiment: Experiment, rows: Sequence[Row], specs: Sequence[RunSpec], on_disk: Runs
) -> Plan:
    """The plan of rows in the setting and with the overrides of the first of some runs, and the seeds of all of them.

    Raises:
        UserError: A row cannot be composed so.
    """
    like = specs[0]
    request = Request(
        path=experiment.path,
        results=on_disk.results,
        seeds=tuple(sorted({spec.seed for spec in specs})),
        overrides=like.command_line,
        needs_data=False,
    )
    return plan_for(experiment, request, like.dataset, like.profile, rows, on_disk)


def owners_of(
    specs: Sequence[RunSpec], experiments: Sequence[Experiment], on_disk: Runs
) -> dict[str, Owner]:
    """Whose each run is, by its id.

    Args:
        specs: Of the runs.
        experiments: Those that were named. Nothing else is read: an experiment's parts are code, and a spec that
            somebody else has written may name any file.
        on_disk: The runs of the results folder.
    """
    of_rows = [spec for spec in specs if spec.study is None]
    asked = {experiment.path: asked_of(experiment, of_rows, on_disk) for experiment in experiments}
    return {spec.run_id: _owner(spec, experiments, asked, on_disk) for spec in specs}


def _owner(
    spec: RunSpec, experiments: Sequence[Experiment], asked: Mapping[Path, Asked], on_disk: Runs
) -> Owner:
    if spec.study is not None:
        return Owner(Kind.TRIAL, f"trial {spec.trial} of study {spec.experiment}")
    asking = [one.name for one in experiments if spec.run_id in asked[one.path].ids]
    if asking:
        changed = f", with {option_names(spec.command_line)}" if spec.command_line else ""
        return Owner(Kind.ROW, f"row {spec.row} of {', '.join(dict.fromkeys(asking))}{changed}")
    doubts = [
        f"row {spec.row} of {one.name} cannot be composed: {doubt}"
        for one in experiments
        if (doubt := asked[one.path].doubts.get(spec.row)) is not None
    ]
    unnamed = [
        f"row {spec.row} of {name}, not looked at" for name in _unnamed(spec, experiments, on_disk)
    ]
    if doubts or unnamed:
        return Owner(Kind.UNKNOWN, (doubts or unnamed)[0])
    has_row = any(row.name == spec.row for one in experiments for row in one.rows)
    why = "has another config now" if has_row else "is gone"
    return Owner(Kind.NO_ROW, f"no row: {spec.row} of {spec.experiment} {why}")


def askers_of(spec: RunSpec, on_disk: Runs) -> list[str]:
    """Names of the experiments that asked for a run, as far as its folder tells."""
    noted = on_disk.folder(spec.run_id).asked_by
    names = sorted(path.name for path in noted.iterdir()) if noted.is_dir() else []
    return list(dict.fromkeys([spec.experiment, *names]))


def _unnamed(spec: RunSpec, experiments: Sequence[Experiment], on_disk: Runs) -> list[str]:
    """Experiments that asked for a run and are not among those that were named.

    Two files may give their experiments one name: where the file of the run's own is there, it must be among them.
    """
    known = {experiment.name for experiment in experiments}
    paths = {experiment.path for experiment in experiments}
    own = Path(spec.sources[0]) if spec.sources else None
    other = own is not None and own not in paths and own.is_file()
    names = [name for name in askers_of(spec, on_disk) if name not in known]
    return names or ([f"{spec.experiment} ({own})"] if other else [])
