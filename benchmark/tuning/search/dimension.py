"""One parameter of a search: its values as Optuna holds them, and what each sets in a config."""

from __future__ import annotations

import decimal
import json
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmark.config.overrides import apply_overrides, key_path
from benchmark.config.tree import Config, Overrides
from benchmark.errors import UserError, shown
from benchmark.files import JsonObject
from benchmark.tuning.search.knobs import KNOBS, MISSING, Knob, NoSuchSetting, Unfit, value_at
from benchmark.tuning.study_file import Parameter

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution

# Values that were worked out differently, or stored and read back, may differ in the last digit.
_TOLERANCE = 1e-9

# What Optuna's storages keep as it is; any other choice is stored under a label.
_PLAIN = (bool, int, float, str)

Held = None | bool | int | float | str
"""A value as Optuna holds it."""

# Of a range, where it is not likely to be whole.
_GOLDEN = 0.382

# A grid of more points than this is a mistake.
MOST_POINTS = 100_000


@dataclass(frozen=True)
class Setting:
    """What a parameter sets in a config.

    Attributes:
        config: The row's composed config.
        knob: The knob that it turns, None for a key path.
        path: The key path that takes the value; empty for a knob.
        along: Further key paths, and the factor that the value is multiplied by there, if any.
    """

    config: Config
    knob: Knob | None
    path: str
    along: Mapping[str, float | None]

    @property
    def own(self) -> Any:
        """The row's own value, `MISSING` if the config shows none."""
        value = self.knob.read(self.config) if self.knob else self._present(self.path)
        return MISSING if value is None else value

    @property
    def paths(self) -> list[str]:
        """The key paths that it sets."""
        own = list(self.knob.overrides(self.config, self.own)) if self.knob else [self.path]
        return [*own, *self.along]

    def overrides(self, value: Any) -> Overrides:
        """Key paths and values; what is the row's own value is written as the row has it.

        The same setting is the same config then, and the same run: 4.0 and 4 would make two.

        Raises:
            Unfit: The value cannot be set in this config.
        """
        overrides = self.knob.overrides(self.config, value) if self.knob else {self.path: value}
        for path, factor in self.along.items():
            overrides[path] = value if factor is None else self._times(value, factor, path)
        return {path: self._settled(path, new) for path, new in overrides.items()}

    def unsaid(self, value: object) -> list[str]:
        """The key paths of a value at which the config shows none."""
        return [path for path in self.overrides(value) if self._present(path) in (MISSING, None)]

    def leaves_alone(self, value: object) -> bool:
        """Whether a value is what the config has already."""
        try:
            return changes_nothing(self.config, self.overrides(value))
        except Unfit:
            return False

    def _present(self, path: str) -> Any:
        return value_at(self.config, key_path(path))

    def _settled(self, path: str, new: object) -> object:
        present = self._present(path)
        return _listed(present if _same(present, new) else new)

    def _times(self, value: object, factor: float, path: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Unfit(f"with.{path}: {shown(value)} is not a number to multiply by {factor!r}")
        product = value * factor
        counts = isinstance(value, int) and isinstance(self._present(path), int)
        return round(product) if counts else product


def changes_nothing(config: Config, overrides: Mapping[str, object]) -> bool:
    """Whether overrides fit a config and leave it as it is."""
    changed = dict(config)
    return not apply_overrides(changed, overrides.items()) and changed == config


def _listed(value: object) -> object:
    """With lists in the place of tuples, which neither YAML nor JSON has."""
    if isinstance(value, list | tuple):
        return [_listed(item) for item in value]
    return {k: _listed(v) for k, v in value.items()} if isinstance(value, dict) else value


def _same(a: object, b: object) -> bool:
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, int | float) and isinstance(b, int | float):
        return math.isclose(a, b, rel_tol=_TOLERANCE)
    return bool(a == b)


def setting_of(name: str, parameter: Parameter, config: Config) -> Setting:
    """What a parameter sets: its ``path``, else the knob of its name, else the key path that its name is."""
    along = parameter.along
    factors = dict(along) if isinstance(along, dict) else dict.fromkeys(along)
    knob = None if parameter.path else KNOBS.get(name)
    return Setting(config, knob, "" if knob else parameter.path or name, factors)


