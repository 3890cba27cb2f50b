"""Named knobs of a row: what a parameter of a search may be called in place of a key path.

Values of a config that were worked out from another value stay behind when that one changes: a cosine's
``eta_min``, written as a twentieth of the rate, keeps the old rate's twentieth. A knob moves what belongs together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeGuard

from benchmark.config.config_file import plain
from benchmark.config.shrink.images import scale_images, takes_one_size
from benchmark.config.shrink.pixels import BATCH_SIZES, EDGES, LENGTHS, SCALES, Network, mapped
from benchmark.config.tree import Config, Overrides

# What `value_at` returns where a config has nothing; None is a value of its own.
MISSING: Any = type("Missing", (), {"__repr__": lambda self: "MISSING"})()

_LR = "optim_wrapper.optimizer.lr"
_RATES = (
    "eta_min",
    "eta_max",
    "min_value",
)  # of schedulers; `eta_min_ratio` and factors are ratios
_IMAGES = ("train_dataloader", "val_dataloader", "test_dataloader", "tta_pipeline", "custom_hooks")
_SIZES = SCALES | BATCH_SIZES | EDGES | LENGTHS

# mmengine's LinearLR and ConstantLR of one step begin low and never come up: they act from `begin` to before
# `end`, and the first step only lowers the rate.
_SHORTEST_WARM_UP = 2


class NoSuchSetting(LookupError):
    """A config lacks what a knob turns; the message is the missing thing, to follow ``has no``."""


class Unfit(ValueError):
    """A value that a knob cannot take in this config."""


@dataclass(frozen=True)
class Knob:
    """A setting of a row by its own name, with everything in a config that moves along.

    Attributes:
        about: What it is, with its unit.
        read: The row's own value, from its composed config. Raises `NoSuchSetting`.
        overrides: The key paths that a value sets, and their values. Raises `NoSuchSetting`, `Unfit`.
        takes: ``number``, ``whole`` (a whole number) or ``list`` (of numbers above 0, so choices only).
        least: Lowest value that makes sense.
        most: Highest value that makes sense.
        positive: Whether 0 and below make no sense.
    """

    about: str
    read: Callable[[Config], Any]
    overrides: Callable[[Config, Any], Overrides]
    takes: Literal["number", "whole", "list"] = "number"
    least: float = -math.inf
    most: float = math.inf
    positive: bool = False

    def problem(self, value: Any) -> str | None:
        """What is wrong with a value, in words that follow it; None if nothing is."""
        if self.takes == "list":
            fits = isinstance(value, list | tuple) and value and all(map(_is_number, value))
            return None if fits and min(value) > 0 else "is not a list of numbers above 0"
        if not _is_number(value):
            return "is not a number"
        if self.takes == "whole" and value != int(value):
            return "is not a whole number"
        if self.positive and value <= 0:
            return "is not above 0"
        return None if self.least <= value <= self.most else f"is {self._outside(value)}"

    def _outside(self, value: float) -> str:
        return f"below {self.least:g}" if value < self.least else f"above {self.most:g}"


def value_at(config: Config, path: str) -> Any:
    """The value at a key path of a config, `MISSING` if there is none."""
    node: Any = config
    for key in path.split("."):
        if isinstance(node, list | tuple):
            node = node[int(key)] if key.isdecimal() and int(key) < len(node) else MISSING
        else:
            node = node.get(key, MISSING) if isinstance(node, dict) else MISSING
    return node


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _there(config: Config, path: str) -> Any:
    value = value_at(config, path)
    if value is MISSING:
        raise NoSuchSetting(path)
    return value


def _at(path: str, about: str, **limits: Any) -> Knob:
    """A knob that sets one key path."""

    def overrides(config: Config, value: Any) -> Overrides:
        return {path: value}

    return Knob(about, lambda config: _there(config, path), overrides, **limits)


def _at_first(paths: Sequence[str], about: str, **limits: Any) -> Knob:
    """A knob that sets the first of some key paths that a config has: where detectors of a kind hold it."""

    def found(config: Config) -> str:
        return next((path for path in paths if value_at(config, path) is not MISSING), paths[-1])

    def overrides(config: Config, value: Any) -> Overrides:
        return {found(config): value}

    return Knob(about, lambda config: _there(config, found(config)), overrides, **limits)


# Schedulers


def _schedulers(config: Config) -> Iterator[tuple[str, Config]]:
    """Each scheduler with its key path."""
    schedulers = config.get("param_scheduler")
    if isinstance(schedulers, dict):
        yield "param_scheduler", schedulers
    elif isinstance(schedulers, list | tuple):
        for index, scheduler in enumerate(schedulers):
            if isinstance(scheduler, dict):
                yield f"param_scheduler.{index}", scheduler


def _type_of(scheduler: Config) -> str:
    return str(scheduler.get("type", "")).rsplit(".", 1)[-1]


def _rates(config: Config, lr: float) -> Overrides:
    old = _there(config, _LR)
    overrides: Overrides = {_LR: lr}
    for path, scheduler in _schedulers(config) if old else ():
        # A scheduler of the momentum has an `eta_min` too, which is no rate.
        if _type_of(scheduler).endswith("LR") or scheduler.get("param_name") == "lr":
            overrides |= {
                f"{path}.{key}": _times(scheduler[key], lr, old)
                for key in _RATES
                if scheduler.get(key)
            }
    return overrides


def _times(rate: Any, lr: float, old: float) -> Any:
    """``rate`` at the new learning rate; one for each group of parameters if it is a list."""
    if isinstance(rate, list | tuple):
        return [_times(item, lr, old) for item in rate]
    return rate * lr / old


def _warm_up(config: Config) -> tuple[str, Config]:
    for path, scheduler in _schedulers(config):
        starts = scheduler.get("begin", 0) == 0 and isinstance(scheduler.get("end"), int)
        if starts and _rises(scheduler):
            return path, scheduler
    raise NoSuchSetting("warm-up in param_scheduler")


def _rises(scheduler: Config) -> bool:
    name = _type_of(scheduler)
    if name == "LinearLR":
        return bool(scheduler.get("start_factor", 1 / 3) < scheduler.get("end_factor", 1.0))
    if name == "ConstantLR":
        return bool(scheduler.get("factor", 1 / 3) < 1)
    return name == "QuadraticWarmupLR"


def _warm_up_length(config: Config, length: int) -> Overrides:
    path, first = _warm_up(config)
    by_epoch = first.get("by_epoch", True)
    unit = "epochs" if by_epoch else "iterations"
    total = (config.get("train_cfg") or {}).get(f"max_{'epochs' if by_epoch else 'iters'}")
    if total is not None and length > total:
        raise Unfit(f"a warm-up of {length} {unit} is longer than the training, {total} {unit}")
    overrides: Overrides = {f"{path}.end": length}
    for other, scheduler in _schedulers(config):
        follows = other != path and scheduler.get("begin") == first["end"]
        if follows and scheduler.get("by_epoch", True) == by_epoch:
            moved = _begun_later(scheduler, length - first["end"])
            if moved is None:
                raise Unfit(
                    f"a warm-up of {length} {unit} leaves no room for {other}, which follows"
                )
            overrides |= {f"{other}.{key}": value for key, value in moved.items()}
    return overrides


def _begun_later(scheduler: Config, later: int) -> Overrides | None:
    """What changes in a scheduler that begins ``later`` and does everything else when it did, None if it cannot.

    mmengine counts ``T_max`` and ``milestones`` from ``begin``.
    """
    moved: Overrides = {"begin": scheduler["begin"] + later}
    length, milestones = scheduler.get("T_max"), scheduler.get("milestones")
    if isinstance(length, int):
        moved["T_max"] = length - later
    if milestones:
        moved["milestones"] = [milestone - later for milestone in milestones]
    counted = [moved.get("T_max", 1), *moved.get("milestones", ())]
    return moved if min(counted) > 0 and moved["begin"] < scheduler.get("end", math.inf) else None


# Images


def _sizes(config: Config) -> Overrides:
    """Each image size in pixels, by key path: those of the pipelines, and of the batch."""
    preprocessor = value_at(config, "model.data_preprocessor")
    places = {name: config.get(name) for name in _IMAGES}
    places["model.data_preprocessor"] = preprocessor
    sizes: Overrides = {}
    for path, node in places.items():
        sizes |= _sizes_in(node, path)
    return sizes


def _sizes_in(node: object, path: str) -> Overrides:
    sizes: Overrides = {}
    if isinstance(node, dict):
        keys = _SIZES if "type" in node else frozenset()
        items = list(node.items())
        # A size in floats is a share of the image, which moves with it.
        sizes = {
            f"{path}.{k}": v
            for k, v in items
            if k in keys and mapped(v, lambda side: side + 1) != v
        }
    else:
        items = list(enumerate(node)) if isinstance(node, list | tuple) else []
    for key, child in items:
        sizes |= _sizes_in(child, f"{path}.{key}")
    return sizes


def _image_scale(config: Config) -> float:
    if takes_one_size(config.get("model")):
        raise NoSuchSetting("other image size than the one that its model is built for")
    if not _sizes(config):
        raise NoSuchSetting("image size in its pipelines")
    return 1.0


def _scaled_images(config: Config, factor: float) -> Overrides:
    sizes = _sizes(config)
    if factor == 1:  # a batch's size need not fit the grid
        return sizes
    changed = plain({name: config[name] for name in (*_IMAGES, "model") if name in config})
    scale_images(changed, factor, Network.of(changed.get("model") or {}))
    return {path: value_at(changed, path) for path in sizes}


KNOBS: dict[str, Knob] = {
    "lr": Knob(
        "learning rate of the optimizer; absolute rates of its schedulers (eta_min, eta_max) keep their ratio to it",
        lambda config: _there(config, _LR),
        _rates,
        positive=True,
    ),
    "weight_decay": _at(
        "optim_wrapper.optimizer.weight_decay", "weight decay of the optimizer", least=0
    ),
    "layer_decay_rate": _at(
        "optim_wrapper.paramwise_cfg.decay_rate",
        "factor of the learning rate from one layer to the one below, or from stage to stage",
        positive=True,
    ),
    "warmup": Knob(
        "length of the warm-up in iterations or epochs, as the row counts it; "
        "what begins when it ends begins then, and ends when it did",
        lambda config: _warm_up(config)[1]["end"],
        _warm_up_length,
        takes="whole",
        least=_SHORTEST_WARM_UP,
    ),
    "focal_gamma": _at(
        "model.bbox_head.loss_cls.gamma",
        "gamma of the focal loss; below 1 its gradient is infinite where a score is 0 or 1",
        least=0,
    ),
    "focal_alpha": _at(
        "model.bbox_head.loss_cls.alpha", "alpha of the focal loss", least=0, most=1
    ),
    "octave_base_scale": _at(
        "model.bbox_head.anchor_generator.octave_base_scale",
        "side of the smallest anchor of a level, in strides of the level",
        positive=True,
    ),
    "anchor_ratios": _at_first(
        ("model.rpn_head.anchor_generator.ratios", "model.bbox_head.anchor_generator.ratios"),
        "list of the anchors' heights divided by their widths",
        takes="list",
    ),
    "nms_iou": _at_first(
        ("model.test_cfg.rcnn.nms.iou_threshold", "model.test_cfg.nms.iou_threshold"),
        "overlap (IoU) above which the weaker of two boxes is dropped, of the last stage of two",
        least=0,
        most=1,
    ),
    "score_thr": _at_first(
        ("model.test_cfg.rcnn.score_thr", "model.test_cfg.score_thr"),
        "lowest score that counts as a detection",
        least=0,
        most=1,
    ),
    "image_scale": Knob(
        "factor of every image size, 1.0 as published: of training, validation, test and test-time augmentation, "
        "in whole pixels; sizes of crops and batches stay multiples of what the network divides an image by",
        _image_scale,
        _scaled_images,
        positive=True,
    ),
    "batch_size": _at(
        "train_dataloader.batch_size",
        "images a GPU and iteration; neither the learning rate nor the number of iterations moves along "
        "(with auto_scale_lr enabled, mmengine scales the rate by itself)",
        takes="whole",
        least=1,
    ),
    "frozen_stages": _at(
        "model.backbone.frozen_stages",
        "stages of the backbone that are not trained, the stem counting as stage 0; -1 for none",
        takes="whole",
        least=-1,
    ),
    "drop_path": _at(
        "model.backbone.drop_path_rate",
        "highest probability with which a block of the backbone is skipped in training",
        least=0,
        most=1,
    ),
}
