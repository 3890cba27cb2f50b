"""The study file: which row is tuned, over what, towards what, and how; validated at the door."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from benchmark.errors import UserError, allowed
from benchmark.job.measure import objectives
from benchmark.statistics.scores import MAIN, SCORES, Better
from benchmark.yaml_file import Name, Strict, exponents, read_yaml, validated

_HOW = "give {type: float, low: ..., high: ..., log: true}, or {choices: [...]}"
# Names that other libraries have for ours.
_MEANT = {
    "uniform": "type: float",
    "loguniform": "type: float, with log: true",
    "log": "type: float, with log: true",
    "choice": "choices: [...]",
    "randint": "type: int",
}


class Parameter(Strict):
    """One parameter of a search, under its name.

    The name is a knob (see `benchmark.tuning.search.knobs`), or a key path of the composed config, or anything else if
    ``path`` names the key path.

    Attributes:
        type: ``float``, ``int`` or ``categorical``; the last may be left out beside ``choices``.
        low: Lowest value of a number, included.
        high: Highest value of a number, included.
        log: Whether a number is searched on a logarithmic scale.
        step: Distance between two values of a number.
        choices: Values of a categorical parameter: a list, or a mapping from label to value.
        path: Key path of the composed config that takes the value.
        along: Further key paths (``with`` in the file): a list of those that take the same value, or a mapping
            from key path to the factor that the value is multiplied by.
        when: Makes the parameter conditional: values, or lists of values, of other parameters by name.
        published: The value that stands for the row's own setting, where the config does not show it.
    """

    type: Literal["float", "int", "categorical"] | None = None
    low: float | None = None
    high: float | None = None
    log: bool = False
    step: float | None = None
    choices: list[Any] | dict[str, Any] | None = None
    path: str | None = None
    along: list[str] | dict[str, float] = Field(default_factory=list, alias="with")
    when: dict[str, Any] = Field(default_factory=dict)
    published: Any = None

    @model_validator(mode="before")
    @classmethod
    def _as_we_say_it(cls, content: Any) -> Any:
        """Numbers with exponents are numbers, labels are text; the commonest mistakes are told in plain words."""
        if not isinstance(content, dict):
            raise ValueError(f"a parameter is a mapping: {_HOW}")
        known = {*cls.model_fields, "with"} - {"along"}
        if unknown := [str(key) for key in content if key not in known]:
            words = "; ".join(f"no '{key}' here, {allowed(key, known)}" for key in unknown)
            raise ValueError(f"{words}; {_HOW}")
        kind, choices = content.get("type"), content.get("choices")
        if kind is not None and kind not in ("float", "int", "categorical"):
            meant = _MEANT.get(str(kind), "one of float, int, categorical")
            raise ValueError(f"no type '{kind}'; say {meant}")
        if choices is not None and not isinstance(choices, list | dict):
            raise ValueError("'choices' is a list of values, or a mapping from label to value")
        plain = {key: exponents(value) for key, value in content.items()}
        labelled = plain.get("choices")
        if isinstance(labelled, dict):
            plain["choices"] = {str(label): value for label, value in labelled.items()}
        return plain

    @model_validator(mode="after")
    def _numbers_have_bounds(self) -> Parameter:
        bounds = {"low": self.low, "high": self.high, "step": self.step, "log": self.log or None}
        given = sorted(name for name, value in bounds.items() if value is not None)
        if self.kind == "categorical":
            if given:
                raise ValueError(f"a categorical parameter has no {', '.join(given)}")
            if not self.choices:
                raise ValueError("give 'choices', at least one")
        elif self.choices is not None:
            raise ValueError(f"a parameter of type {self.kind} has 'low' and 'high', no 'choices'")
        elif self.low is None or self.high is None:
            raise ValueError("give 'low' and 'high', or 'choices'")
        elif self.type is None:
            raise ValueError("say whether it is of type float or int")
        return self

    @property
    def kind(self) -> str:
        """``float``, ``int`` or ``categorical``."""
        return self.type or ("categorical" if self.choices is not None else "number")


class Strategy(Strict):
    """A sampler or pruner by Optuna's name, with Optuna's arguments beside it.

    Attributes:
        type: Name of the class.
        arguments: Its arguments by name.
    """

    type: str
    arguments: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _beside(cls, content: Any) -> Any:
        """``TPESampler``, or ``{type: TPESampler, n_startup_trials: 5}``."""
        if isinstance(content, str):
            return {"type": content}
        if not isinstance(content, dict) or set(content) == {"type", "arguments"}:
            return content
        arguments = {key: exponents(value) for key, value in content.items() if key != "type"}
        named = {"type": content["type"]} if "type" in content else {}
        return {**named, "arguments": arguments}


class StudyFile(Strict):
    """A study.

    Attributes:
        name: Name of the study in the storage, of its folder and of the group of its tracked trials.
        experiment: The experiment file.
        row: The row that is tuned.
        n_trials: Number of trials, those that fail or are pruned included.
        objectives: A score; or a score and a cost that is an objective of a measurement.
        search: The parameters by name.
        sampler: How parameters are chosen; multivariate TPE if None, see `benchmark.tuning.strategies`.
        pruner: Which trials end early; successive halving if None, with two objectives none.
        seed: Seed of the sampler.
        train_seed: Seed of every trial's training; if None, the lowest that is none of the experiment's.
        warm_start: An earlier study, whose trials are known before: its name, or ``PLACE#NAME``, where the place is
            the URL of a storage or a results folder, relative to the study file.
        path: The study file.
    """

    no_keys: ClassVar[tuple[str, ...]] = ("path",)

    name: Name
    experiment: Path
    row: Name
    n_trials: Annotated[int, Field(ge=1)]
    objectives: tuple[str, ...] = Field(default=(MAIN,), alias="objective")
    search: dict[str, Parameter] = Field(min_length=1)
    sampler: Strategy | None = None
    pruner: Strategy | None = None
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    train_seed: Annotated[int, Field(ge=0, lt=2**32)] | None = None
    warm_start: Annotated[str, Field(pattern=r"(^|#)[^#]+$")] | None = None
    path: Path

    @field_validator("objectives", mode="before")
    @classmethod
    def _one_or_two(cls, value: Any) -> Any:
        listed = (value,) if isinstance(value, str) else value
        if not isinstance(listed, list | tuple) or not _objectives_fit(listed):
            raise ValueError(
                f"allowed: one of {', '.join(SCORES)}; or one of them and one of {', '.join(objectives())}, "
                "as in [mAP50, latency]"
            )
        return tuple(listed)

    @property
    def costs_time(self) -> bool:
        """Whether an objective is measured in a way that costs time, so that trials do without unless they need it."""
        return any(
            objectives()[name][0].costs_time for name in self.objectives if name not in SCORES
        )

    @property
    def directions(self) -> list[Literal["maximize", "minimize"]]:
        """Which way is better, for each objective: ``maximize`` or ``minimize``."""
        return ["minimize" if _better(name) == "lower" else "maximize" for name in self.objectives]


def _objectives_fit(listed: Sequence[object]) -> bool:
    if not all(isinstance(name, str) for name in listed):
        return False
    first, *others = [*listed, None] if listed else [None, None]
    return first in SCORES and (
        others == [None] or (len(others) == 2 and others[0] in objectives())
    )


def _better(objective: str) -> Better | None:
    if objective in SCORES:
        return SCORES[objective].better
    return objectives()[objective][1].better


def load_study(path: Path) -> StudyFile:
    """Reads and validates a study file; its paths are relative to it.

    Raises:
        UserError: With every problem in the file, each naming its field.
    """
    content = read_yaml(path, "a study is a mapping with 'experiment', 'row' and 'search'")
    if "rows" in content and "search" not in content:
        raise UserError(f"{path}: this is an experiment: detboard sweep runs it; give a study file")
    content.setdefault("name", path.stem)
    made = validated(StudyFile, {**content, "path": path.resolve()}, path, "study")
    # Without "tune/.." in it, as it is shown.
    return made.model_copy(
        update={"experiment": Path(os.path.normpath(path.parent / made.experiment))}
    )
