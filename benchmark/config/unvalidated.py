"""Configs without a validation: of rows that are trained on the validation images, too."""

from __future__ import annotations

from collections.abc import Iterator

from benchmark.config.joined import joined
from benchmark.config.tree import Config, is_list, leaves
from benchmark.config.vocabulary.words import class_of, each, mapping_of, named_hooks
from benchmark.data.dataset import Dataset

WORDS = "trained on train and val: no val score"
"""Why such a run has no score, for tables."""

CHANGE = "train_on: all: val is trained on, too, and there is no validation"
"""What is said of such a config among the changes of a row."""

_VALIDATION = ("val_dataloader", "val_cfg", "val_evaluator")


def on_all(config: Config, dataset: Dataset) -> Config:
    """A config that is trained on train and val together, and has no validation.

    Its test loader is the one that its validation would have: what is evaluated later is read as every row's.

    Args:
        config: A composed config, not changed.
        dataset: What it was made for.
    """
    val = next(leaves(config["val_dataloader"]["dataset"])).node
    taken = _taken(val.get("indices"), config["train_dataloader"])
    made = joined(config, [dataset.val], dataset.train.annotations, taken)
    loop = {key: value for key, value in mapping_of(config["val_cfg"]).items() if key == "fp16"}
    return {
        **made,
        **dict.fromkeys(_VALIDATION),
        "test_dataloader": config["val_dataloader"],
        "test_evaluator": config["val_evaluator"],
        "test_cfg": {"type": "TestLoop", **loop},
        "default_hooks": _without_best(mapping_of(config.get("default_hooks"))),
    }


def _taken(indices: object, loader: Config) -> object:
    """Which validation images a shortened config takes: whole batches of them, as of its training images."""
    batch = int(loader.get("batch_size") or 1)
    if is_list(indices):
        return list(indices)[: max(len(indices) // batch * batch, 1)]
    if isinstance(indices, int):
        return max(indices // batch * batch, 1)
    return None


def _without_best(hooks: Config) -> Config:
    saving = hooks.get("checkpoint")
    if not isinstance(saving, dict) or "save_best" not in saving:
        return hooks
    kept = {key: value for key, value in saving.items() if key not in ("save_best", "rule")}
    return {**hooks, "checkpoint": kept}


def as_if_validated(config: Config) -> Config:
    """A config of `on_all` with the validation that it would have: what objects to settings looks at all sections."""
    validation = {
        "val_dataloader": config["test_dataloader"],
        "val_evaluator": config["test_evaluator"],
        "val_cfg": {**config["test_cfg"], "type": "ValLoop"},
    }
    return {**config, **validation}


def waiting_for_scores(config: Config) -> Iterator[str]:
    """A message for each setting that waits for the scores of a validation, which there is none of."""
    instead = "no validation gives it one with train_on: all"
    for key, hook in named_hooks(config):
        if class_of(hook) == "EarlyStoppingHook":
            yield f"{key}: EarlyStoppingHook waits for a score, and {instead}; leave it out"
    for key, scheduler in each(config.get("param_scheduler"), "param_scheduler"):
        if class_of(scheduler).startswith("ReduceOnPlateau"):
            yield f"{key}: {class_of(scheduler)} waits for a score, and {instead}; write another scheduler"
