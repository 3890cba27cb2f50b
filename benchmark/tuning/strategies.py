"""Optuna's samplers and pruners by their own names and arguments, seeded so that a resume repeats nothing."""

from __future__ import annotations

import inspect
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import optuna
from pydantic import TypeAdapter, ValidationError

from benchmark.errors import UserError, allowed, attempt
from benchmark.tuning.storage import Strategies
from benchmark.tuning.study_file import Strategy, StudyFile

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler
    from optuna.study import Study
    from optuna.trial import FrozenTrial, TrialState

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
_SINGLE_OBJECTIVE = ("CmaEsSampler",)
_PLAIN = {"int": int, "float": float, "bool": bool, "str": str, "None": None}

_TRIES = 12  # TPE and GP draw at random before that, unless told otherwise

_MOST_TWINS = 4

_DEFAULT_SAMPLER = Strategy(type="TPESampler")
_DEFAULT_PRUNER = Strategy(type="HyperbandPruner")
_NO_PRUNER = Strategy(type="NopPruner")

MakeSampler = Callable[[int], "BaseSampler"]


class PerTrialSampler(optuna.samplers.BaseSampler):
    """A sampler that is made anew for each trial, seeded with the trial's number.

    One seed a process would draw the same points again after every resume, and in every driver of a shared study.
    Optuna's samplers keep what they learn in the storage, so that nothing is lost.

    Args:
        make: Makes Optuna's sampler from a seed.
        seed: The study's seed.
        varies: Whether each trial has a seed of its own.
    """

    def __init__(self, make: MakeSampler, seed: int, varies: bool) -> None:
        self._make = make
        self._seed = seed
        self._varies = varies
        self._current = make(seed)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Makes the trial's sampler."""
        if self._varies:
            self._current = self._make(_mixed(self._seed, trial.number))
        self._current.before_trial(study, trial)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """See `optuna.samplers.BaseSampler`."""
        return self._current.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """See `optuna.samplers.BaseSampler`."""
        return self._current.sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """See `optuna.samplers.BaseSampler`."""
        return self._current.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """See `optuna.samplers.BaseSampler`."""
        self._current.after_trial(study, trial, state, values)


def _mixed(seed: int, number: int) -> int:
    return zlib.crc32(f"{seed} {number}".encode())


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
        _try(file, space, sampler_of(file, space)[0], pruner_of(file, validations)[0])
    # Towards its end GridSampler hands out the points that still run, again and again.
    once = file.sampler is not None and file.sampler.type == "GridSampler"
    return Strategies(
        sampler[0], pruner[0], sampler[1], pruner[1], most_twins=1 if once else _MOST_TWINS
    )


def _try(file: StudyFile, space: Space, sampler: BaseSampler, pruner: BasePruner) -> None:
    """Some trials in memory: many arguments are only objected to when a trial is drawn or judged.

    Raises:
        UserError: Optuna has objected.
    """
    study = optuna.create_study(sampler=sampler, pruner=pruner, directions=file.directions)
    study.stop = lambda: None  # type: ignore[method-assign]
    study.enqueue_trial(space.published())
    for number in range(_TRIES):
        step = "sampler"
        try:
            trial = study.ask()
            space.suggest(trial)
            step = "pruner"
            if len(file.objectives) == 1:
                trial.report(1.0 / (1 + number), 1)
                trial.should_prune()
            step = "sampler"
            study.tell(trial, [float(number)] * len(file.objectives))
        except KeyError as error:
            # GridSampler looks for the grid point of the trial that was enqueued; `Store.tell` knows.
            if error.args != ("grid_id",):
                raise UserError(f"{step}: Optuna says: KeyError: {error}") from None
        except Exception as error:  # whatever a strategy objects to
            raise UserError(f"{step}: Optuna says: {error}") from None


