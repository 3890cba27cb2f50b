"""What the rows of a table came to on its test split, see `benchmark.leaderboard.on_test`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmark.run.tested import Tested

if TYPE_CHECKING:
    from benchmark.statistics.intervals import Interval


@dataclass(frozen=True)
class TestSplit:
    """The test split of a table, every object of which is known.

    Attributes:
        sha256: Hex SHA-256 of its annotations.
        images: How many there are.
    """

    sha256: str
    images: int


@dataclass(frozen=True)
class OnTest:
    """What the runs of a row came to on the test split of its table.

    Attributes:
        found: By id of a run; of all complete runs of the row, or of none.
        why: Why there is none, empty if there are.
        interval: Where mAP50 on the split lies, None where that is not known.
        unpaired: Why it is not, although the runs are evaluated; empty if there is no such reason.
    """

    found: Mapping[str, Tested]
    why: str = ""
    interval: Interval | None = None
    unpaired: str = ""
