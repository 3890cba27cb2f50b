"""Boxes that were evaluated on the validation images: what most measurements are made from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from benchmark.data.annotations import Annotations
from benchmark.run.folder import RunFolder
from benchmark.run.spec import RunSpec
from benchmark.statistics.evaluation import Evaluation, GroundTruth


@dataclass(frozen=True)
class Evaluated:
    """A run after its evaluation.

    Attributes:
        folder: The run.
        evaluation: The evaluation that is recorded.
        annotations: What it was held against.
        truth: The same as the evaluator holds it.
    """

    folder: RunFolder
    evaluation: Evaluation
    annotations: Annotations
    truth: GroundTruth

    @property
    def classes(self) -> list[str]:
        """Class names in label order."""
        return list(self.evaluation.per_class)

    @cached_property
    def spec(self) -> RunSpec:
        """What was asked of the run."""
        return self.folder.read_spec()
