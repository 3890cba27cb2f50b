"""Mixed precision in bfloat16: on a CPU, which mmengine's wrapper of the optimizer leaves to GPUs, and of detectors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS
from torch import Tensor
from torch.amp import GradScaler
from torch.nn import functional

from benchmark.config.faster import AMP
from benchmark.config.vocabulary.words import class_of
from benchmark.job.float32 import predictions_in_float32


@OPTIM_WRAPPERS.register_module()
class Bf16OptimWrapper(AmpOptimWrapper):  # type: ignore[misc]
    """mmengine's AmpOptimWrapper in bfloat16 on a GPU; what bfloat16 is too coarse for stays in float32."""

    @contextmanager
    def optim_context(self, model: torch.nn.Module) -> Iterator[None]:
        """What a step is computed in."""
        with super().optim_context(model), predictions_in_float32(model):
            yield


@OPTIM_WRAPPERS.register_module()
class CpuAmpOptimWrapper(AmpOptimWrapper):  # type: ignore[misc]
    """mmengine's AmpOptimWrapper on a CPU: a step is autocast to bfloat16.

    mmengine's asserts an accelerator, though its ``autocast`` knows CPUs. bfloat16 has the range of float32, so that
    there is no loss to scale, and nothing of a scaler in checkpoints: a GPU that goes on from one begins with its own.

    Args:
        dtype: ``bfloat16``; a CPU autocasts to nothing else.
        loss_scale: Not used.
        use_fsdp: Not used.
        settings: Those of `mmengine.optim.OptimWrapper`.
    """

    def __init__(
        self, loss_scale: object = 1.0, dtype: str = "", use_fsdp: bool = False, **settings: object
    ) -> None:
        if dtype != "bfloat16":
            raise ValueError(f"dtype: {dtype or 'float16'}: a CPU trains in bfloat16 or float32")
        OptimWrapper.__init__(self, **settings)
        self._scale_update_param = None
        self.loss_scaler = GradScaler("cpu", enabled=False)
        self.cast_dtype = torch.bfloat16

    @contextmanager
    def optim_context(self, model: torch.nn.Module) -> Iterator[None]:
        """What a step is computed in."""
        with (
            super().optim_context(model),
            _small_maps_in_float32(),
            predictions_in_float32(model),
        ):
            yield

    def state_dict(self) -> dict[str, object]:
        """What a checkpoint holds of it: the optimizer."""
        return dict(OptimWrapper.state_dict(self))


Convolution = Callable[..., Tensor]


@contextmanager
def _small_maps_in_float32() -> Iterator[None]:
    """Computes convolutions of maps that are smaller than their kernel or stride in float32, within.

    Of these torch's kernels (oneDNN's, torch 2.14 on a CPU with AMX) read what is in no tensor, in bfloat16: with a
    stride above both sides of the map, as at an FPN's last levels, the gradient of the weights is any number, NaN
    included. Transposed ones are wrong where one side is 1. Such maps are too small to take any time.
    """
    plain = {name: getattr(functional, name) for name in ("conv2d", "conv_transpose2d")}
    for name, convolution in plain.items():
        setattr(functional, name, _careful(convolution))
    try:
        yield
    finally:
        for name, convolution in plain.items():
            setattr(functional, name, convolution)


def _careful(convolution: Convolution) -> Convolution:
    """A convolution of torch's that computes small maps in float32."""

    def careful(
        image: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: int | Sequence[int] = 1,
        *more: object,
        **named: object,
    ) -> Tensor:
        least = max(*weight.shape[-2:], *([stride] if isinstance(stride, int) else stride))
        if min(image.shape[-2:]) >= least:
            if image.dim() == 4:  # 1.25 times as fast a step; weights stay as checkpoints have them
                image = image.contiguous(memory_format=torch.channels_last)
            return convolution(image, weight, bias, stride, *more, **named)
        with torch.autocast("cpu", enabled=False):
            wide = (None if one is None else one.float() for one in (image, weight, bias))
            return convolution(*wide, stride, *more, **named)

    return careful


def on_this_device(wrapper: object) -> object:
    """What a config says of the optimizer's wrapper, as this machine builds it; ``config.py`` stays as it is."""
    if class_of(wrapper) != AMP or not isinstance(wrapper, Mapping):
        return wrapper
    on_gpu = torch.cuda.is_available()
    if on_gpu and wrapper.get("dtype") != "bfloat16":
        return wrapper
    own = Bf16OptimWrapper if on_gpu else CpuAmpOptimWrapper
    return {**wrapper, "type": own.__name__, "_scope_": "mmengine"}


def emulated(wrapper: object) -> str:
    """A word on a GPU that has no bfloat16, which torch then makes of float32; empty where there is nothing to say."""
    asked = isinstance(wrapper, Mapping) and wrapper.get("dtype") == "bfloat16"
    if not asked or not torch.cuda.is_available():
        return ""
    if torch.cuda.is_bf16_supported(including_emulation=False):
        return ""
    name = torch.cuda.get_device_name()
    return (
        f"bf16: {name} has no bfloat16 and emulates it, which saves no time; 'precision: amp' does"
    )
