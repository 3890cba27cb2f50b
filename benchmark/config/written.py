"""A run's config as its ``config.py`` has it, and what of it counts into the run id."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from benchmark.config.test_time import fitted_tta
from benchmark.config.tree import Config, replaced

# Values that count into the run id in the place of those that stand at their key paths.
COUNTED_AS = "counted_as"

# Whether a profile has shortened the config, so that its data sets take a number of images; does not count.
SHRUNK = "shrunk"

# Among what counts: by which rule images were taken that are not the first.
SPREAD = "spread_images"


def as_written(config: Config, overridden: Iterable[str]) -> Config:
    """The config that a job and mmdet's own tools read.

    What no job uses is only filled in here: the scales of test-time augmentation.
    A config that was read back counts as the one that it was made from, see `as_counted`.

    Args:
        config: A composed config, not changed.
        overridden: Key paths that the row or ``--set`` have set.
    """
    config = {key: value for key, value in config.items() if key != SHRUNK}
    tta = fitted_tta(config, overridden)
    if tta is None:
        return config
    # As text: mmengine formats a config before it logs and saves it; a pipeline a level deeper takes yapf 0.3 s more
    # each time, 3.5 s of a short run of mmdet's own tools/train.py.
    source = repr(config["tta_pipeline"])
    counted = {**config.get(COUNTED_AS, {}), "tta_pipeline": source}
    return {**config, "tta_pipeline": tta, COUNTED_AS: counted}


def as_counted(config: Config) -> Config:
    """The composed config that a written one was made from; a composed one is that already."""
    made = {key: value for key, value in config.items() if key not in (COUNTED_AS, SHRUNK)}
    for path, value in config.get(COUNTED_AS, {}).items():
        made = replaced(made, path.split("."), _value(value))
    return made


def _value(counted: object) -> object:
    """A value that counts; a pipeline is Python source; earlier versions wrote the pipeline itself."""
    if isinstance(counted, str) and counted.startswith("["):
        return ast.literal_eval(counted)
    return counted
