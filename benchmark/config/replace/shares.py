"""What of a part belongs to its kind: of a part everything, of a whole config its own share."""

from __future__ import annotations

from benchmark.config.replace.schedule import OWN
from benchmark.config.tree import LOADERS, Config

NORMALISATION = ("mean", "std", "bgr_to_rgb", "rgb_to_bgr")
"""What a backbone's weights expect of the image; the rest of a preprocessor is the detector's."""

OF_DATA = frozenset({*LOADERS, "val_evaluator", "test_evaluator", "tta_pipeline"})
"""What a data set's part puts in the place of what stands there; whatever else it says is merged."""

_NOT_OF_A_HEAD = ("backbone", "neck", "data_preprocessor")


def share(kind: str, part: Config) -> Config:
    """The share of a part that takes the place of what stands there of its kind.

    A part that rests on one of mmdet's whole configs has head, pipelines and schedule with it: in the place of its own
    stands nothing but what it is named for.

    Args:
        kind: ``dataset``, ``schedule``, ``head``, ``neck`` or ``backbone``.
        part: The part's config, not changed.
    """
    model = part.get("model") or {}
    if not {"type", "backbone"} <= model.keys():
        return part
    imports = {k: v for k, v in part.items() if k == "custom_imports"}
    if kind == "dataset":
        return {**imports, **{key: value for key, value in part.items() if key in OF_DATA}}
    if kind == "schedule":
        return {key: value for key, value in part.items() if key in OWN}
    if kind == "head":
        return {**imports, "model": {k: v for k, v in model.items() if k not in _NOT_OF_A_HEAD}}
    if kind == "neck":
        return {**imports, "model": {"neck": model.get("neck")}}
    return {**imports, "model": _backbone_of(model)}


def _backbone_of(model: Config) -> Config:
    expects = model.get("data_preprocessor") or {}
    expects = {key: value for key, value in expects.items() if key in NORMALISATION}
    # Whole: nothing of the schedule's is meant for it.
    return {
        "data_preprocessor": {"type": "DetDataPreprocessor", **expects},
        "backbone": {**model["backbone"], "_delete_": True},
    }
