"""Optuna's samplers and pruners by their own names and arguments; what is wrong with them Optuna says itself."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any

import optuna
from pydantic import TypeAdapter, ValidationError

from benchmark.errors import UserError, allowed, attempt
from benchmark.tuning.sampler_state import load_carefully
from benchmark.tuning.seeding import PerTrialSampler
from benchmark.tuning.storage import Strategies
from benchmark.tuning.study_file import Strategy, StudyFile
from benchmark.validation import objection

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

    from benchmark.tuning.search.space import Space

SAMPLERS = (
    "TPESampler",
    "GPSampler",
    "CmaEsSampler",
    "RandomSampler",
    "GridSampler",
    "BruteForceSampler",
    "QMCSampler",
    "NSGAIISampler",
    "NSGAIIISampler",
)
PRUNERS = (
    "HyperbandPruner",
    "SuccessiveHalvingPruner",
    "MedianPruner",
    "PercentilePruner",
    "PatientPruner",
    "ThresholdPruner",
    "NopPruner",
)

# These visit a fixed set of points in an order that the seed decides: every trial needs the same seed.
_ONE_ORDER = ("GridSampler", "QMCSampler")
# These end a study when they have visited every point that there is.
VISIT_ALL = ("GridSampler", "BruteForceSampler")
_SINGLE_OBJECTIVE = ("CmaEsSampler",)

_TRIES = 12  # TPE and GP draw at random before that, unless told otherwise
_MOST_TRIES = 200
_MOST_STEPS = 20

_MOST_TWINS = 4


@dataclass(frozen=True)
class _Kind:
    """Samplers or pruners.

    Attributes:
        field: Their field in the study file.
        module: Optuna's module of them.
        names: The classes that a study file may name.
    """

    field: str
    module: ModuleType
    names: tuple[str, ...]

    def unknown(self, name: str) -> list[str]:
        """What is wrong with the name of a class: a message, or nothing."""
        return (
            []
            if name in self.names
            else [f"{self.field}: no '{name}' here; {allowed(name, self.names)}"]
        )

    def parameters(self, name: str) -> dict[str, Any]:
        """The arguments of a class, with their defaults."""
        signature = inspect.signature(getattr(self.module, name))
        return {key: parameter.default for key, parameter in signature.parameters.items()}


_SAMPLER = _Kind("sampler", optuna.samplers, SAMPLERS)
_PRUNER = _Kind("pruner", optuna.pruners, PRUNERS)

_FORMER = {"sampler": {"type": "TPESampler"}, "pruner": {"type": "HyperbandPruner"}}
NO_PRUNER = Strategy(type="NopPruner")


def default_sampler() -> Strategy:
    """The sampler of a study whose file names none: TPE that draws five trials at random, not ten."""
    return Strategy(type="TPESampler", arguments={"n_startup_trials": 5})


def default_pruner(validations: int) -> Strategy:
    """The pruner of a study whose file names none: after a third of its validations the best third goes on.

    On recorded spaces (`perf/tuning.py`) validations before that said too little of the last one.

    Args:
        validations: Number of validations of a training.
    """
    arguments = {"min_resource": max(1, validations // 3), "reduction_factor": 3}
    return Strategy(type="SuccessiveHalvingPruner", arguments=arguments)


def defaults(validations: int) -> dict[str, Any]:
    """Both as plain values: a study keeps those that it was begun with; see `kept`."""
    chosen = {"sampler": default_sampler(), "pruner": default_pruner(validations)}
    return {name: strategy.model_dump() for name, strategy in chosen.items()}


def kept(file: StudyFile, begun_with: Mapping[str, Any]) -> StudyFile:
    """The study file with the defaults of when its study was begun, where it names no sampler or no pruner.

    Args:
        file: The study file.
        begun_with: These defaults, see `defaults`; empty of a study that an earlier version began.
    """
    known = begun_with or _FORMER
    unnamed = [name for name in _FORMER if getattr(file, name) is None]
    if len(file.objectives) > 1:
        unnamed = [name for name in unnamed if name != "pruner"]
    return file.model_copy(update={name: Strategy.model_validate(known[name]) for name in unnamed})


def strategies_of(file: StudyFile, space: Space | None, validations: int) -> Strategies:
    """The study's sampler and pruner, tried on a few trials in memory.

    Args:
        file: The study file.
        space: The search space; None if it is wrong, and only the strategies' own problems are of interest.
        validations: Number of validations of the row's own training: Hyperband's largest resource.

    Raises:
        UserError: With every problem: names, arguments, and what the sampler cannot do with this space or these
            objectives.
    """
    problems: list[str] = []
    sampler = attempt(problems, sampler_of, file, space)
    pruner = attempt(problems, pruner_of, file, validations)
    if problems or not (sampler and pruner):
        raise UserError(problems)
    if space is not None:
        _try(file, space, validations)
    # Towards its end GridSampler hands out the points that still run, again and again.
    once = file.sampler is not None and file.sampler.type == "GridSampler"
    return Strategies(
        sampler[0], pruner[0], sampler[1], pruner[1], most_twins=1 if once else _MOST_TWINS
    )


def _try(file: StudyFile, space: Space, validations: int) -> None:
    """Some trials in memory: many arguments are only objected to when a trial is drawn or judged.

    Raises:
        UserError: Optuna has objected.
    """
    # Made anew, so that the study's own sampler and pruner have seen nothing.
    sampler, pruner = sampler_of(file, space)[0], pruner_of(file, validations)[0]
    study = optuna.create_study(sampler=sampler, pruner=pruner, directions=file.directions)
    study.stop = lambda: None  # type: ignore[method-assign]
    study.enqueue_trial(space.published())
    steps = range(1, min(validations, _MOST_STEPS) + 1) if len(file.objectives) == 1 else ()
    for number in range(_tries(file)):
        with _objections(_SAMPLER, file.sampler):
            trial = study.ask()
            space.suggest(trial)
        with _objections(_PRUNER, file.pruner):
            for step in steps:
                trial.report(1.0 / (step + number), step)
                trial.should_prune()
        with _objections(_SAMPLER, file.sampler):
            study.tell(trial, [float(number)] * len(file.objectives))


def _tries(file: StudyFile) -> int:
    """As many trials as a sampler draws at random, and two more."""
    startup = file.sampler.arguments.get("n_startup_trials", 0) if file.sampler else 0
    return max(_TRIES, min(int(startup), _MOST_TRIES) + 2)


@contextmanager
def _objections(kind: _Kind, strategy: Strategy | None) -> Iterator[None]:
    """Words whatever Optuna objects to."""
    try:
        yield
    except Exception as error:
        # GridSampler looks for the grid point of the trial that was enqueued; `Store.tell` knows.
        if isinstance(error, KeyError) and error.args == ("grid_id",):
            return
        raise UserError(
            f"{kind.field}: Optuna says: {_words_of(error)}{_arguments_of(kind, strategy)}"
        ) from None


def _words_of(error: Exception) -> str:
    if isinstance(error, ZeroDivisionError):
        return f"{error}: a number is too small"
    return f"KeyError: {error}" if isinstance(error, KeyError) else str(error)


def _arguments_of(kind: _Kind, strategy: Strategy | None) -> str:
    if strategy is None or not strategy.arguments:
        return ""
    return f"; arguments of {strategy.type}: {', '.join(kind.parameters(strategy.type))}"


def sampler_of(file: StudyFile, space: Space | None) -> tuple[BaseSampler, str]:
    """The study's sampler, and its name with its arguments; see `strategies_of`."""
    strategy = file.sampler or default_sampler()
    name, arguments = strategy.type, dict(strategy.arguments)
    problems = _SAMPLER.unknown(name)
    if len(file.objectives) > 1 and name in _SINGLE_OBJECTIVE:
        others = ", ".join(other for other in SAMPLERS if other not in _SINGLE_OBJECTIVE)
        problems.append(f"sampler: {name} takes one objective; allowed with two: {others}")
    if problems:
        raise UserError(problems)
    seed = arguments.pop("seed", file.seed)
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise UserError(f"sampler: seed: give a whole number from 0 to 4294967295 (got {seed!r})")
    filled = {**_defaults(name, arguments, space), **arguments}
    whole = Strategy(type=name, arguments=filled)
    make = _maker(_SAMPLER, whole)
    load_carefully()
    with _objections(_SAMPLER, whole):
        made = PerTrialSampler(lambda number: make(seed=number), seed, name not in _ONE_ORDER)
    shown = {key: value for key, value in filled.items() if key != "search_space"}
    return made, _words(name, {**shown, "seed": seed})


