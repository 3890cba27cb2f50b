"""A study that can be run: its file, and everything that the file names, checked before a storage is touched."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import optuna

from benchmark.errors import UserError, allowed, attempt
from benchmark.experiment.experiment import Experiment, load_experiment
from benchmark.run.identity import essence
from benchmark.run.plan import Plan, Request, plan_for, plan_of
from benchmark.run.state import Planned
from benchmark.tuning.open_trial import as_trial
from benchmark.tuning.pruning import pruner_hint
from benchmark.tuning.search.space import Space
from benchmark.tuning.storage import Strategies
from benchmark.tuning.strategies import strategies_of
from benchmark.tuning.study_file import StudyFile, load_study


@dataclass(frozen=True)
class Study:
    """A study that can be run: everything that can be checked before its storage is touched is right.

    Attributes:
        file: The study file.
        request: The options, over the experiment and the row that is tuned.
        base: The plan of the row itself, with the seed that all trials train with.
        space: The search space.
        strategies: Sampler and pruner.
    """

    file: StudyFile
    request: Request
    base: Plan
    space: Space
    strategies: Strategies

    def plan_trial(self, study_id: str, number: int, params: Mapping[str, Any]) -> Planned:
        """The run of a trial of the study with this id.

        Raises:
            UserError: With every override that does not fit the row.
        """
        overrides = {**self.request.overrides, **self.space.overrides(params)}
        base = self.base
        request = replace(self.request, overrides=overrides)
        planned = plan_for(base.experiment, request, base.dataset, base.profile, base.rows)
        return as_trial(self.composed(planned.runs[0]), self.file.name, study_id, number, params)

    def composed(self, run: Planned) -> Planned:
        """A run of the row with the study file among those that it is composed from."""
        sources = (*run.spec.sources, str(self.file.path))
        return replace(run, spec=replace(run.spec, sources=sources))

    def hint(self, trials: int) -> str:
        """What is to be said of a pruner for which so many trials are too few; empty if nothing is."""
        return pruner_hint(self.file, planned_validations(self.base.runs[0].config), trials)

    def promoted(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The overrides of the row that a trial with these parameters becomes."""
        own = self.base.rows[0].overrides
        return {**own, **self.request.overrides, **self.space.overrides(params)}


def read_study(request: Request) -> Study:
    """Reads a study file and everything that it names.

    Args:
        request: The options; its path is the study file.

    Raises:
        UserError: With everything that is wrong with the file, the experiment, the data, the space, the sampler
            and the pruner.
    """
    # What Optuna calls experimental is named in the study file: nobody needs telling.
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    file = load_study(request.path)
    try:
        experiment = load_experiment(file.experiment)
    except UserError as error:
        raise UserError([f"{request.path}: experiment: {p}" for p in error.problems]) from None
    problems = _problems(file, experiment)
    base = None
    if not any(problem.startswith("row") for problem in problems):
        of_row = replace(
            request, path=file.experiment, rows=(file.row,), seeds=(_train_seed(file, experiment),)
        )
        base = attempt(problems, plan_of, experiment, of_row)
    config = dict(base.runs[0].config) if base else {}
    space = attempt(problems, Space, file.search, config, file.row) if base else None
    validations = attempt(problems, planned_validations, config)
    strategies = attempt(problems, strategies_of, file, space, validations or 1)
    if problems or not (base and space and strategies):
        raise UserError([f"{request.path}: {problem}" for problem in dict.fromkeys(problems)])
    return Study(file, of_row, base, space, strategies)


def _problems(file: StudyFile, experiment: Experiment) -> list[str]:
    problems = []
    names = [row.name for row in experiment.rows]
    if file.row not in names:
        problems.append(
            f"row: {file.experiment} has no row '{file.row}'; {allowed(file.row, names)}"
        )
    if file.name == experiment.name:
        problems.append(
            f"name: '{file.name}' is the experiment's name; give the study one of its own"
        )
    if file.train_seed in experiment.seeds:
        problems.append(
            f"train_seed: {file.train_seed} is one of the experiment's seeds, which the tuned row is measured "
            "with: a run that was chosen for its result must not be among them; choose another seed"
        )
    return problems


def _train_seed(file: StudyFile, experiment: Experiment) -> int:
    if file.train_seed is not None:
        return file.train_seed
    return next(seed for seed in range(len(experiment.seeds) + 1) if seed not in experiment.seeds)


def planned_validations(config: Mapping[str, Any]) -> int:
    """How often a training is validated: the last validation, which every training has, included.

    Raises:
        UserError: The loop's numbers are none.
    """
    loop = config.get("train_cfg") or {}
    length = loop.get("max_epochs") or loop.get("max_iters") or 1
    interval, begin = loop.get("val_interval", 1), loop.get("val_begin", 1)
    if not all(isinstance(value, int) and value > 0 for value in (length, interval, begin)):
        raise UserError(f"row: its train_cfg has numbers below 1, or none at all: {loop}")
    regular = sum(1 for done in range(interval, length + 1, interval) if done >= begin)
    return int(max(1, regular + (length % interval != 0)))


def made_for(study: Study) -> dict[str, Any]:
    """What the trials of a study have in common; plain values, as they come back from the storage."""
    base = study.base
    config = hashlib.sha256(essence(base.runs[0].config, base.dataset).encode()).hexdigest()[:8]
    select = base.experiment.select
    made: dict[str, Any] = json.loads(
        json.dumps(
            {
                **({} if select == "last" else {"validation that counts (select)": select}),
                "row": study.file.row,
                "config of that row (its parts, overrides or --set)": config,
                "profile": base.profile,
                "data set": [digest[:8] for digest in base.dataset.hashes],
                "train_seed": base.seeds[0],
                "objective": list(study.file.objectives),
                "search space": study.space.to_json(),
            }
        )
    )
    return made
