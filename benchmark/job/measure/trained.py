"""A run after its last validation, with its model: what the cost of a model is measured from."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from benchmark.job.measure.evaluated import Evaluated

if TYPE_CHECKING:
    from mmengine.model import BaseModel
    from mmengine.runner import Runner


class Images(Protocol):
    """mmengine's dataset in test mode: an item has ``inputs``, a uint8 tensor (3, H, W), and ``data_samples``."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> dict[str, object]: ...


@dataclass(frozen=True)
class Trained(Evaluated):
    """A run after its evaluation, and the runner whose model was evaluated.

    Attributes:
        runner: It has a validation loop over the images.
    """

    runner: Runner

    @property
    def model(self) -> BaseModel:
        """The detector, or its distributed wrapper."""
        return self.runner.model

    @property
    def images(self) -> Images:
        """The validation's dataset."""
        images: Images = self.runner.val_dataloader.dataset
        return images

    def precision(self) -> AbstractContextManager[None]:
        """The validation's precision: mixed where that is."""
        # What has no model, as boxes from a file, never pays for it.
        from mmengine.runner.amp import autocast

        context: AbstractContextManager[None] = autocast(enabled=self.runner.val_loop.fp16)
        return context
