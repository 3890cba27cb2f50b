"""A schedule in the place of another: the loop, the rates, the optimizer, and what it says of batches and images."""

from __future__ import annotations

import math
from collections.abc import Collection

from benchmark.config.config_file import merged
from benchmark.config.tree import Config, dicts, leaves

LOOPS = ("train_cfg", "val_cfg", "test_cfg")
OWN = (*LOOPS, "param_scheduler", "optim_wrapper", "auto_scale_lr")
"""What nothing but a schedule says."""

# They change pipeline or weights at moments of the schedule that they come with.
OF_PIPELINES = ("PipelineSwitchHook", "YOLOXModeSwitchHook")
_HOOKS = ("EMAHook", *OF_PIPELINES)


def put_schedule(config: Config, part: Config) -> list[str]:
    """Puts a schedule in place.

    Args:
        config: Plain config, changed in place.
        part: The schedule's part; what it says of the model's backbone is left out, see `put_in_place`.

    Returns:
        What was changed.
    """
    told = [_told(config, part)]
    told += drop_hooks(config, _HOOKS)
    for key in OWN:
        config.pop(key, None)
    _forget_unit(config, part)
    told += _make_room_for_pipelines(config, part)
    model = {k: v for k, v in (part.get("model") or {}).items() if k == "data_preprocessor"}
    divisors = _divisors(config, model)
    config.update(merged({**part, "model": model}, config))
    if divisors:
        config["model"]["data_preprocessor"]["pad_size_divisor"] = math.lcm(*divisors)
    return told


def told_of_batch(config: Config, schedule: Config | None, was: object) -> str:
    """What is to be known of the batch size when all parts are in place, each of which may say one.

    Args:
        config: With the parts in place.
        schedule: The schedule's part, if there is one.
        was: The batch size before.

    Returns:
        A line, or nothing.
    """
    batch = batch_size(config)
    if batch != was:
        return f"train_dataloader.batch_size: {was} -> {batch}"
    base = (config.get("auto_scale_lr") or {}).get("base_batch_size")
    if schedule is None or batch_size(schedule) is not None or not base:
        return ""
    return f"batch size stays {batch} a GPU; the schedule's rate is for {base} images a step"


def batch_size(config: Config) -> object:
    """Images a step on each GPU; None where nothing says it."""
    return (config.get("train_dataloader") or {}).get("batch_size")


def _told(config: Config, part: Config) -> str:
    return f"schedule: {_in_words(config)} -> {_in_words(part)}"


def _in_words(config: Config) -> str:
    loop = config.get("train_cfg") or {}
    optimizer = (config.get("optim_wrapper") or {}).get("optimizer") or {}
    length = next((f"{loop[k]} {k[4:]}" for k in ("max_epochs", "max_iters") if k in loop), "?")
    return f"{length}, {optimizer.get('type', 'no optimizer')} at {optimizer.get('lr', '?')}"


def drop_hooks(config: Config, kinds: Collection[str]) -> list[str]:
    """Leaves out the custom hooks of some types, in place; says which."""
    hooks = list(dicts(list(config.get("custom_hooks") or [])))
    gone = [hook for hook in hooks if str(hook.get("type")).removeprefix("mmdet.") in kinds]
    if not gone:
        return []
    config["custom_hooks"] = [hook for hook in config["custom_hooks"] if hook not in gone]
    return [f"custom_hooks: without {', '.join(str(hook['type']) for hook in gone)}"]


def _forget_unit(config: Config, part: Config) -> None:
    """Epochs or iterations, by which is saved and logged: what a schedule by iterations says, another leaves out."""
    saving = (config.get("default_hooks") or {}).get("checkpoint") or {}
    saving.pop("by_epoch", None)
    saving["interval"] = 1
    (config.get("log_processor") or {}).pop("by_epoch", None)
    loader = config.get("train_dataloader") or {}
    by_epoch = "max_iters" not in (part.get("train_cfg") or {})
    if by_epoch and (loader.get("sampler") or {}).get("type") == "InfiniteSampler":
        loader["sampler"] = {"type": "DefaultSampler", "shuffle": True}


def _make_room_for_pipelines(config: Config, part: Config) -> list[str]:
    """A schedule's own training pipeline is that of the images, not of what mixes or repeats them."""
    dataset = (part.get("train_dataloader") or {}).get("dataset")
    if not isinstance(dataset, dict):
        return []
    said = (part.get("model") or {}).get("data_preprocessor") or {}
    if "batch_augments" not in said:
        ((config.get("model") or {}).get("data_preprocessor") or {}).pop("batch_augments", None)
    loader = config.get("train_dataloader") or {}
    found = next((leaf.node for leaf in leaves(loader.get("dataset"))), None)
    wrapper = (loader.get("dataset") or {}).get("type")
    if found is None or found is loader.get("dataset"):
        return ["training pipeline: the schedule's"]
    loader["dataset"] = found
    return [f"training pipeline: the schedule's, without {wrapper}"]


def _divisors(config: Config, model: Config) -> list[int]:
    """What the network and the schedule want image sides to be multiples of."""
    both = ((config.get("model") or {}).get("data_preprocessor"), model.get("data_preprocessor"))
    return [
        found["pad_size_divisor"]
        for found in both
        if isinstance(found, dict) and isinstance(found.get("pad_size_divisor"), int)
    ]