class Dimension:
    """A parameter with its distribution.

    Args:
        name: Its name in the search.
        parameter: What the study file says of it.
        config: The row's composed config.
        owner: Whose config it is, for the messages: ``row r50_fpn_3x``.

    Raises:
        UserError: With every problem of its values, each naming the parameter.
    """

    def __init__(self, name: str, parameter: Parameter, config: Config, owner: str) -> None:
        self.name = name
        self.parameter = parameter
        self.setting = setting_of(name, parameter, config)
        self.is_categorical = parameter.kind == "categorical"
        try:
            self.values = _choices(parameter) if self.is_categorical else {}
            self.distribution = _distribution(parameter, list(self.values))
            problems = self._unfit_for_knob(owner)
        except UserError as error:
            problems = error.problems
        if problems:
            raise UserError([f"search.{name}: {problem}" for problem in problems])

    def _unfit_for_knob(self, owner: str) -> list[str]:
        knob = self.setting.knob
        if knob is None:
            return []
        try:
            knob.read(self.setting.config)
        except NoSuchSetting as error:
            return [f"{owner} has no {error}"]
        if knob.takes == "whole" and self.parameter.kind == "float":
            return ["takes whole numbers: make it of type int"]
        values = [self.decode(held) for held in self.ends]
        judged = [(value, knob.problem(value)) for value in values]
        return [f"{shown(value)} {problem}" for value, problem in judged if problem]

    @property
    def ends(self) -> list[Held]:
        """Lowest and highest value; every choice of a categorical parameter."""
        if self.is_categorical:
            return list(self.values)
        low, high = (self._number(value) for value in (self.parameter.low, self.parameter.high))
        return list(dict.fromkeys([low, high]))

    @property
    def tried(self) -> list[Held]:
        """Values that show what fits the config: `ends`, and one with a fraction where a trial may draw such."""
        low, high, step = self.parameter.low, self.parameter.high, self.parameter.step
        if self.parameter.kind != "float" or step is not None or low is None or high is None:
            return self.ends
        return list(dict.fromkeys([*self.ends, low + _GOLDEN * (high - low)]))

    def suggest(self, trial: optuna.Trial) -> Held:
        """A value of a trial, as Optuna holds it."""
        bounds: Any = self.distribution
        if self.is_categorical:
            return trial.suggest_categorical(self.name, list(self.values))
        ask: Any = trial.suggest_int if self.parameter.kind == "int" else trial.suggest_float
        return self._number(
            ask(self.name, bounds.low, bounds.high, step=bounds.step, log=bounds.log)
        )

    def decode(self, held: Held) -> Any:
        """The value of the config that stands behind what Optuna holds.

        Raises:
            UserError: It is no choice of the parameter.
        """
        if not self.is_categorical:
            return self._number(held)
        if held not in self.values:
            raise UserError(f"search.{self.name}: {shown(held)} is not among {self._range()}")
        return self.values[held]

    def encode(self, value: object) -> Held:
        """What Optuna holds for a value, or for the label of a choice.

        Raises:
            Unfit: It is outside the range, or not among the choices.
        """
        if not self.is_categorical:
            return self._in_range(value)
        named = isinstance(self.parameter.choices, dict) and isinstance(value, str)
        if named and value in self.values:
            return value
        for held, choice in self.values.items():
            if _same(choice, value):
                return held
        raise Unfit(f"{shown(value)} is not among {self._range()}")

    def published(self) -> Held:
        """What Optuna holds for the row's own setting.

        Raises:
            Unfit: The search leaves it out, or the config does not show it and the file does not say it.
        """
        if self.is_given:
            return self._published("'published'", self.parameter.published)
        own = self.setting.own
        if self.is_categorical:
            unchanged = (h for h, v in self.values.items() if self.setting.leaves_alone(v))
            held = next(unchanged, MISSING)
            if held is not MISSING:
                return held
        if own is MISSING:
            raise Unfit(
                f"the row does not show its own value of {self.setting.path or self.name}: say with 'published' "
                f"which of {self._range()} stands for it"
            )
        return self._published("the row's own value", own)

    def _published(self, whose: str, value: object) -> Held:
        try:
            return self.encode(value)
        except Unfit as error:
            where = "choices" if self.is_categorical else "range"
            raise Unfit(
                f"{whose} {error}: the first trial is the row's own setting, so the {where} must hold it"
            ) from None

    @property
    def is_given(self) -> bool:
        """Whether the file says which value is the row's own."""
        return "published" in self.parameter.model_fields_set

    def unsaid(self, held: Held) -> list[str]:
        """The key paths that a value leaves unsaid, since it stands for what the config does not show."""
        if not self.is_given or held != self.encode(self.parameter.published):
            return []
        return self.setting.unsaid(self.decode(held))

    def grid(self) -> list[Held]:
        """Every value, as Optuna holds them.

        Raises:
            Unfit: There is no end of them, or there are far too many.
        """
        bounds: Any = self.distribution
        if self.is_categorical:
            return list(self.values)
        step = bounds.step or bounds.high - bounds.low
        if step and (bounds.high - bounds.low) / step > MOST_POINTS:
            raise Unfit(f"more than {MOST_POINTS} values: give a larger 'step'")
        if self.parameter.kind == "int":
            return list(range(bounds.low, bounds.high + 1, bounds.step))
        if bounds.low == bounds.high:
            return [bounds.low]
        if bounds.step is None:
            raise Unfit("a grid needs its values: give 'step', or 'choices'")
        low, high, step = (decimal.Decimal(str(n)) for n in (bounds.low, bounds.high, bounds.step))
        return [float(low + index * step) for index in range(int((high - low) / step) + 1)]

    def to_json(self) -> JsonObject:
        """Plain values: what tells this parameter from any other."""
        bounds: Any = self.distribution
        if self.is_categorical:
            values = {"choices": [[held, value] for held, value in self.values.items()]}
        else:
            values = {key: getattr(bounds, key) for key in ("low", "high", "step", "log")}
        sets = {"path": self.setting.path} if self.setting.path else {"knob": self.name}
        more = {"with": dict(self.setting.along), "when": self.parameter.when}
        plain: JsonObject = json.loads(
            json.dumps({"type": self.parameter.kind, **values, **sets, **more})
        )
        return plain

    def _number(self, value: Any) -> int | float:
        return int(value) if self.parameter.kind == "int" else float(value)

    def _range(self) -> str:
        if not self.is_categorical:
            low, high = self.ends[0], self.ends[-1]
            return f"{low!r} to {high!r}"
        return f"the choices {', '.join(shown(held) for held in self.values)}"

    def _in_range(self, value: object) -> int | float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Unfit(f"{shown(value)} is not a number")
        bounds: Any = self.distribution
        slack = _TOLERANCE * max(abs(bounds.low), abs(bounds.high))
        if not bounds.low - slack <= value <= bounds.high + slack:
            raise Unfit(f"{value!r} is outside {self._range()}")
        if self.parameter.kind == "int" and value != int(value):
            raise Unfit(f"{value!r} is not a whole number")
        steps = (value - bounds.low) / bounds.step if bounds.step else 0.0
        if abs(steps - round(steps)) > _TOLERANCE * max(1.0, abs(steps)):
            raise Unfit(f"{value!r} is not {bounds.low!r} and a multiple of {bounds.step!r}")
        return self._number(min(max(value, bounds.low), bounds.high))


