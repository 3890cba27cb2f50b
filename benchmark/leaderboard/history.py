"""Which runs of a results folder are an experiment's.

A run is an experiment's if the experiment asks for its id now, whoever started it: two experiments that ask for the
same in one results folder share the run. What else bears the experiment's name was made of something that the
experiment no longer asks for; it is known as stale.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from benchmark.experiment.experiment import Experiment
from benchmark.files import is_file
from benchmark.run.plan import Request, asked_ids
from benchmark.run.runs import Runs, Started
from benchmark.run.spec import RunSpec

Setting = tuple[
    str, str, str
]  # profile, and the hashes of the training and the validation annotations


@dataclass(frozen=True)
class History:
    """The runs of an experiment's rows that were ever started, and what of the folder could not be read.

    Attributes:
        experiment: Its name.
        overrides: Those of the command line.
        on_disk: The runs of the results folder.
        started: Those that the experiment asks for with these overrides, and those that bear its name.
        asked: Ids of runs that it asks for although their spec names another experiment, or other overrides.
        skipped: A sentence for each folder that could not be read.
    """

    experiment: str
    overrides: Mapping[str, object]
    on_disk: Runs
    started: tuple[Started, ...]
    asked: frozenset[str]
    skipped: tuple[str, ...]

    @property
    def fitting(self) -> list[Started]:
        """The runs that were started with these overrides, for rows as they are now or were."""
        return [
            run
            for run in self.started
            if run.spec.run_id in self.asked or _says(run.spec, self.experiment, self.overrides)
        ]

    def seeds(self, setting: Setting) -> set[int]:
        """The seeds that trainings were started with in a setting, with these overrides."""
        fitting = (run.spec for run in self.fitting if run.spec.trains)
        return {spec.seed for spec in fitting if setting_of(spec) == setting}


def setting_of(spec: RunSpec) -> Setting:
    """The setting that a run was started in."""
    return (spec.profile, *spec.dataset.hashes)


def history_of(experiment: Experiment, request: Request, on_disk: Runs) -> History:
    """What the results folder holds of an experiment's rows, with the overrides of a request."""
    rows = {row.name for row in experiment.rows}
    problems: list[str] = []
    of_rows = on_disk.started(lambda spec: spec.row in rows and spec.study is None, problems)
    unlike = [
        run.spec for run in of_rows if not _says(run.spec, experiment.name, request.overrides)
    ]
    asked = _asked(experiment, request, unlike, on_disk)
    name = experiment.name
    started = (r for r in of_rows if r.spec.experiment == name or r.spec.run_id in asked)
    skipped = tuple(f"skipped {problem}" for problem in problems)
    return History(name, request.overrides, on_disk, tuple(started), frozenset(asked), skipped)


def _says(spec: RunSpec, experiment: str, overrides: Mapping[str, object]) -> bool:
    return spec.experiment == experiment and spec.command_line == overrides


def _asked(
    experiment: Experiment, request: Request, specs: Iterable[RunSpec], on_disk: Runs
) -> set[str]:
    """The ids among those of some specs that the experiment asks for now."""
    wanted = {*experiment.seeds, *(request.seeds or ())}
    by_setting: dict[Setting, list[RunSpec]] = defaultdict(list)
    for spec in specs:
        asked_by = on_disk.folder(spec.run_id).asked_by
        # Of its own runs every seed that was ever started counts, of another's those that it asks or asked for: where
        # one of both divides the data, that is none.
        alike = (spec.fold is None) == (experiment.folds is None)
        own = spec.experiment == experiment.name or (alike and spec.seed in wanted)
        if own or is_file(asked_by / experiment.name):
            by_setting[setting_of(spec)].append(spec)
    asked: set[str] = set()
    for found in by_setting.values():
        names, seeds = {spec.row for spec in found}, tuple({spec.seed for spec in found})
        rows = [row for row in experiment.rows if row.name in names]
        of_seeds = replace(request, seeds=seeds)
        data, profile = found[0].dataset, found[0].profile
        asked |= asked_ids(experiment, of_seeds, data, profile, rows, on_disk)
    return asked & {spec.run_id for found in by_setting.values() for spec in found}
