"""Which objects of an annotation file COCO's evaluation has to find."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LARGEST = 1e5**2
"""Square pixels: the end of pycocotools' area range "all", which begins at 0."""


def counted(area: NDArray[np.float64], crowd: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which objects count, at all sizes: no crowds, and none whose area lies outside COCO's range.

    The others are ignored: they need not be found, and a box on them is no false one. pycocotools takes no notice of a
    file's own ``ignore`` (``COCOeval._prepare`` writes over it; the range is ``Params.areaRng``).

    Args:
        area: Of each object as the file says it, in square pixels, shape (N,).
        crowd: Its ``iscrowd``, shape (N,).

    Returns:
        Shape (N,), bool.
    """
    sized: NDArray[np.bool_] = (area >= 0) & (area <= LARGEST)
    return sized & ~crowd
