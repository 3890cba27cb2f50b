"""What a run came to on the test split: ``test.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated

from pydantic import BeforeValidator

from benchmark.data.dataset import Split
from benchmark.files import JsonObject
from benchmark.run.fields import Checked, Flag, Time, Whole
from benchmark.run.record import Metrics, Numbers, ValImages, nested
from benchmark.run.spec import SCHEMA_VERSION


@dataclass(frozen=True)
class Tested:
    """What a run came to on the test split, which it saw once, with the weights that its record is about.

    Attributes:
        run_id: The run's id.
        sha256: Hex SHA-256 of the test split as it was predicted on, see `benchmark.data.dataset.Split`.
        labelled: Whether the split says which objects there are; if not, boxes were predicted, and nothing more.
        metrics: Scores; empty of a split without annotations, and where the run could not be evaluated.
        no_predictions: The model predicted nothing at all.
        images: The images of the split.
        finished_at: ISO 8601 time in UTC.
        tide: How much mAP50, as a fraction, each kind of error costs.
        missing: Why what belongs to an evaluation could not be had, by key of `benchmark.job.measure.MEASUREMENTS`.
        problem: Why the run could not be evaluated, in one line; empty if it was.
        lasting: Whether that stays so; if not, the next sweep tries again.
        schema_version: Version of ``test.json``.
    """

    run_id: str
    sha256: str
    labelled: Flag
    metrics: Annotated[Metrics, BeforeValidator(nested)]
    no_predictions: Flag
    images: ValImages
    finished_at: Time
    tide: Numbers | None = None
    missing: Mapping[str, str] | None = None
    problem: str = ""
    lasting: Flag = False
    schema_version: Whole = SCHEMA_VERSION

    @classmethod
    def from_json(cls, value: object) -> Tested:
        """Reads back what ``test.json`` holds.

        Raises:
            ValueError: It is something else; the message names the field.
        """
        return _TESTED(value)

    def to_json(self) -> JsonObject:
        """The plain values that ``test.json`` holds."""
        return {**asdict(self), "metrics": self.metrics.to_json()}

    def score(self, key: str) -> float | None:
        """A score on the test split, None if it has none: a model that predicts nothing scores 0."""
        silent = self.labelled and self.no_predictions and not self.problem
        return self.metrics.scores.get(key, 0.0 if silent else None)


_TESTED = Checked(Tested)


def is_tested(tested: Tested | None, split: Split) -> bool:
    """Whether there is nothing to do for a run on a test split as it is now: what can be known is known."""
    if tested is None or tested.sha256 != split.sha256:
        return False
    return tested.lasting or not tested.problem
