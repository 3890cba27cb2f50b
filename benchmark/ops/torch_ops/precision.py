"""The precision that the operators compute in, and places that are numbers."""

import torch
from torch import Tensor


def at_least_float32(tensor: Tensor) -> Tensor:
    """``tensor``, or a copy in float32 if its dtype is float16 or bfloat16."""
    return tensor if tensor.element_size() >= 4 else tensor.float()


def finite(places: Tensor) -> Tensor:
    """Regions or offsets in float32 at least; what is no finite number is 0.

    A network that has diverged asks for such places: torchvision's kernels would read memory that is not the map's. Its
    loss is no number either, and that ends the run.
    """
    return torch.nan_to_num(at_least_float32(places), nan=0.0, posinf=0.0, neginf=0.0)
