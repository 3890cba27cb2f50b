"""A search over what ``precision`` and ``compile`` decide: a trial has to train what it is said to have drawn.

Both are written into a config last of all, see `benchmark.config.faster`, and so over key paths of mmdet's that say the
same. All else that is searched stands in a trial's config as it was drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from benchmark.config.faster import (
    COMPILE,
    PRECISION,
    precision_of,
    sets_wrapper,
)
from benchmark.config.overrides import key_path
from benchmark.config.tree import Overrides
from benchmark.config.vocabulary.machine import needs_of
from benchmark.errors import attempt, few, shown
from benchmark.run.identity import essence
from benchmark.run.plan import Plan, Request
from benchmark.run.state import Planned
from benchmark.tuning.search.dimension import Held
from benchmark.tuning.search.space import Space


class Searched(Protocol):
    """A study, as far as it is looked at here: see `benchmark.tuning.study.Study`."""

    @property
    def base(self) -> Plan:
        """The plan of the row itself."""

    @property
    def request(self) -> Request:
        """The options."""

    @property
    def space(self) -> Space:
        """The search space."""

    @property
    def trains(self) -> bool:
        """Whether a trial is a training."""

    def run_with(self, overrides: Overrides) -> Planned:
        """The run of the row with these key paths set as a trial sets them."""


@dataclass(frozen=True)
class _Value:
    """A value of a parameter, as a trial would train it beside the row's own setting.

    Attributes:
        held: The value.
        run: The trial's run; None where it cannot be composed.
        problems: Why it cannot.
    """

    held: Held
    run: Planned | None
    problems: tuple[str, ...] = ()


def overruled(study: Searched) -> list[str]:
    """A message for each searched parameter whose values trials would not train as they are drawn."""
    if not study.trains:
        return []
    told = []
    for name in study.space.published():
        overrides = study.space.written(name)
        if any(map(_is_decided_last, overrides.values())):
            values = [_composed(study, held, written) for held, written in overrides.items()]
            told += [
                f"search.{name}: {why}{_way_out(study, overrides)}"
                for why in [*_twice(study, overrides), *_wrong(study, name, values)][:1]
            ]
    return told


def lacking(study: Searched, has_gpus: Callable[[], bool]) -> list[str]:
    """A message for each value whose trials need what the machine does not have, as a GPU or a package.

    Args:
        study: The study.
        has_gpus: Says whether its jobs find a GPU; asked where one is needed.
    """
    if not study.trains:
        return []
    values = [
        (name, _composed(study, held, written))
        for name in study.space.published()
        for held, written in study.space.written(name).items()
    ]
    runs = [(f"search.{name}: {shown(one.held)}", one.run) for name, one in values if one.run]
    needs = [(where, run.spec.gpus, needs_of(dict(run.config))) for where, run in runs]
    has_gpu = any(need.gpu for _, _, need in needs) and has_gpus()
    return [f"{where}: {why}" for where, gpus, need in needs for why in need.unmet(has_gpu, gpus)]


def _is_decided_last(overrides: Mapping[str, object]) -> bool:
    return bool(sets_wrapper(overrides)) or any(
        key_path(key).partition(".")[0] in (PRECISION, COMPILE) for key in overrides
    )


def _composed(study: Searched, held: Held, written: Overrides) -> _Value:
    problems: list[str] = []
    own = study.space.overrides(study.space.published())
    run = attempt(problems, study.run_with, {**own, **written})
    row = f"row '{study.base.rows[0].name}': "
    return _Value(held, run, tuple(problem.removeprefix(row) for problem in problems))


def _twice(study: Searched, written: Mapping[Held, Overrides]) -> Iterator[str]:
    """What the row's own ``set`` says of it: the tuned row would have both there."""
    own, searched = study.base.rows[0].overrides, _keys(written)
    if PRECISION in searched and (said := sets_wrapper(own)):
        yield f"{few(said)} in the row's 'set' says the same: write '{PRECISION}' there in its place"
    if PRECISION in map(key_path, own) and any(map(sets_wrapper, written.values())):
        yield "beside it the tuned row could not be trained"


def _keys(written: Mapping[Held, Overrides]) -> list[str]:
    return [key_path(key) for overrides in written.values() for key in overrides]


def _wrong(study: Searched, name: str, values: list[_Value]) -> Iterator[str]:
    """What is wrong with what a parameter's values come to."""
    seen: dict[str, Held] = {}
    base, own = _essence(study, study.base.runs[0]), study.space.published()[name]
    for value in values:
        if value.run is None:
            yield f"{shown(value.held)}: {'; '.join(value.problems)}"
            continue
        comes_to = _essence(study, value.run)
        if value.held == own and comes_to != base:
            yield f"{shown(value.held)} stands for the row's own setting, and is another"
        elif comes_to in seen:
            yield f"{shown(seen[comes_to])} and {shown(value.held)} are the same training"
        seen[comes_to] = value.held


def _essence(study: Searched, run: Planned) -> str:
    return essence(run.config, study.base.dataset)


def _way_out(study: Searched, written: Mapping[Held, Overrides]) -> str:
    """What to do about it, to follow what is wrong."""
    keys = _keys(written)
    has = precision_of(study.base.runs[0].config)
    if any(key.partition(".")[0] == COMPILE for key in keys):
        return (
            f"; '{COMPILE}' is written last, as a whole: search it as {{path: +{COMPILE}, choices: [false, true], "
            "published: false}, or with mappings as choices"
        )
    if PRECISION in keys:
        return f"; 'published' is what the row has, {has}, and no --set may name 'optim_wrapper.type' or its dtype"
    if not (who := _who_asks(study)):
        return ""
    return (
        f"; {who} says the same: leave that out, or search it in place of this, as {{path: +{PRECISION}, "
        f"choices: [fp32, bf16], published: {has}}}"
    )


def _who_asks(study: Searched) -> str:
    """Who asks for a precision; empty if nobody does."""
    levels = {
        f"--{PRECISION}": study.request.overrides,
        f"'{PRECISION}' in the row's 'set'": study.base.rows[0].overrides,
        f"'{PRECISION}' of the experiment": {PRECISION: study.base.experiment.precision},
    }
    said = {
        who: {key_path(key): value for key, value in own.items()} for who, own in levels.items()
    }
    return next((who for who, own in said.items() if own.get(PRECISION) is not None), "")
