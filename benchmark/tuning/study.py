"""A study that can be run: its file, and everything that the file names, checked before a storage is touched."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import optuna

from benchmark.config.tree import Config, Overrides
from benchmark.errors import UserError, allowed, attempt
from benchmark.experiment.experiment import Experiment, Row, load_experiment
from benchmark.run.identity import essence
from benchmark.run.plan import Plan, Request, plan_for, plan_of
from benchmark.run.state import Planned
from benchmark.statistics.scores import SCORES
from benchmark.tuning.informed import LEARNERS
from benchmark.tuning.open_trial import as_trial
from benchmark.tuning.overruled import overruled
from benchmark.tuning.pooled import ended, pooled
from benchmark.tuning.pruning import pruner_hint
from benchmark.tuning.search.space import Space
from benchmark.tuning.storage import Strategies
from benchmark.tuning.strategies import NO_PRUNER, strategies_of
from benchmark.tuning.study_file import StudyFile, load_study
from benchmark.tuning.subject import misfits, settings_of, with_settings

_ON_VAL = (
    "the source rows' boxes of seed {} on the validation images: its score on them is too high"
)
_IN_FOLDS = (
    "the source rows' out-of-fold boxes of seed {}, {} folds together: no source row that is trained here has seen an "
    "image whose boxes count. The board's folds are of the same images"
)
_FAIR = {
    "val": "What it is worth, only images tell that had no part in it: a test split, a hidden leaderboard",
    "test": "The test split, which judges the board's rows, had no part in it",
}

_OF_FOLD = (
    "fold {} of {} alone: no trial is judged on another. The tuned row is trained on all folds, and its value on this "
    "one is of the images that chose its settings"
)


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
        runs = self._plan(self.space.overrides(params)).runs
        run = runs[0] if self.trains else pooled([r for r in runs if r.spec.seed == self.seed])
        if run.spec.pseudo is not None:
            # A trial's values are the row's own: it learns the boxes of the run that the row itself does.
            made_from = self.base.runs[0].spec.made_from
            run = replace(run, spec=replace(run.spec, made_from=made_from))
        return as_trial(self.composed(run), self.file.name, study_id, number, params)

    def run_with(self, overrides: Overrides) -> Planned:
        """The run of the row with these key paths set as a trial sets them.

        Raises:
            UserError: With every one that does not fit the row.
        """
        return self._plan(overrides).runs[0]

    def _plan(self, overrides: Overrides) -> Plan:
        base, request = self.base, self.request
        if self.trains:
            fold = base.dataset.fold.number if base.dataset.fold else None
            request = replace(request, overrides=_then(request.overrides, overrides), fold=fold)
            return plan_for(base.experiment, request, base.dataset, base.profile, base.rows)
        rows = (with_settings(base.rows[0], overrides),)
        return plan_for(base.experiment, request, base.dataset, base.profile, rows)

    @property
    def trains(self) -> bool:
        """Whether a trial is a training, and not other rows' boxes fused."""
        return not self.base.rows[0].recipe.is_tuned

    @property
    def learns(self) -> bool:
        """Whether the sampler learns from complete trials of another study, see `benchmark.tuning.informed`."""
        return self.strategies.sampler_words.partition("(")[0] in LEARNERS

    @property
    def fitted_on(self) -> str:
        """On which boxes the values of a fused row are fitted, and what that means; empty of a row that trains."""
        if self.trains:
            return ""
        fold = self.base.dataset.fold
        on = _IN_FOLDS.format(self.seed, fold.count) if fold else _ON_VAL.format(self.seed)
        return f"{on}. {_FAIR[self.base.experiment.judge]}"

    @property
    def seed(self) -> int:
        """The seed of every trial's run; rows of given boxes have seeds that nobody asks for."""
        return self.base.runs[0].spec.seed

    @property
    def data(self) -> str:
        """The data set's name, and of divided data the fold that trials are trained and judged on."""
        name, fold = self.base.dataset.name, self.base.dataset.fold
        return (
            f"{name}, {_OF_FOLD.format(fold.number, fold.count)}" if fold and self.trains else name
        )

    def composed(self, run: Planned) -> Planned:
        """A run of the row with the study file among those that it is composed from."""
        sources = (*run.spec.sources, str(self.file.path))
        return replace(run, spec=replace(run.spec, sources=sources))

    def hint(self, trials: int) -> str:
        """What is to be said of a pruner for which so many trials are too few; empty if nothing is."""
        return pruner_hint(self.file, planned_validations(self.base.runs[0].config), trials)

    def promoted(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """What is set in the row that a trial with these parameters becomes, by key path of its config or recipe."""
        if not self.trains:
            return self.space.overrides(params)
        own = self.base.rows[0].overrides
        return _then({**own, **self.request.overrides}, self.space.overrides(params))


def _then(given: Mapping[str, object], searched: Overrides) -> dict[str, Any]:
    """What is searched after what is given: a key of both would keep its place before a mapping that it lies in."""
    return {**{key: value for key, value in given.items() if key not in searched}, **searched}


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
    row = next((row for row in experiment.rows if row.name == file.row), None)
    problems = _problems(file, experiment, row)
    base = None
    if row is not None:
        base, of_row = _base(
            problems, replace(request, path=file.experiment), file, experiment, row
        )
        file = file if not row.recipe.is_tuned else file.model_copy(update={"pruner": NO_PRUNER})
    config = dict(base.runs[0].config) if base else {}
    space = attempt(problems, _space, file, row, config) if base and row else None
    validations = attempt(problems, planned_validations, config)
    strategies = attempt(problems, strategies_of, file, space, validations or 1)
    study = None
    if base and space and strategies:
        study = Study(file, of_row, base, space, strategies)
        problems += overruled(study)
    if problems or study is None:
        raise UserError([f"{request.path}: {problem}" for problem in dict.fromkeys(problems)])
    return study


def _base(
    problems: list[str], request: Request, file: StudyFile, experiment: Experiment, row: Row
) -> tuple[Plan | None, Request]:
    """The plan of the row with the seed of all trials, of a fused row the first of which it has a run."""
    seeds = experiment.seeds if row.recipe.is_tuned else [_train_seed(file, experiment)]
    for seed in seeds:
        of_row = replace(request, rows=(row.name,), seeds=(seed,))
        base = attempt(problems, plan_of, experiment, of_row)
        if base is None or base.runs:
            break
    if base and not base.runs:
        problems.append(f"row: '{row.name}' has no run of any of the experiment's seeds")
        return None, of_row
    if base and row.recipe.is_tuned and not base.runs[0].spec.validates:
        problems.append(
            f"row: '{row.name}' is made from rows that are trained on train and val together (train_on: all), so that "
            "nothing judges a trial; tune it over rows without that"
        )
    return base, of_row


def _space(file: StudyFile, row: Row, config: Config) -> Space:
    """The search space over a row's config, or over its recipe.

    Raises:
        UserError: With everything that is wrong with it.
    """
    settings = settings_of(row, config)
    if not settings:
        raise UserError(
            f"row: '{row.name}' has nothing to tune: its boxes are not made here, or by another row's config; tune "
            "that row, or one of 'fuse'"
        )
    space = Space(file.search, settings, file.row)
    if row.recipe.is_tuned and (problems := misfits(row, space)):
        raise UserError(problems)
    return space


def _problems(file: StudyFile, experiment: Experiment, row: Row | None) -> list[str]:
    problems = []
    if row is None:
        names = [known.name for known in experiment.rows]
        problems.append(
            f"row: {file.experiment} has no row '{file.row}'; {allowed(file.row, names)}"
        )
    if row is not None and experiment.trains_on_all(row):
        problems.append(
            f"row: '{file.row}' is trained on train and val together (train_on: all), so that no validation judges a "
            "trial; tune a row without it, and give it to the tuned row"
        )
    if file.name == experiment.name:
        problems.append(
            f"name: '{file.name}' is the experiment's name; give the study one of its own"
        )
    if row is not None and row.recipe.is_tuned:
        return [*problems, *_of_no_training(file)]
    if file.train_seed in experiment.seeds:
        problems.append(
            f"train_seed: {file.train_seed} is one of the experiment's seeds, which the tuned row is measured "
            "with: a run that was chosen for its result must not be among them; choose another seed"
        )
    return problems


def _of_no_training(file: StudyFile) -> list[str]:
    """What a study asks for that only a row has which trains."""
    asked = {"pruner": file.pruner is not None, "train_seed": file.train_seed is not None}
    whys = {
        "pruner": "a trial is one evaluation, of which nothing can be pruned",
        "train_seed": "nothing is trained: a trial fuses the boxes of the experiment's first seed",
    }
    costs = [name for name in file.objectives if name not in SCORES]
    return [
        *(f"{key}: row '{file.row}' is fused: {whys[key]}; drop it" for key in asked if asked[key]),
        *(f"objective: row '{file.row}' is fused: it has no {name}; drop it" for name in costs),
    ]


def _train_seed(file: StudyFile, experiment: Experiment) -> int:
    if file.train_seed is not None:
        return file.train_seed
    return next(seed for seed in range(len(experiment.seeds) + 1) if seed not in experiment.seeds)


def planned_validations(config: Mapping[str, Any]) -> int:
    """How often a training is validated: the last validation, which every training has, included.

    Raises:
        UserError: The loop's numbers are none.
    """
    return len(validated_at(config))


def validated_at(config: Mapping[str, Any]) -> list[int]:
    """After how many epochs, or iterations where it counts these, a training is validated; the last is its length.

    Raises:
        UserError: The loop's numbers are none.
    """
    loop = config.get("train_cfg") or {}
    length = loop.get("max_epochs") or loop.get("max_iters") or 1
    interval, begin = loop.get("val_interval", 1), loop.get("val_begin", 1)
    if not all(isinstance(value, int) and value > 0 for value in (length, interval, begin)):
        raise UserError(f"row: its train_cfg has numbers below 1, or none at all: {loop}")
    regular = [done for done in range(interval, length + 1, interval) if done >= begin]
    return regular if regular[-1:] == [length] else [*regular, length]


_CONFIG = "config of that row (its parts, overrides or --set)"
_RECIPE = "setting of that row, or the runs that it is fused from"


def _essence(study: Study) -> str:
    """What makes the runs of the row what they are."""
    base = study.base
    if study.trains:
        return essence(base.runs[0].config, base.dataset)
    return json.dumps([base.rows[0].recipe.model_dump(mode="json"), ended(base.runs)])


def made_for(study: Study) -> dict[str, Any]:
    """What the trials of a study have in common; plain values, as they come back from the storage."""
    base = study.base
    config = hashlib.sha256(_essence(study).encode()).hexdigest()[:8]
    select = base.experiment.select
    made: dict[str, Any] = json.loads(
        json.dumps(
            {
                **({} if select == "last" else {"validation that counts (select)": select}),
                "row": study.file.row,
                _CONFIG if study.trains else _RECIPE: config,
                "profile": base.profile,
                "data set": [digest[:8] for digest in base.dataset.hashes],
                "train_seed": base.seeds[0],
                "objective": list(study.file.objectives),
                "search space": study.space.to_json(),
            }
        )
    )
    return made
