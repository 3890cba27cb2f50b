"""Random weights in place of pretrained ones."""

from __future__ import annotations

from benchmark.config.tree import Config, dicts, is_list
from benchmark.config.vocabulary.words import class_of, mapping_of

# Arguments of detectors and backbones that name weights, and what stands for none.
_NONE: dict[str, object] = {"teacher_ckpt": None, "checkpoint_path": ""}

# Backbones that take batch statistics for learnt ones unless told otherwise; of random weights they are wrong, and
# HRNet's first loss is ten million.
STATISTICS_KEPT = frozenset(
    {
        "Darknet",
        "DetectoRS_ResNeXt",
        "DetectoRS_ResNet",
        "HRNet",
        "RegNet",
        "Res2Net",
        "ResNeSt",
        "ResNeXt",
        "ResNet",
        "ResNetV1d",
        "TridentResNet",
    }
)

# What YOLOX multiplies a class's score by, its objectness, before it has learnt any.
_FIRST_OBJECTNESS = 0.01


def start_from_random_weights(model: object, changes: list[str]) -> None:
    """Takes out of a model what loads weights, in place, and freezes nothing: frozen random weights never learn.

    Args:
        model: A config's ``model``.
        changes: Takes a line for each thing that is more than that.
    """
    _lower_threshold(mapping_of(model), changes)
    load_nothing(model)
    for node in dicts(model):
        if "frozen_stages" in node:
            node["frozen_stages"] = _no_stage(node)
        if "norm_eval" in node or class_of(node) in STATISTICS_KEPT:
            node["norm_eval"] = False
            _keep_from_zero(node.get("norm_cfg"), changes)


def load_nothing(model: object) -> None:
    """Takes out of a model what loads weights when it is built or begins to train, in place.

    Args:
        model: A config's ``model``.
    """
    for node in dicts(model):
        if "init_cfg" in node:
            node["init_cfg"] = _drawn(node["init_cfg"])
        pretrained = node.get("pretrained")
        if isinstance(pretrained, str) or pretrained is True:
            node["pretrained"] = False if pretrained is True else None
        node.update({key: none for key, none in _NONE.items() if isinstance(node.get(key), str)})


def _keep_from_zero(norm: object, changes: list[str]) -> None:
    """NAS-FCOS adds nothing to variances, which torch refuses where they are learnt."""
    if isinstance(norm, dict) and norm.get("eps") == 0:
        norm.pop("eps")
        changes.append("norm_cfg.eps: 0 -> torch's, since variances are learnt")


def _drawn(init: object) -> object:
    """How weights are drawn, of what says how they are made; None where they are loaded."""
    if is_list(init):
        return [one for one in init if not _loads(one)] or None
    return None if _loads(init) else init


def _loads(init: object) -> bool:
    """PVT takes a checkpoint without the type."""
    if not isinstance(init, dict):
        return False
    return class_of(init).endswith("Pretrained") or ("type" not in init and "checkpoint" in init)


def _no_stage(backbone: Config) -> int:
    """The number that freezes nothing; EfficientNets count from 0 and refuse -1."""
    return 0 if class_of(backbone).rpartition(".")[2].startswith("EfficientNet") else -1


def _lower_threshold(model: Config, changes: list[str]) -> None:
    """Scores of YOLOX are products: without training none of them would reach another detector's threshold."""
    tested = mapping_of(model.get("test_cfg"))
    given = tested.get("score_thr")
    if class_of(model.get("bbox_head")) == "YOLOXHead" and isinstance(given, int | float):
        tested["score_thr"] = given * _FIRST_OBJECTNESS
        changes.append(
            f"model.test_cfg.score_thr: {given} -> {tested['score_thr']}, since scores are products"
        )
