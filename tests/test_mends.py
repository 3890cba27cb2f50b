"""What is mended in the installed mmdet: each test fails without its mend."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import torch
from mmengine.config import ConfigDict

from benchmark import ops
from benchmark.ops import mends

ops.install()

from mmdet.models.dense_heads import PISASSDHead, SSDHead  # noqa: E402

SETTINGS: dict[str, Any] = {
    "num_classes": 2,
    "in_channels": (4,),
    "anchor_generator": {
        "type": "SSDAnchorGenerator",
        "scale_major": False,
        "min_sizes": [8],
        "max_sizes": [16],
        "strides": [16],
        "ratios": [[2]],
    },
    "test_cfg": ConfigDict(
        nms_pre=10, nms={"type": "nms", "iou_threshold": 0.5}, score_thr=0.0, max_per_img=5
    ),
}


@pytest.mark.parametrize("kind", [SSDHead, PISASSDHead])
def test_ssd_heads_predict(kind: type[SSDHead]) -> None:
    head = kind(**SETTINGS)
    features = [torch.ones(1, 4, 2, 2)]
    meta = {"img_shape": (32, 32), "scale_factor": (1.0, 1.0)}
    (found,) = head.predict_by_feat(*head(features), batch_img_metas=[meta], cfg=head.test_cfg)
    assert len(found.bboxes) == 5


def test_a_head_that_has_its_loss_keeps_it() -> None:
    class Whole(SSDHead):
        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings)
            self.loss_cls = torch.nn.CrossEntropyLoss()

    assert isinstance(Whole(**SETTINGS).loss_cls, torch.nn.CrossEntropyLoss)


def test_mended_once_and_found_as_ever() -> None:
    before, finders = SSDHead.__init__, list(sys.meta_path)
    mends.install()
    assert SSDHead.__init__ is before
    assert sys.meta_path == finders
    module = sys.modules[SSDHead.__module__]
    assert module.__file__ is not None
    assert module.__file__.endswith("ssd_head.py")
