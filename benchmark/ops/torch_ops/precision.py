"""The precision that the operators compute in."""

from torch import Tensor


def at_least_float32(tensor: Tensor) -> Tensor:
    """``tensor``, or a copy in float32 if its dtype is float16 or bfloat16."""
    return tensor if tensor.element_size() >= 4 else tensor.float()
