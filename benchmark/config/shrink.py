"""Does less of the same: smaller images, fewer of them, fewer epochs, no pretrained weights.

A profile is an ordinary part. What no ordinary key can say, because it depends on what the other
parts hold, it says in one mapping named ``shrink``; this module applies it to the merged config. It
changes how much is done, never what is built: every ``type`` stays.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields

from benchmark.config.retarget import dataset_leaves
from benchmark.config.tree import LOADERS, Config, dicts, is_list, leaves
from benchmark.config.written import SHRUNK
from benchmark.errors import UserError, allowed

# Arguments of mmdet's transforms that are image sizes in pixels. Those in the second line are sizes
# of the batch, which must stay multiples of what the network divides an image by.
SCALES = frozenset({"scale", "scales", "img_scale", "img_scales", "border"})
BATCH_SIZES = frozenset({"crop_size", "size", "random_size_range"})

# Part of a shrunk training spent on warming up the rate. Longer than published, since random
# weights need it.
_WARM_UP = 0.25


@dataclass(frozen=True)
class Limits:
    """The ``shrink`` mapping of a profile.

    Attributes:
        longest_side: Longest side of a training image in pixels; every image size shrinks by the
            same factor.
        epochs: Passes over the images below.
        images: Training images in an epoch, repetitions included; which ones, `benchmark.data.spread` says.
        val_images: Images validated on; likewise.
        pretrained: Whether to load pretrained weights. Without them nothing is frozen: frozen
            random weights never learn.
    """

    longest_side: int
    epochs: int
    images: int
    val_images: int
    pretrained: bool = True


def shrink(config: Config, limits: Config) -> None:
    """Applies a profile's ``shrink`` mapping to a merged config, in place.

    Args:
        config: Merged config whose parts are not shared.
        limits: The fields of `Limits`.

    Raises:
        UserError: An unknown or missing field, or a value that is not a positive whole number.
    """
    bounds = _checked(limits)
    _shrink_images(config, bounds.longest_side)
    _shrink_data(config, bounds)
    config[SHRUNK] = True
    _shrink_schedule(config, bounds)
    if not bounds.pretrained:
        _start_from_random_weights(config.get("model"))
        config["load_from"] = None


def _checked(limits: Config) -> Limits:
    names = [field.name for field in fields(Limits)]
    problems = [
        f"shrink: unknown '{key}'; {allowed(key, names)}" for key in limits if key not in names
    ]
    for name in names:
        value = limits.get(name, True if name == "pretrained" else None)
        if name == "pretrained" and not isinstance(value, bool):
            problems.append(f"shrink.pretrained: {value!r} is neither True nor False")
        elif name != "pretrained" and (not isinstance(value, int) or value < 1):
            problems.append(f"shrink.{name}: {value!r} is not a positive whole number")
    if problems:
        raise UserError(problems)
    return Limits(**limits)


# Images


def _shrink_images(config: Config, longest_side: int) -> None:
    preprocessor = (config.get("model") or {}).get("data_preprocessor") or {}
    places = [config.get(name) for name in (*LOADERS, "tta_pipeline")]
    # The pipeline that a hook puts in later works on the same images.
    later = [hook.get("switch_pipeline") for hook in dicts(config.get("custom_hooks"))]
    nodes = [node for place in (*places, *later, preprocessor) for node in dicts(place)]
    sides = [side for node in dicts(config.get("train_dataloader")) for side in _sides(node)]
    if not sides:
        return
    divisor = preprocessor.get("pad_size_divisor", 1)
    # The longest side fits the grid, or padding alone would multiply the work.
    target = max(longest_side // divisor, 1) * divisor
    factor = target / max(sides)
    if factor < 1:
        for node in nodes:
            _shrink_sizes(node, factor, divisor)


def _sides(transform: Config) -> Iterator[int]:
    for key in SCALES | BATCH_SIZES:
        yield from (abs(side) for side in _numbers(transform.get(key)))


def _numbers(value: object) -> Iterator[int]:
    """Sizes in pixels; a float is a share of the image, which shrinks with it."""
    if is_list(value):
        for item in value:
            yield from _numbers(item)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield value


def _shrink_sizes(transform: Config, factor: float, divisor: int) -> None:
    if "type" not in transform:
        return
    for key in SCALES & transform.keys():
        transform[key] = mapped(transform[key], lambda side: round(side * factor))
    for key in BATCH_SIZES & transform.keys():
        transform[key] = mapped(
            transform[key], lambda side: max(round(side * factor / divisor), 1) * divisor
        )


def mapped(value: object, change: Callable[[int], int]) -> object:
    """A size, or a nested list of sizes, with every whole number changed."""
    if isinstance(value, list | tuple):
        return type(value)(mapped(item, change) for item in value)
    return change(value) if isinstance(value, int) and not isinstance(value, bool) else value


# Data


def _shrink_data(config: Config, bounds: Limits) -> None:
    loader = config.get("train_dataloader") or {}
    batch = int(loader.get("batch_size") or 1)
    found = list(leaves(loader.get("dataset")))
    for _, leaf, times in found:
        _limit(leaf, _whole_batches(bounds.images // len(found), times, batch))
    for name in ("val_dataloader", "test_dataloader"):
        held_out = list(dataset_leaves((config.get(name) or {}).get("dataset")))
        for leaf in held_out:
            _limit(leaf, max(bounds.val_images // len(held_out), 1))


def _whole_batches(images: int, times: int, batch: int) -> int:
    """Images that make whole batches when repeated: batch norm cannot train on one small image."""
    step = batch // math.gcd(times, batch)
    return max(images // times // step, 1) * step


def _limit(leaf: Config, images: int) -> None:
    given = leaf.get("indices")
    if isinstance(given, list | tuple):
        leaf["indices"] = list(given)[:images]
    else:
        leaf["indices"] = min(given, images) if isinstance(given, int) and given > 0 else images


def _images_per_epoch(config: Config) -> int:
    dataset = (config.get("train_dataloader") or {}).get("dataset")
    counts = ((leaf["indices"], times) for _, leaf, times in leaves(dataset))
    return sum((len(n) if is_list(n) else n) * times for n, times in counts)


# Schedule


def _shrink_schedule(config: Config, bounds: Limits) -> None:
    loop = config.get("train_cfg") or {}
    batch = int((config.get("train_dataloader") or {}).get("batch_size") or 1)
    per_epoch = max(math.ceil(_images_per_epoch(config) / batch), 1)
    unit, budget = ("max_epochs", bounds.epochs) if "max_epochs" in loop else ("max_iters", 0)
    budget = budget or bounds.epochs * per_epoch
    if loop.get(unit, 0) <= budget:
        return
    before, loop[unit] = loop[unit], budget
    by_epoch = unit == "max_epochs"
    # Validated and saved once on the way, so that a smoke run exercises both, and at the end.
    halfway = math.ceil(budget / 2)
    loop["val_interval"] = halfway
    loop.pop("dynamic_intervals", None)
    saving = (config.get("default_hooks") or {}).get("checkpoint") or {}
    if saving.get("by_epoch", True) == by_epoch:
        saving["interval"] = halfway
    schedulers = config.get("param_scheduler") or []
    schedulers = schedulers if isinstance(schedulers, list) else [schedulers]
    iterations = _IterationMap.of(
        schedulers, None if by_epoch else before, per_epoch * bounds.epochs
    )
    for scheduler in schedulers:
        in_epochs = scheduler.get("by_epoch", True)
        _reschedule(scheduler, (lambda n: n * budget / before) if in_epochs else iterations)


@dataclass(frozen=True)
class _IterationMap:
    """Where an iteration of the published schedule comes to lie: linear in warm-up and after."""

    warm_up: int
    total: int
    new_warm_up: float
    new_total: int

    @classmethod
    def of(cls, schedulers: list[Config], total: int | None, new_total: int) -> _IterationMap:
        """Takes the warm-up to be what starts at 0 and ends within the first tenth.

        A training counted in epochs does not tell its iterations: there the last end of a scheduler
        counts.
        """
        by_iteration = [s for s in schedulers if not s.get("by_epoch", True)]
        ends = [s["end"] for s in by_iteration if isinstance(s.get("end"), int)]
        early = [
            s["end"]
            for s in by_iteration
            if s.get("begin", 0) == 0
            and isinstance(s.get("end"), int)
            and (total is None or s["end"] <= total / 10)
        ]
        warm_up = min(early, default=0)
        return cls(warm_up, total or max(ends, default=0), new_total * _WARM_UP, new_total)

    def __call__(self, iteration: int) -> float:
        if iteration <= self.warm_up:
            return iteration * self.new_warm_up / self.warm_up if self.warm_up else 0.0
        if iteration >= self.total:
            return self.new_total
        start = self.new_warm_up if self.warm_up else 0.0
        share = (iteration - self.warm_up) / (self.total - self.warm_up)
        return start + share * (self.new_total - start)


def _reschedule(scheduler: Config, move: Callable[[int], float]) -> None:
    begin = scheduler.get("begin", 0)
    if isinstance(begin, int) and begin:
        scheduler["begin"] = round(move(begin))
    if isinstance(scheduler.get("end"), int):
        scheduler["end"] = max(round(move(scheduler["end"])), scheduler.get("begin", 0) + 1)
    for key in ("T_max", "step_size", "total_iters"):
        if isinstance(scheduler.get(key), int):
            scheduler[key] = max(round(move(begin + scheduler[key]) - move(begin)), 1)
    if is_list(scheduler.get("milestones")):
        scheduler["milestones"] = _apart(move(n) for n in scheduler["milestones"])


def _apart(milestones: Iterable[float]) -> list[int]:
    """Whole milestones that stay distinct."""
    result: list[int] = []
    for milestone in milestones:
        result.append(max(round(milestone), result[-1] + 1 if result else 1))
    return result


# Weights


def _start_from_random_weights(model: object) -> None:
    for node in dicts(model):
        init = node.get("init_cfg")
        if isinstance(init, dict) and init.get("type") == "Pretrained":
            node["init_cfg"] = None
        if isinstance(node.get("pretrained"), str):
            node["pretrained"] = None
        if "frozen_stages" in node:
            node["frozen_stages"] = -1
        if "norm_eval" in node:
            node["norm_eval"] = False
