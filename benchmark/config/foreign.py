"""A whole config that knows nothing of DetBoard: read, and made to fit the experiment's data set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmark.config.config_file import load_config, plain, unwritable
from benchmark.config.retarget import retarget, use_registered_names
from benchmark.config.tree import Config
from benchmark.data.dataset import Dataset
from benchmark.errors import UserError

# What mmengine's Runner reads of a config, and what tools and DetBoard do. Any other name is a variable that the file
# made these from: with it in the config, a run's id would follow what changes nothing.
_NAMES = (
    "model train_dataloader val_dataloader test_dataloader train_cfg val_cfg test_cfg auto_scale_lr optim_wrapper "
    "param_scheduler val_evaluator test_evaluator default_hooks custom_hooks data_preprocessor load_from env_cfg "
    "log_processor log_level visualizer default_scope randomness experiment_name model_wrapper_cfg sync_bn "
    "find_unused_parameters activation_checkpointing efficient_conv_bn_eval compile strategy runner_type "
    "custom_imports tta_model tta_pipeline"
)
_READ = frozenset(_NAMES.split())


def load_pruned(path: Path) -> Config:
    """A config file without the variables that only its own keys were made from: a copy.

    Where it lies, whether it goes on from before, and by which launcher are DetBoard's to say.

    Raises:
        UserError: It cannot be loaded, holds no model, or values that no config file can hold.
    """
    config = _without_scope(plain(load_config(path)))
    config = {key: value for key, value in config.items() if key in _READ}
    model = config.get("model")
    if not isinstance(model, dict) or "type" not in model:
        raise UserError(
            "has no 'model'; it is a part of other configs: name one that trains a detector"
        )
    if "data_preprocessor" in model:  # the Runner reads that one then
        config.pop("data_preprocessor", None)
    use_registered_names(config)
    if problems := list(unwritable(config)):
        raise UserError(problems)
    return config


def _without_scope(node: Any) -> Any:
    """Without mmengine's notes that a base is mmdet's: classes are looked up there in any case."""
    if isinstance(node, dict):
        kept = node.items()
        return {k: _without_scope(v) for k, v in kept if (k, v) != ("_scope_", "mmdet")}
    return type(node)(map(_without_scope, node)) if isinstance(node, list | tuple) else node


def load_foreign(path: Path, dataset: Dataset) -> tuple[Config, tuple[str, ...]]:
    """A config file, retargeted to a data set, and what was changed of it.

    Raises:
        UserError: It cannot be loaded, or with every reason why it cannot be retargeted.
    """
    config = load_pruned(path)
    return config, retarget(config, dataset)