def sampler_of(file: StudyFile, space: Space | None) -> tuple[BaseSampler, str]:
    """The study's sampler, and its name with its arguments; see `strategies_of`."""
    strategy = file.sampler or _DEFAULT_SAMPLER
    name, arguments = strategy.type, dict(strategy.arguments)
    problems = _unknown("sampler", name, SAMPLERS)
    if len(file.objectives) > 1 and name in _SINGLE_OBJECTIVE:
        others = ", ".join(other for other in SAMPLERS if other not in _SINGLE_OBJECTIVE)
        problems.append(f"sampler: {name} takes one objective; allowed with two: {others}")
    if problems:
        raise UserError(problems)
    seed = arguments.pop("seed", file.seed)
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise UserError(f"sampler: seed: give a whole number from 0 to 4294967295 (got {seed!r})")
    filled = {**_defaults(name, arguments, space), **arguments}
    make = _maker("sampler", optuna.samplers, SAMPLERS, Strategy(type=name, arguments=filled))
    with _objections("sampler", name):
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
        if file.pruner not in (None, _NO_PRUNER):
            raise UserError(
                "pruner: Optuna cannot prune a study with two objectives; drop 'pruner', or an objective"
            )
        return optuna.pruners.NopPruner(), "none (two objectives: no trial is pruned)"
    strategy = file.pruner or _DEFAULT_PRUNER
    if strategy.type == "HyperbandPruner":
        # Optuna's "auto" prunes nothing before a trial is complete, and each driver finds a value of its own.
        filled = {"max_resource": validations, **strategy.arguments}
        strategy = Strategy(type=strategy.type, arguments=filled)
    if problems := _unknown("pruner", strategy.type, PRUNERS):
        raise UserError(problems)
    made = _made("pruner", optuna.pruners, PRUNERS, strategy)
    return made, "none" if strategy == _NO_PRUNER else _words(strategy.type, strategy.arguments)


def _made(field: str, module: Any, names: Sequence[str], strategy: Strategy) -> Any:
    make = _maker(field, module, names, strategy)
    with _objections(field, strategy.type):
        return make()


@contextmanager
def _objections(field: str, name: str) -> Iterator[None]:
    """Words whatever a constructor objects to."""
    try:
        yield
    except Exception as error:
        raise UserError(f"{field}: {name}: {error}") from None


def _maker(field: str, module: Any, names: Sequence[str], strategy: Strategy) -> Callable[..., Any]:
    """Makes the strategy with its checked arguments, and with those that the call adds.

    Raises:
        UserError: With every argument that is unknown, missing or of a wrong type.
    """
    made = getattr(module, strategy.type)
    known = dict(inspect.signature(made.__init__).parameters)
    del known["self"]
    problems = [
        f"{field}: {strategy.type} has no argument '{name}'; {allowed(name, known)}"
        for name in strategy.arguments
        if name not in known
    ]
    missing = [
        name
        for name, parameter in known.items()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        and name not in strategy.arguments
    ]
    problems += [f"{field}: {strategy.type} needs '{name}'" for name in missing]
    arguments = {}
    for name, value in strategy.arguments.items():
        if name in known:
            arguments[name] = _argument(
                f"{field}: {strategy.type}.{name}", value, known[name], module, names, problems
            )
    if problems:
        raise UserError(problems)
    return lambda **more: made(**{**arguments, **more})


def _argument(
    field: str,
    value: Any,
    parameter: inspect.Parameter,
    module: Any,
    names: Sequence[str],
    problems: list[str],
) -> Any:
    """The argument as its annotation wants it: a plain value, or a strategy within the strategy."""
    annotation = parameter.annotation
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    kinds = [kind.strip() for kind in text.split("|")]
    if any(kind.endswith(("Sampler", "Pruner")) for kind in kinds):
        return _nested(field, value, module, names, problems)
    if not all(kind in _PLAIN for kind in kinds):
        return _mapping(field, value, kinds, problems)
    wanted: Any = _PLAIN[kinds[0]]
    for kind in kinds[1:]:
        wanted = wanted | _PLAIN[kind]
    try:
        return TypeAdapter(wanted).validate_python(value, strict=True)
    except ValidationError as error:
        words = error.errors()[0]["msg"]
        problems.append(f"{field}: {words} (got {value!r}; allowed: {' or '.join(kinds)})")
        return None


def _nested(field: str, value: Any, module: Any, names: Sequence[str], problems: list[str]) -> Any:
    try:
        inner = Strategy.model_validate(value)
    except ValidationError:
        problems.append(f"{field}: name a strategy, as in {{type: {names[0]}}} (got {value!r})")
        return None
    if unknown := _unknown(field, inner.type, names):
        problems += unknown
        return None
    try:
        return _made(field, module, names, inner)
    except UserError as error:
        problems += error.problems
        return None


def _mapping(field: str, value: Any, kinds: Sequence[str], problems: list[str]) -> Any:
    if isinstance(value, dict) and any(kind.startswith(("dict", "Mapping")) for kind in kinds):
        return value
    problems.append(f"{field}: cannot be given in a file (it takes {' or '.join(kinds)})")
    return None


def _unknown(field: str, name: str, names: Sequence[str]) -> list[str]:
    return [] if name in names else [f"{field}: no '{name}' here; {allowed(name, names)}"]


def _words(name: str, arguments: Mapping[str, Any]) -> str:
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in arguments.items())})"
