"""The scores of an evaluation, each declared once: a new one is one more entry of `SCORES`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from hotcoco import COCOeval

Better = Literal["higher", "lower"]


@dataclass(frozen=True)
class Score:
    """A number that says how well boxes fit: a fraction in 0..1.

    Attributes:
        key: Name in records, journals, studies and, in small letters, in the leaderboard's files.
        title: Heading for readers.
        about: What it is, in a sentence.
        metric: Name in the results of mmdet's own metric, which hooks and schedulers of its configs refer to.
        read: Takes it out of ``COCOeval`` once that is summarized; -1 where there is no object to find.
        better: Which way is better.
        unit: Its unit.
        axis: Whether the page shows it over the epochs of a training.
    """

    key: str
    title: str
    about: str
    metric: str
    read: Callable[[COCOeval], float]
    better: Better = "higher"
    unit: str = "fraction"
    axis: bool = False

    @property
    def column(self) -> str:
        """Key of its column in the leaderboard."""
        return self.key.lower()

    def best(self, values: Iterable[float]) -> float:
        """The best of some values.

        Raises:
            ValueError: There is none.
        """
        return max(values) if self.better == "higher" else min(values)


def at(position: int) -> Callable[[COCOeval], float]:
    """Reads the value at a position of ``COCOeval``'s summary."""
    return lambda run: float(run.stats[position])


MAIN = "mAP50"  # what rows are ranked by

_ALL = (
    Score("mAP50", "mAP50", "At IoU 0.50.", "bbox_mAP_50", at(1), axis=True),
    Score("mAP", "mAP", "Mean over IoU 0.50, 0.55 .. 0.95.", "bbox_mAP", at(0), axis=True),
    Score("mAP75", "mAP75", "At IoU 0.75.", "bbox_mAP_75", at(2)),
    Score(
        "mAP_s",
        "mAP small",
        "As mAP, objects whose annotated area is up to 32 x 32 pixels.",
        "bbox_mAP_s",
        at(3),
    ),
    Score(
        "mAP_m",
        "mAP medium",
        "As mAP, objects whose annotated area is 32 x 32 to 96 x 96 pixels.",
        "bbox_mAP_m",
        at(4),
    ),
    Score(
        "mAP_l",
        "mAP large",
        "As mAP, objects whose annotated area is from 96 x 96 pixels on.",
        "bbox_mAP_l",
        at(5),
    ),
)
SCORES = {score.key: score for score in _ALL}
