"""A run after its last validation: what it is measured from."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmengine.runner.amp import autocast

from benchmark.job.metric import HotCocoMetric
from benchmark.run.folder import RunFolder
from benchmark.run.spec import RunSpec
from benchmark.statistics.evaluation import Evaluation, GroundTruth


class Images(Protocol):
    """mmengine's dataset in test mode: an item has ``inputs``, a uint8 tensor (3, H, W), and ``data_samples``."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> dict[str, object]: ...


@dataclass(frozen=True)
class Trained:
    """A run after its last validation, which its metric holds."""

    runner: Runner
    metric: HotCocoMetric
    folder: RunFolder

    @property
    def model(self) -> BaseModel:
        """The detector, or its distributed wrapper."""
        return self.runner.model

    @property
    def images(self) -> Images:
        """The validation's dataset."""
        images: Images = self.runner.val_dataloader.dataset
        return images

    @property
    def evaluation(self) -> Evaluation:
        """The last validation.

        Raises:
            ValueError: There was none.
        """
        if self.metric.last is None:
            raise ValueError("there was no validation")
        return self.metric.last

    @property
    def truth(self) -> GroundTruth:
        """The annotations that it was held against."""
        return self.metric.ground_truth

    @property
    def classes(self) -> list[str]:
        """Class names in label order."""
        return list(self.evaluation.per_class)

    @cached_property
    def spec(self) -> RunSpec:
        """What was asked of the run."""
        return self.folder.read_spec()

    def precision(self) -> AbstractContextManager[None]:
        """The validation's precision: mixed where that is."""
        context: AbstractContextManager[None] = autocast(enabled=self.runner.val_loop.fp16)
        return context