def _defaults(name: str, given: Mapping[str, Any], space: Space | None) -> dict[str, Any]:
    """What suits a training: parameters are chosen together, and trials that still run are counted in."""
    if name == "GridSampler":
        if "search_space" in given:
            raise UserError(
                "sampler: GridSampler takes its grid from 'search': drop 'search_space'"
            )
        return {"search_space": space.grid() if space else {}}
    if name != "TPESampler" or given.get("multivariate") is False:
        return {}
    return {
        "multivariate": True,
        "constant_liar": True,
        "group": space is not None and space.conditional,
    }


def pruner_of(file: StudyFile, validations: int) -> tuple[BasePruner, str]:
    """The study's pruner, and its name with its arguments; see `strategies_of`."""
    if len(file.objectives) > 1:
        if file.pruner not in (None, NO_PRUNER):
            raise UserError(
                "pruner: Optuna cannot prune a study with two objectives; drop 'pruner', or an objective"
            )
        return optuna.pruners.NopPruner(), "none (two objectives: no trial is pruned)"
    strategy = file.pruner or default_pruner(validations)
    if strategy.type == "HyperbandPruner":
        # Optuna's "auto" prunes nothing before a trial is complete, and each driver finds a value of its own.
        filled = {"max_resource": validations, **strategy.arguments}
        strategy = Strategy(type=strategy.type, arguments=filled)
    made = _made(_PRUNER, strategy)
    return made, "none" if strategy == NO_PRUNER else _words(strategy.type, strategy.arguments)


