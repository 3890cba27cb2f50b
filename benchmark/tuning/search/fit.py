"""Tries a search space on its row's config: what is wrong with it is told before a study is touched."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from benchmark.config.faster import COMPILE, PRECISION
from benchmark.config.overrides import apply_overrides, key_path
from benchmark.config.tree import Config, is_list
from benchmark.errors import UserError, allowed, shown
from benchmark.run.identity import essence
from benchmark.tuning.search.dimension import Dimension, Held
from benchmark.tuning.search.knobs import KNOBS, MISSING, Unfit, value_at
from benchmark.tuning.search.parameters import Parameters

_AS = {
    PRECISION: f"+{PRECISION}, choices: [fp32, bf16], published: fp32",
    COMPILE: f"+{COMPILE}, choices: [false, true], published: false",
}


def own_setting(parameters: Parameters, problems: list[str]) -> dict[str, Held]:
    """The row's own setting, as Optuna holds it.

    Args:
        parameters: The search.
        problems: Gets a problem for each parameter that leaves it out; one that is not there in it needs no value.
    """
    own: dict[str, Held] = {}
    for name in parameters.order:
        dimension = parameters.dimensions[name]
        active = parameters.active(name, own)
        try:
            held = dimension.published() if active or dimension.is_given else None
        except Unfit as error:
            # A key path that is not there is reported, with the nearest, when it is tried.
            if not _is_unknown(dimension):
                problems.append(f"search.{name}: {error}")
        else:
            own |= {name: held} if active else {}
    return own


def _is_unknown(dimension: Dimension) -> bool:
    path = dimension.setting.path
    present = value_at(dimension.setting.config, key_path(path))
    return bool(path) and not path.startswith("+") and present is MISSING


def problems_of(parameters: Parameters, config: Config, own: dict[str, Held]) -> list[str]:
    """What is wrong with what the parameters set.

    Args:
        parameters: The search.
        config: The row's composed config.
        own: The row's own setting, as far as it is known.
    """
    if twice := list(_set_twice(parameters)):
        return twice
    told = [p for name in parameters.order for p in _Trial(parameters, config, own, name).all()]
    return told or _moved(parameters, config, own)


class _Trial:
    """Tries the lowest and highest value of a parameter, or every choice, beside values that go with it."""

    def __init__(
        self, parameters: Parameters, config: Config, own: dict[str, Held], name: str
    ) -> None:
        self._parameters = parameters
        self._dimension = parameters.dimensions[name]
        self._config = config
        self._own = own
        self._name = name

    def all(self) -> list[str]:
        needed = self._parameters.together(self._name)
        if needed is None:
            return [f"search.{self._name}: when: its conditions never hold together"]
        beside = self._beside(needed)
        told: list[str] = []
        results = set()
        for held in self._dimension.tried:
            changed, problems = self._one({**beside, self._name: held})
            results.add(essence(changed))
            told += problems
            if problems and not self._dimension.is_categorical:
                break
        if not told and len(results) == 1 and len(self._dimension.ends) > 1:
            told = ["changes nothing that is measured"]
        return [f"search.{self._name}: {problem}" for problem in told]

    def _beside(self, needed: dict[str, tuple[Held, ...]]) -> dict[str, Held]:
        """Values of the others, those that make this one active first; the row's own where that fits."""
        params: dict[str, Held] = {}
        for name in self._parameters.order:
            held = needed.get(name, (self._own[name],) if name in self._own else ())
            if name != self._name and held and self._parameters.active(name, params):
                params[name] = self._own[name] if self._own.get(name, MISSING) in held else held[0]
        return params

    def _one(self, params: dict[str, Held]) -> tuple[Config, list[str]]:
        changed = dict(self._config)
        problems: list[str] = []
        try:
            mine = self._dimension.setting.overrides(self._dimension.decode(params[self._name]))
            wanted = self._parameters.overrides(params)
        except Unfit as error:
            return changed, [str(error)]
        except UserError:  # another parameter's problem, told with that one
            return changed, []
        for item in wanted.items():
            told = apply_overrides(changed, [item])
            problems += [self._worded(item[0], problem) for problem in told if item[0] in mine]
        return changed, problems

    def _worded(self, path: str, problem: str) -> str:
        """With the names of the knobs, where a name is neither a knob nor a key path."""
        if key_path(path) in (PRECISION, COMPILE) and _is_unknown(self._dimension):
            return (
                f"'{path}' is no key of mmdet's: search it as '+{path}', in 'path', and say with 'published' which "
                "value the row has, as in {path: " + _AS[path] + "}"
            )
        meant_a_knob = path == self._name and "." not in path
        if not meant_a_knob or not _is_unknown(self._dimension):
            return problem
        what = problem.removeprefix(f"{path}: ")
        return f"no knob ({allowed(path, KNOBS)}) and no key path: {what}"


def _set_twice(parameters: Parameters) -> Iterator[str]:
    paths = {name: _paths(parameters.dimensions[name]) for name in parameters.order}
    for first, second in itertools.combinations(parameters.order, 2):
        shared = sorted(paths[first] & paths[second])
        if shared and parameters.together(first, second) is not None:
            yield f"search.{second}: sets {', '.join(shared)}, which search.{first} sets too"


def _paths(dimension: Dimension) -> set[str]:
    paths: set[str] = set()
    for held in dimension.ends:
        try:
            paths |= dimension.setting.overrides(dimension.decode(held)).keys()
        except Unfit:
            continue
    return {key_path(path) for path in paths}


def _moved(parameters: Parameters, config: Config, own: dict[str, Held]) -> list[str]:
    """What the row's own setting changes all the same, for each parameter that does."""
    told = []
    for name, held in own.items():
        beside = {other: own[other] for other in parameters.together(name) or ()}
        changed = dict(config)
        apply_overrides(changed, parameters.overrides({**beside, name: held}).items())
        if essence(changed) != essence(config):
            paths = ", ".join(itertools.islice(_differing(config, changed, ""), 3))
            told.append(
                f"search.{name}: the first trial is the row's own setting, but {shown(held)} changes {paths}"
            )
    return told


def _differing(before: object, after: object, path: str) -> Iterator[str]:
    """The key paths at which two configs differ, with both values."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys([*before, *after]):
            below = f"{path}.{key}" if path else str(key)
            yield from _differing(before.get(key, MISSING), after.get(key, MISSING), below)
    elif is_list(before) and is_list(after) and len(before) == len(after):
        for index, (was, is_now) in enumerate(zip(before, after, strict=True)):
            yield from _differing(was, is_now, f"{path}.{index}")
    elif before is not after and before != after:
        was = "nothing" if before is MISSING else shown(before)
        yield f"{path} from {was} to {shown(after)}"
