"""Which combinations are tried: one choice after the other, each from the best so far."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from benchmark.speed.choices import CHOICES, Choice, Combination, Kind
from benchmark.speed.rates import Outcome, Rate, Speed, together

_WAITS = 0.05  # part of an iteration that waits for data from which on loading is looked at again
_SLOTS = "slots"

Measure = Callable[[Combination, Sequence[str]], Outcome]
"""Measures these rows with a combination."""


@dataclass(frozen=True)
class Best:
    """A combination that is faster than what the experiment has, outside of the noise.

    Attributes:
        gain: How many times the images a second, as a mean, and at least and at most as far as the ranges tell.
    """

    combination: Combination
    gain: Rate


def most(values: Mapping[str, Sequence[str]]) -> int:
    """How many times each row is measured at most.

    Args:
        values: What is tried of each choice, by its name.
    """
    one = {name: len(tried) for name, tried in values.items()}
    changing = any(count for name, count in one.items() if CHOICES[name].kind is Kind.OTHER)
    twice = sum(one[name] for name in one if changing and _is_tried_again(CHOICES[name]))
    again = (3 if changing else 2) if any(one.values()) else 0
    return 1 + sum(one.values()) + twice + again


def _is_tried_again(choice: Choice) -> bool:
    return choice.loads or choice.name == _SLOTS


@dataclass
class Search:
    """Tries combinations, each once, and those that seem best once more at the end.

    Args:
        values: What is tried of each choice, by its name.
        rows: Names of the rows. One that fails as it is, is left out of all that follows.
        measure: Measures them.

    Attributes:
        found: What was measured, in order.
    """

    values: Mapping[str, Sequence[str]]
    rows: Sequence[str]
    measure: Measure
    found: dict[Combination, Outcome] = field(default_factory=dict)

    def run(self) -> tuple[Best | None, Best | None]:
        """The best that keeps all run ids, and the best of all where that changes some; None where nothing is seen."""
        start = Combination()
        first = self._look(start)
        self.rows = [row for row in self.rows if isinstance(first[row], Speed)]
        if not self.rows:
            return None, None
        changing = [choice for choice in CHOICES.values() if choice.kind is Kind.OTHER]
        loading = [choice for choice in CHOICES.values() if choice.loads]
        kept = self._climb(start, loading)
        changed = self._climb(kept, changing)
        if changed != kept and self._waits(changed):
            changed = self._climb(changed, loading)
        slots = [choice for name, choice in CHOICES.items() if name == _SLOTS]
        kept, changed = self._climb(kept, slots), self._climb(changed, slots)
        if candidates := dict.fromkeys(one for one in (kept, changed) if one != start):
            for one in (start, *candidates):
                self._look_again(one)
        best = self._best(kept)
        other = self._best(changed) if changed.changes else None
        return best, other

    def _look(self, combination: Combination) -> Outcome:
        if combination not in self.found:
            self.found[combination] = self.measure(combination, self.rows)
        return self.found[combination]

    def _rate(self, combination: Combination) -> Rate | None:
        """Images a second over all rows; None where one fails."""
        outcome = self._look(combination)
        return together({row: outcome[row] for row in self.rows})

    def _look_again(self, combination: Combination) -> None:
        """Noise that lasts for minutes is in no range of one process."""
        before, now = self.found[combination], self.measure(combination, self.rows)
        both = {row: _both(before[row], now[row]) for row in now}
        self.found[combination] = {**before, **both}

    def _climb(self, start: Combination, choices: Iterable[Choice]) -> Combination:
        """From a combination on, the best value of each choice, where it is better."""
        for choice in choices:
            start = self._better(start, choice)
        return start

    def _better(self, start: Combination, choice: Choice) -> Combination:
        best = start
        for value in self.values.get(choice.name, ()):
            tried = start.with_value(choice, value)
            # Better than the best so far: a tie goes to the first.
            if _beats(self._rate(tried), self._rate(best)):
                best = tried
        return best

    def _waits(self, combination: Combination) -> bool:
        speeds = [one for one in self.found[combination].values() if isinstance(one, Speed)]
        return any(one.waited > _WAITS * one.iteration_s for one in speeds)

    def _best(self, combination: Combination) -> Best | None:
        base, rate = self._rate(Combination()), self._rate(combination)
        if base is None or rate is None or not rate.beats(base):
            return None
        gain = Rate(rate.mean / base.mean, rate.low / base.high, rate.high / base.low)
        return Best(combination, gain)


def _beats(one: Rate | None, other: Rate | None) -> bool:
    return one is not None and other is not None and one.beats(other)


def _both(before: Speed | str, now: Speed | str) -> Speed | str:
    if isinstance(before, str) or isinstance(now, str):
        return now if isinstance(now, str) else before
    return before.again(now)
