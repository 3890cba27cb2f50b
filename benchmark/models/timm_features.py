"""Models of timm as backbones: the maps of their stages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import timm
import torch
from mmdet.registry import MODELS
from mmengine.model import BaseModule
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from benchmark.models import file_name


@MODELS.register_module()
class TimmFeatures(BaseModule):  # type: ignore[misc]
    """The maps that a model of timm gives of an image, as mmdet's necks take them.

    Args:
        model_name: Name of the model with the tag of its weights: ``resnet34.a1_in1k``.
        out_indices: Which of its maps, by timm's own numbers.
        pretrained: Address of its weights, as timm publishes them; None or False for random ones.
        norm_eval: Keep the statistics of batch norm as they are while training.
        pad_to: What the model wants image sides to be multiples of: it is fed with zeros below and to the right, and
            its maps are cut to what is of the image.
        options: Other arguments of the model.
    """

    def __init__(
        self,
        model_name: str,
        out_indices: Sequence[int],
        pretrained: str | bool | None = None,
        norm_eval: bool = False,
        pad_to: int = 1,
        options: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__()
        weights = self.weights(pretrained) if pretrained else None
        create: Callable[..., torch.nn.Module] = timm.create_model
        self.body = create(
            model_name,
            pretrained=weights is not None,
            pretrained_cfg_overlay={"state_dict": weights, "custom_load": False}
            if weights
            else None,
            features_only=True,
            out_indices=tuple(out_indices),
            **(options or {}),
        )
        layout = getattr(self.body, "output_fmt", None)
        self.channels_last = getattr(layout, "value", layout) == "NHWC"
        self.strides: Sequence[int] = self.body.feature_info.reduction()  # type: ignore[operator, union-attr]
        self.norm_eval = norm_eval
        self.pad_to = pad_to

    def weights(self, pretrained: str | bool) -> Mapping[str, torch.Tensor]:
        """Its weights by their names in timm.

        Raises:
            ValueError: ``pretrained`` is no address.
        """
        if not isinstance(pretrained, str):
            raise ValueError("pretrained: give the address of the weights, or None for random ones")
        # Looked up now: a job has this function read what is on this machine.
        found: Mapping[str, torch.Tensor] = torch.hub.load_state_dict_from_url(
            pretrained, map_location="cpu", file_name=file_name(pretrained)
        )
        return found

    def init_weights(self) -> None:
        """Does nothing: timm has drawn or loaded them."""

    def train(self, mode: bool = True) -> TimmFeatures:
        """As usual, but for the statistics of batch norm under ``norm_eval``."""
        super().train(mode)
        if mode and self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The maps of a batch.

        Args:
            images: ``(N, 3, H, W)``, normalised.

        Returns:
            For each of ``out_indices`` ``(N, C, ceil(H / stride), ceil(W / stride))``.
        """
        height, width = images.shape[-2:]
        more = (-width % self.pad_to, -height % self.pad_to)
        if any(more):
            images = functional.pad(images, (0, more[0], 0, more[1]))
        maps = self.body(images)
        if self.channels_last:
            maps = [one.permute(0, 3, 1, 2).contiguous() for one in maps]
        cut = zip(maps, self.strides, strict=True)
        return tuple(one[..., : -(-height // s), : -(-width // s)] for one, s in cut)
