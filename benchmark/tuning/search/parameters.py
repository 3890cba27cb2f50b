"""The parameters of a search together: which of them are there when, and what they set."""

from __future__ import annotations

from collections.abc import Mapping

from benchmark.config.overrides import key_path
from benchmark.config.tree import Overrides
from benchmark.errors import UserError, allowed
from benchmark.tuning.search.dimension import Dimension, Held, changes_nothing
from benchmark.tuning.search.knobs import Unfit

_Wanted = dict[str, tuple[Held, ...]]


class Parameters:
    """The parameters of a search with their conditions (``when``).

    Args:
        dimensions: The parameters by name.
        broken: Names of parameters that are in the search but have problems of their own.

    Attributes:
        dimensions: The parameters by name.
        order: The names, each after those that its condition names; the file's order otherwise.
        problems: What is wrong with the conditions; those concerned are left out.
    """

    def __init__(self, dimensions: Mapping[str, Dimension], broken: frozenset[str]) -> None:
        self.problems: list[str] = []
        self.dimensions = dimensions
        self._broken = broken
        self._wanted: dict[str, _Wanted] = {name: self._of(name) for name in dimensions}
        self.order = self._ordered()

    @property
    def conditional(self) -> bool:
        """Whether some parameters are there only beside certain values of others."""
        return any(self._wanted.values())

    def active(self, name: str, params: Mapping[str, Held]) -> bool:
        """Whether a parameter is there beside these values; its own need not be among them."""
        return all(
            parent in params and params[parent] in held and self.active(parent, params)
            for parent, held in self._wanted[name].items()
        )

    def together(self, *names: str) -> _Wanted | None:
        """The values of other parameters under which all of these are there; None if they never are."""
        needed: _Wanted = {}
        todo = list(names)
        while todo:
            for parent, held in self._wanted[todo.pop()].items():
                needed[parent] = tuple(one for one in needed.get(parent, held) if one in held)
                todo.append(parent)
        return needed if all(needed.values()) else None

    def overrides(self, params: Mapping[str, Held]) -> Overrides:
        """The key paths that these values set, outer ones first.

        Args:
            params: Values as Optuna holds them. Those whose condition does not hold do not count.

        Raises:
            UserError: A value that is no choice of its parameter, or that the config cannot take.
        """
        overrides: Overrides = {}
        unsaid: set[str] = set()
        for name in self.order:
            if name in params and self.active(name, params):
                overrides |= self._set(name, params[name])
                unsaid |= set(self.dimensions[name].unsaid(params[name]))
        unsaid -= {path for path in unsaid if self._is_within_change(path, overrides)}
        kept = [path for path in overrides if path not in unsaid]
        return {path: overrides[path] for path in sorted(kept, key=lambda path: path.count("."))}

    def _is_within_change(self, path: str, overrides: Mapping[str, object]) -> bool:
        """Whether a key path lies in a mapping that another parameter changes: then its value must be said."""
        outer = {other: overrides[other] for other in overrides if _is_within(path, other)}
        config = next(iter(self.dimensions.values())).setting.config
        return bool(outer) and not changes_nothing(config, outer)

    def _set(self, name: str, held: Held) -> Overrides:
        dimension = self.dimensions[name]
        try:
            return dimension.setting.overrides(dimension.decode(held))
        except Unfit as error:
            raise UserError(f"search.{name}: {error}") from None

    def _of(self, name: str) -> _Wanted:
        wanted_of: _Wanted = {}
        for other, wanted in self.dimensions[name].parameter.when.items():
            try:
                wanted_of |= {} if other in self._broken else {other: self._held(other, wanted)}
            except UserError as error:
                self.problems += [f"search.{name}: when.{other}: {p}" for p in error.problems]
        return wanted_of

    def _held(self, other: str, wanted: object) -> tuple[Held, ...]:
        """The wanted values as Optuna holds them.

        Raises:
            UserError: With every problem.
        """
        if other not in self.dimensions:
            raise UserError(f"no such parameter; {allowed(other, self.dimensions)}")
        dimension = self.dimensions[other]
        if dimension.parameter.kind == "float":
            raise UserError("a float has no single values to wait for: name an int or a choice")
        # A list may be a choice itself.
        readings = [[wanted], wanted] if isinstance(wanted, list) and wanted else [[wanted]]
        for options in readings:
            try:
                return tuple(dimension.encode(option) for option in options)
            except Unfit as error:
                problem = str(error)
        raise UserError(problem)

    def _ordered(self) -> tuple[str, ...]:
        order: list[str] = []
        left = list(self.dimensions)
        while left:
            free = [name for name in left if not self._wanted[name].keys() - set(order)]
            if not free:
                self._break_circle(left)
                continue
            order.append(free[0])
            left.remove(free[0])
        return tuple(order)

    def _break_circle(self, left: list[str]) -> None:
        """Reports a circle among the parameters that are left, and leaves out its conditions."""
        path = [left[0]]
        while path[-1] not in path[:-1]:
            path.append(next(parent for parent in self._wanted[path[-1]] if parent in left))
        circle = path[path.index(path[-1]) :]
        self.problems.append(
            f"search.{circle[0]}: when: its conditions go round in a circle: {' -> '.join(circle)}"
        )
        for name in circle:
            self._wanted[name] = {}


def _is_within(path: str, other: str) -> bool:
    return key_path(path).startswith(f"{key_path(other)}.")
