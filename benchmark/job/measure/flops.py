"""How much arithmetic a model does for one image."""

from __future__ import annotations

import torch
from mmengine.analysis import FlopAnalyzer
from mmengine.dataset import pseudo_collate
from mmengine.model import BaseModel, is_model_wrapper

from benchmark.job.measure.latency import predicting
from benchmark.job.measure.trained import Images, Trained
from benchmark.run.record import Flops


def flops_of(trained: Trained) -> Flops:
    """Counts for a run's model, on the first image of its validation."""
    with trained.precision():
        return flops(trained.model, trained.images)


def flops(model: BaseModel, dataset: Images) -> Flops:
    """Counts the multiply-adds of one forward pass over the first image of a dataset, as it is tested.

    mmengine's analysis does, as in mmdet's ``tools/analysis_tools/get_flops.py``: it traces the forward pass and
    counts from the shapes of what goes in and out. A multiply-add counts as one, so that "FLOPs" of papers which count
    a multiplication and an addition are twice as many.

    In it: convolutions, matrix products, normalisations and interpolation of backbone, neck and head. Not in it: other
    operations on single elements (additions, activations, layer scale), pooling, and what comes after the head:
    decoding and NMS. The size of the image is that after the test pipeline and padding; counts of models are comparable
    where that is the same.

    Args:
        model: An mmdet detector, or its distributed wrapper. Every module is in its own mode afterwards.
        dataset: An mmengine dataset in test mode; an item has ``inputs``, a uint8 tensor (3, H, W), and
            ``data_samples``.

    Returns:
        The count, and ``[3, H, W]`` of the padded image that it is for.

    Raises:
        IndexError: The dataset is empty.
        Exception: The model cannot be traced: whatever its forward pass raises.
    """
    detector = model.module if is_model_wrapper(model) else model
    with predicting(detector):
        data = detector.data_preprocessor(pseudo_collate([dataset[0]]), False)
        inputs = data["inputs"]
        counted = FlopAnalyzer(_Forward(detector, data["data_samples"]), inputs)
        # They name losses, and the operators that are left out as said above: on every run the same.
        counted.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        return Flops(int(counted.total()), list(inputs.shape[1:]))


class _Forward(torch.nn.Module):
    """A detector as what can be traced: a tensor (1, 3, H, W) goes in, the head's raw outputs come out."""

    def __init__(self, detector: BaseModel, data_samples: object) -> None:
        super().__init__()
        self.detector = detector
        self.data_samples = data_samples

    def forward(self, inputs: torch.Tensor) -> object:
        """The detector's forward pass without decoding."""
        return self.detector(inputs, self.data_samples, mode="tensor")
