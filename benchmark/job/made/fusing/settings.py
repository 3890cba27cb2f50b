"""How boxes are fused: plain values, apart from where they come from."""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.experiment.rows.fuse import IOU, Method


@dataclass(frozen=True)
class Settings:
    """How the boxes of some rows are fused.

    Attributes:
        method: ``wbf`` averages boxes that overlap, ``nms`` keeps the best of them, ``soft_nms`` lowers the others'
            scores.
        weights: One a row, 0 or above, not all 0. A row of weight 0 takes no part.
        iou: Overlap above which two boxes of a class are of one object, between 0 and 1.
        skip: Boxes of a lower score are left out before anything else; scores are weighted after that.
    """

    method: Method
    weights: tuple[float, ...]
    iou: float = IOU
    skip: float = 0.0
