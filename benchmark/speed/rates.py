"""Images a second, with the range that blocks of iterations gave: where ranges overlap, no difference is seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmark.run.timed import Block, Timed


@dataclass(frozen=True)
class Rate:
    """Images a second.

    Attributes:
        mean: Over all blocks.
        low: Of the slowest block.
        high: Of the fastest.
    """

    mean: float
    low: float
    high: float

    def beats(self, other: Rate) -> bool:
        """Whether each of its blocks is faster than each of the other's."""
        return self.low > other.high

    def is_apart_from(self, other: Rate) -> bool:
        """Whether a difference is seen, either way."""
        return self.beats(other) or other.beats(self)


@dataclass(frozen=True)
class Speed:
    """What a row reached with a combination, in all runs side by side.

    Attributes:
        rate: Images a second, of all together.
        waited: Seconds of an iteration in which there was nothing to train on yet, of one.
        iteration_s: Seconds of a whole iteration, of one.
        memory_gib: Peak memory, of all together.
        first_s: Seconds of the first iteration of the slowest.
    """

    rate: Rate
    waited: float
    iteration_s: float
    memory_gib: float
    first_s: float

    @classmethod
    def of(cls, runs: Sequence[Timed]) -> Speed:
        """Of runs side by side, each of which is complete."""
        rates = [_rate(run.blocks) for run in runs]
        blocks = [block for run in runs for block in run.blocks]
        iterations = sum(block.iterations for block in blocks)
        return cls(
            Rate(*(sum(getattr(rate, name) for rate in rates) for name in ("mean", "low", "high"))),
            sum(block.waited for block in blocks) / iterations,
            sum(block.seconds for block in blocks) / iterations,
            sum(run.peak_memory_gib for run in runs),
            max(run.first_s for run in runs),
        )

    def again(self, other: Speed) -> Speed:
        """Both measurements of the same: the range is that of both, and so is the peak."""
        one, two = self.rate, other.rate
        both = Rate((one.mean + two.mean) / 2, min(one.low, two.low), max(one.high, two.high))
        return Speed(
            both,
            (self.waited + other.waited) / 2,
            (self.iteration_s + other.iteration_s) / 2,
            max(self.memory_gib, other.memory_gib),
            max(self.first_s, other.first_s),
        )


Outcome = Mapping[str, Speed | str]
"""By row what it reached, or why it failed."""


def together(outcome: Outcome) -> Rate | None:
    """Images a second over all rows, as many images of each; None where one failed.

    That is the harmonic mean of theirs: what takes longest counts most.
    """
    rates = [speed.rate for speed in outcome.values() if isinstance(speed, Speed)]
    if len(rates) < len(outcome):
        return None
    count = len(rates)
    names = ("mean", "low", "high")
    return Rate(*(count / sum(1 / getattr(rate, name) for rate in rates) for name in names))


def _rate(blocks: Sequence[Block]) -> Rate:
    each = [block.images / block.seconds for block in blocks]
    mean = sum(block.images for block in blocks) / sum(block.seconds for block in blocks)
    return Rate(mean, min(each), max(each))