def _made(kind: _Kind, strategy: Strategy) -> Any:
    if problems := kind.unknown(strategy.type):
        raise UserError(problems)
    make = _maker(kind, strategy)
    with _objections(kind, strategy):
        return make()


def _maker(kind: _Kind, strategy: Strategy) -> Callable[..., Any]:
    """Makes the strategy with its arguments, and with those that the call adds.

    Raises:
        UserError: With every argument that is unknown or missing, and every number that is none.
    """
    whose, known, given = (
        f"{kind.field}: {strategy.type}",
        kind.parameters(strategy.type),
        strategy.arguments,
    )
    problems = [
        f"{whose} has no argument '{name}'; {allowed(name, known)}"
        for name in given
        if name not in known
    ]
    needed = [name for name, default in known.items() if default is inspect.Parameter.empty]
    problems += [f"{whose} needs '{name}'" for name in needed if name not in given]
    arguments = {
        name: attempt(problems, _argument, kind, f"{whose}.{name}", value, known[name])
        for name, value in given.items()
        if name in known
    }
    if problems:
        raise UserError(problems)
    return partial(getattr(kind.module, strategy.type), **arguments)


def _argument(kind: _Kind, whose: str, value: Any, default: Any) -> Any:
    """An argument; a sampler or pruner within the strategy is made, and a number is one where Optuna's default is."""
    if whose.endswith(f"_{kind.field}"):
        return _made(kind, _named(kind, whose, value))
    if type(default) not in (bool, int, float):
        return value
    try:
        return TypeAdapter(type(default)).validate_python(value, strict=True)
    except ValidationError as error:
        raise UserError(f"{whose}: {objection(error.errors()[0])} (got {value!r})") from None


def _named(kind: _Kind, whose: str, value: Any) -> Strategy:
    try:
        return Strategy.model_validate(value)
    except ValidationError:
        raise UserError(
            f"{whose}: name a strategy, as in {{type: {kind.names[0]}}} (got {value!r})"
        ) from None


def _words(name: str, arguments: Mapping[str, Any]) -> str:
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in arguments.items())})"
