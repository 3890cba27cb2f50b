"""What simulated studies come to, summed up and shown: see `tuning`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Outcome:
    """One study beside the random search of its seed.

    Attributes:
        epochs: Epochs until it was as good, as a share of the budget; infinite if it never was.
        truly: The same by values without noise.
        behind: How far its best is behind the best of the space at the end of the budget, without noise, in mAP50.
        trials: Number of trials that ended.
        pruned: Share of them that was pruned.
    """

    epochs: float
    truly: float
    behind: float
    trials: int
    pruned: float


@dataclass(frozen=True)
class Figure:
    """What studies of a kind came to.

    Attributes:
        median: Of the epochs until as good, as a share of the budget.
        low, high: Its interval at 95 %, by resampling the seeds.
        reached: Share of the seeds that were as good within the budget.
        truly: Median by values without noise.
        behind: Median distance from the best of the space.
        trials: Median number of trials.
        pruned: Mean share of them that was pruned.
        score: Mean of the epochs, over 100 % counted as 125 %: what methods are chosen by.
    """

    median: float
    low: float
    high: float
    reached: float
    truly: float
    behind: float
    trials: float
    pruned: float
    score: float


def figure(found: Sequence[Outcome]) -> Figure:
    """Sums up studies of a kind."""
    epochs = np.array([one.epochs for one in found])
    lot = np.random.default_rng(0)
    again = np.median(epochs[lot.integers(len(epochs), size=(2000, len(epochs)))], axis=1)
    low, high = np.percentile(again, (2.5, 97.5), method="nearest")
    return Figure(
        median=float(np.median(epochs)),
        low=float(low),
        high=float(high),
        reached=float(np.mean(np.isfinite(epochs))),
        truly=float(np.median([one.truly for one in found])),
        behind=float(np.median([one.behind for one in found])),
        trials=float(np.median([one.trials for one in found])),
        pruned=float(np.mean([one.pruned for one in found])),
        score=float(np.mean(np.minimum(epochs, 1.25))),
    )


_COLUMNS = (
    ("median", 7),
    ("95 %", 15),
    ("reached", 8),
    ("truly", 7),
    ("behind", 7),
    ("trials", 6),
    ("pruned", 6),
)
HEAD = " ".join([f"{'':31s}", *(f"{name:>{width}s}" for name, width in _COLUMNS)])


def line_of(name: str, found: Figure) -> str:
    """A method's line."""
    return (
        f"{name:31s} {_share(found.median):>7s} {f'{_share(found.low)} to {_share(found.high)}':>15s} "
        f"{found.reached:8.0%} {_share(found.truly):>7s} {found.behind:7.4f} {found.trials:6.0f} {found.pruned:6.0%}"
    )


def _share(value: float) -> str:
    return f"{value:.0%}" if np.isfinite(value) else ">100%"