def _is_finite(value: object) -> bool:
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    if isinstance(value, list):
        return all(map(_is_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def _choices(parameter: Parameter) -> dict[Held, object]:
    """What Optuna holds, and the value behind it."""
    choices = parameter.choices
    if not _is_finite(choices):
        raise UserError("a choice is no finite number")
    try:
        pairs = (
            [(label, _labelled(value)[1]) for label, value in choices.items()]
            if isinstance(choices, dict)
            else [_labelled(value) for value in choices or ()]
        )
    except TypeError as error:
        raise UserError(f"a choice that no config can hold: {error}") from None
    by_held: dict[Held, object] = {}
    repeated = []
    for held, value in pairs:
        # Optuna cannot tell True from 1, nor 1 from 1.0.
        if held in by_held:
            repeated.append(f"the choices repeat: {shown(held)} equals another")
        by_held.setdefault(held, value)
    if repeated:
        raise UserError(repeated)
    return by_held


def _labelled(value: object) -> tuple[Held, object]:
    text = json.dumps(value)
    return (value if value is None or isinstance(value, _PLAIN) else text), value


def _distribution(parameter: Parameter, choices: list[Held]) -> BaseDistribution:
    """Optuna's distribution, with its own objections.

    Raises:
        UserError: With every problem.
    """
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if parameter.kind == "categorical":
        return CategoricalDistribution(choices)
    bounds = {"low": parameter.low, "high": parameter.high, "step": parameter.step}
    given: Any = {key: value for key, value in bounds.items() if value is not None}
    if problems := _not_numbers(given, parameter.kind):
        raise UserError(problems)
    if parameter.kind == "int":
        given = {key: int(value) for key, value in given.items()}
    kind: Any = IntDistribution if parameter.kind == "int" else FloatDistribution
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            made: BaseDistribution = kind(**given, log=parameter.log)
        except (ValueError, ArithmeticError) as error:
            raise UserError(str(error) or f"no range: {type(error).__name__}") from None
    if warned:  # it would replace `high`
        texts = [str(warning.message).split(" It will be", 1)[0] for warning in warned]
        raise UserError(texts)
    return made


def _not_numbers(bounds: Mapping[str, float], kind: str) -> list[str]:
    odd = [key for key, value in bounds.items() if not math.isfinite(value)]
    if odd or kind == "float":
        return [f"'{key}' is not finite: {bounds[key]!r}" for key in odd]
    broken = [key for key, value in bounds.items() if value != int(value)]
    return [f"'{key}' is not a whole number: {bounds[key]!r}" for key in broken]
