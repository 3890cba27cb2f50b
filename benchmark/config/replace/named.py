"""Backbones that are no files: parts made from a model's name."""

from __future__ import annotations

from benchmark.config.config_file import load_config
from benchmark.config.replace.ask import ask, remember
from benchmark.config.replace.place import Part
from benchmark.config.replace.shares import share
from benchmark.config.tree import Config
from benchmark.errors import UserError
from benchmark.experiment.rows.made import MMDET, MMPRETRAIN, TIMM
from benchmark.experiment.rows.zoo import of_mmdet
from benchmark.files import JsonObject

_TIMM_MODULES = ["timm", "benchmark.models.timm_features"]
# The normalisation of nearly all of mmpretrain's models of ImageNet, and of torchvision's.
_IMAGENET = {"mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375], "bgr_to_rgb": True}


def made_part(name: str) -> Part:
    """The part that a name stands for.

    Args:
        name: ``timm/<model>``, ``mmpretrain/<Type>:<arch>`` or ``mmdet::<family>/<file>.py``.

    Raises:
        UserError: There is no such model, or none that gives maps.
    """
    if name.startswith(TIMM):
        return _of_timm(name)
    return _of_mmpretrain(name) if name.startswith(MMPRETRAIN) else _of_mmdet(name)


def _of_timm(name: str) -> Part:
    answer = ask({"timm": name.removeprefix(TIMM)}, f"backbone {name}")
    # What is composed has the tag in its name, and is asked for by that.
    remember({"timm": answer["name"]}, answer)
    backbone: Config = {
        "type": "TimmFeatures",
        "model_name": answer["name"],
        "out_indices": tuple(level[0] for level in answer["levels"]),
        "pretrained": answer["weights"],
    }
    if answer["pad_to"] > 1:
        backbone["pad_to"] = answer["pad_to"]
    if answer["options"]:
        backbone["options"] = answer["options"]
    expects = {"mean": answer["mean"], "std": answer["std"], "bgr_to_rgb": True}
    told = (
        () if answer["weights"] else (f"backbone {name}: timm has no weights of it: random ones",)
    )
    return Part(_part(backbone, expects, _TIMM_MODULES), name, told)


def _of_mmpretrain(name: str) -> Part:
    kind, _, arch = name.removeprefix(MMPRETRAIN).partition(":")
    answer = ask({"mmpretrain": kind, "arch": arch}, f"backbone {name}")
    backbone = dict(answer["backbone"])
    remember({"backbone": repr(backbone), "modules": ["mmpretrain.models"]}, answer)
    return Part(_part(backbone, _IMAGENET, ["mmpretrain.models"]), name, _random(name, backbone))


def _random(name: str, backbone: Config) -> tuple[str, ...]:
    if "init_cfg" in backbone:
        return ()
    return (
        f"backbone {name}: from random weights; name others in the row's set: '+model.backbone.init_cfg': "
        "{type: Pretrained, checkpoint: ..., prefix: backbone.}",
    )


def _part(backbone: Config, expects: JsonObject, modules: list[str]) -> Config:
    return {
        "custom_imports": {"imports": modules, "allow_failed_imports": False},
        "model": {
            "data_preprocessor": {"type": "DetDataPreprocessor", **expects},
            "backbone": backbone,
        },
    }


def _of_mmdet(name: str) -> Part:
    part = share("backbone", load_config(of_mmdet(name.removeprefix(MMDET))))
    if "backbone" not in (part.get("model") or {}):
        raise UserError(f"backbone {name}: is no whole config, and has no backbone")
    return Part(part, name)
