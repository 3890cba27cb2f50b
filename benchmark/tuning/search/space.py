"""The search space of a study: from the study file's ``search`` to Optuna's suggestions, and on to a config."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from benchmark.config.tree import Config, Overrides
from benchmark.errors import UserError, attempt
from benchmark.files import JsonObject
from benchmark.tuning.search.dimension import MOST_POINTS, Dimension, Held
from benchmark.tuning.search.fit import own_setting, problems_of
from benchmark.tuning.search.knobs import Unfit
from benchmark.tuning.search.parameters import Parameters
from benchmark.tuning.study_file import Parameter

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution


class Space:
    """What is searched, over one row.

    Args:
        search: The parameters by name, of the study file.
        config: The row's composed config; overrides are worked out from its values.
        row: Name of the row, for the messages.

    Attributes:
        names: The parameters, each after those that it is conditional on.
        conditional: Whether some parameters are there only beside certain values of others.

    Raises:
        UserError: With every problem, each naming its parameter: a key path that the config lacks, an empty range,
            a wrong type, conditions that cannot hold, two parameters that set the same, and a range without the row's
            own setting.
    """

    def __init__(self, search: Mapping[str, Parameter], config: Config, row: str = "") -> None:
        problems: list[str] = []
        owner = f"row {row}" if row else "the config"
        made = {
            name: attempt(problems, Dimension, name, parameter, config, owner)
            for name, parameter in search.items()
        }
        sound = {name: dimension for name, dimension in made.items() if dimension is not None}
        self._parameters = Parameters(sound, frozenset(made.keys() - sound.keys()))
        self._published = own_setting(self._parameters, problems)
        problems += self._parameters.problems
        problems += problems_of(self._parameters, config, self._published)
        if problems:
            raise UserError(list(dict.fromkeys(problems)))
        self.names = self._parameters.order
        self.conditional = self._parameters.conditional

    def suggest(self, trial: optuna.Trial) -> dict[str, Held]:
        """Asks a trial for every parameter that is there beside the others' values.

        Returns:
            The values as Optuna holds them: choices that are lists or mappings by their labels.
        """
        params: dict[str, Held] = {}
        for name in self.names:
            if self._parameters.active(name, params):
                params[name] = self._parameters.dimensions[name].suggest(trial)
        return params

    def overrides(self, params: Mapping[str, Held]) -> Overrides:
        """The key paths that a trial sets, and their values, for `benchmark.config.overrides.apply_overrides`.

        Args:
            params: The trial's parameters as Optuna holds them. Those whose condition does not hold do not count.

        Raises:
            UserError: A value that is no choice of its parameter, or that the config cannot take.
        """
        return self._parameters.overrides(params)

    def distributions(self, params: Mapping[str, Held]) -> dict[str, BaseDistribution]:
        """What each parameter of a trial is drawn from.

        Raises:
            Unfit: The trial has other parameters than those that are there beside its values.
        """
        active = [name for name in self.names if self._parameters.active(name, params)]
        if set(active) != set(params):
            raise Unfit(f"has {', '.join(sorted(params))} where there are {', '.join(active)}")
        return {name: self._parameters.dimensions[name].distribution for name in active}

    def published(self) -> dict[str, Held]:
        """The row's own setting, as Optuna holds it: the first trial of a study."""
        return dict(self._published)

    def ends(self) -> Iterator[tuple[str, Overrides]]:
        """Each parameter's name and what is set where it has its lowest or highest value, or a choice, in turn.

        All others have the row's own setting; a parameter that is not there beside it is left out.
        """
        for name in self._published:
            for held in self._parameters.dimensions[name].ends:
                yield name, self.overrides({**self._published, name: held})

    def written(self, name: str) -> dict[Held, Overrides]:
        """What a parameter's lowest and highest value set, or each choice, all of it: also what is the row's own.

        A value that the config cannot take is left out.
        """
        dimension = self._parameters.dimensions[name]
        found: dict[Held, Overrides] = {}
        for held in dimension.ends:
            with suppress(Unfit):
                found[held] = dimension.setting.overrides(dimension.decode(held))
        return found

    def grid(self) -> dict[str, list[Held]]:
        """Every value of every parameter, for ``optuna.samplers.GridSampler``.

        Raises:
            UserError: There is no such grid: a float without a step, or conditional parameters.
        """
        if self.conditional:
            raise UserError("sampler: a grid has no conditional parameters: use BruteForceSampler")
        problems: list[str] = []
        by_name: dict[str, list[Held]] = {}
        for name in self.names:
            try:
                by_name[name] = self._parameters.dimensions[name].grid()
            except Unfit as error:
                problems.append(f"search.{name}: {error}")
        points = math.prod(len(values) for values in by_name.values())
        if points > MOST_POINTS:
            problems.append(f"sampler: a grid of {points} points; allowed: {MOST_POINTS}")
        if problems:
            raise UserError(problems)
        return by_name

    def to_json(self) -> JsonObject:
        """Plain values that are equal if and only if the space is the same."""
        return {name: self._parameters.dimensions[name].to_json() for name in sorted(self.names)}

    def sets(self) -> dict[str, str]:
        """The key paths that each parameter sets, in words."""
        return {
            name: _listed(self._parameters.dimensions[name].setting.paths) for name in self.names
        }


def _listed(paths: Sequence[str]) -> str:
    first, more = paths[:2], len(paths) - 2
    return ", ".join([*first, *([f"{more} more"] if more > 0 else [])])
