"""What is mended in the installed mmdet, and what it imports later: each test fails without its mend."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from importlib.util import module_from_spec
from typing import Any

import pytest
import torch
from mmengine.config import ConfigDict

from benchmark import ops
from benchmark.ops import later, mends

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


@pytest.mark.parametrize("name", later.MODULES)
def test_what_waits_is_there_when_it_is_used(name: str) -> None:
    module = importlib.import_module(name)
    waiting = [one for one in vars(module).values() if isinstance(one, later._Later)]
    assert waiting
    for one in waiting:
        assert one._name.partition(".")[0] in later.MODULES[name]
        assert pkgutil.resolve_name(one._name)


def test_what_waits_does_what_it_stands_in_for() -> None:
    from mmdet.datasets.transforms.generate_line import ImageAug, LineString
    from mmdet.models.dense_heads.paa_head import skm

    flip = {"name": "HorizontalFlip", "parameters": {"p": 1.0}, "p": 1.0}
    made = ImageAug(
        [{"name": "Resize", "parameters": {"size": {"height": 8, "width": 8}}, "p": 1}, flip]
    )
    image = made.pipeline(image=torch.arange(64, dtype=torch.uint8).reshape(8, 8, 1).numpy())
    assert image[0, :, 0].tolist() == [7, 6, 5, 4, 3, 2, 1, 0]
    assert LineString([(0, 0), (3, 4)]).length == 5.0
    fitted = skm.GaussianMixture(2, random_state=0).fit([[0.0], [0.1], [9.0], [9.1]])
    assert sorted(fitted.means_[:, 0].round(2)) == [0.05, 9.05]


def test_what_is_not_installed_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """mmdet asks for what one needs, where its import fails."""
    monkeypatch.setitem(sys.modules, "sklearn", None)
    spec = sys.modules["mmdet.models.dense_heads.paa_head"].__spec__
    assert spec is not None and spec.loader is not None
    again = module_from_spec(spec)
    from mmdet.registry import MODELS

    monkeypatch.setattr(MODELS, "_module_dict", {})  # where the first one stands
    spec.loader.exec_module(again)
    assert again.skm is None
