"""What bfloat16 is too coarse for, computed in float32: coordinates, matching, the weights of losses.

bfloat16 has 8 bits: from 256 pixels on, coordinates are 2 pixels apart, from 512 on 4. mmdet 2 computed losses and
boxes in float32 (``force_fp32``), mmdet 3 computes them in what its layers give. Here it is mmdet 2's rule again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

# Of heads: what makes targets, losses and boxes of predictions.
_OF_HEADS = ("loss_by_feat", "predict_by_feat", "loss_and_target", "refine_bboxes")
# Folders whose modules are computed in float32 as a whole: an extractor rounds its regions to what its features are.
_WHOLE = ("losses", "roi_extractors")


@contextmanager
def predictions_in_float32(model: nn.Module) -> Iterator[None]:
    """Has a detector compute losses, boxes and features of regions in float32, within; its layers as before.

    Args:
        model: A detector; left as it was.
    """
    with ExitStack() as stack:
        for module in model.modules():
            for name in _coarse(module):
                stack.enter_context(_replaced(module, name))
        yield


def _coarse(module: nn.Module) -> Iterator[str]:
    """The methods of a module that are to be computed in float32."""
    if not {*type(module).__module__.split(".")}.isdisjoint(_WHOLE):
        yield "forward"
    yield from (name for name in _OF_HEADS if hasattr(module, name))


@contextmanager
def _replaced(module: nn.Module, name: str) -> Iterator[None]:
    setattr(module, name, _wide(getattr(module, name)))
    try:
        yield
    finally:
        delattr(module, name)


def _wide(method: Callable[..., Any]) -> Callable[..., Any]:
    """A method in float32, whatever it is called in, and with whatever predictions."""

    def wide(*args: object, **named: object) -> Any:
        # A model on a GPU has it initialized; whether there is one would be asked of its driver each time.
        device = "cuda" if torch.cuda.is_initialized() else "cpu"  # type: ignore[no-untyped-call]
        with torch.autocast(device, enabled=False):
            return method(
                *map(_float32, args), **{key: _float32(one) for key, one in named.items()}
            )

    return wide


def _float32(value: Any) -> Any:
    """A value with the bfloat16 in its lists, tuples and mappings in float32; each else as it is."""
    if isinstance(value, Tensor):
        return value.float() if value.dtype == torch.bfloat16 else value
    if type(value) in (list, tuple):
        return type(value)(map(_float32, value))
    if type(value) is dict:
        return {key: _float32(one) for key, one in value.items()}
    return value
