"""A run's config as its ``config.py`` has it, and what of it counts into the run id."""

from __future__ import annotations

from collections.abc import Iterable

from benchmark.config.test_time import fitted_tta
from benchmark.config.tree import Config

# Values that count into the run id in the place of those that stand at their key paths.
COUNTED_AS = "counted_as"


def as_written(config: Config, overridden: Iterable[str]) -> Config:
    """The config that a job and mmdet's own tools read.

    What a run id does not depend on is only filled in here: the scales of test-time augmentation, which no job uses.
    A config that was read back counts as the one that it was made from, see `as_counted`.

    Args:
        config: A composed config, not changed.
        overridden: Key paths that the row or ``--set`` have set.
    """
    tta = fitted_tta(config, overridden)
    if tta is None:
        return config
    counted = {**config.get(COUNTED_AS, {}), "tta_pipeline": config["tta_pipeline"]}
    return {**config, "tta_pipeline": tta, COUNTED_AS: counted}


def as_counted(config: Config) -> Config:
    """The composed config that a written one was made from; a composed one is that already."""
    counted = config.get(COUNTED_AS)
    if not counted:
        return config
    made = {key: value for key, value in config.items() if key != COUNTED_AS}
    for path, value in counted.items():
        made = _with(made, path.split("."), value)
    return made


def _with(node: Config, path: list[str], value: object) -> Config:
    """A copy of a node, its other children shared, with the value at a path."""
    key, *rest = path
    return {**node, key: _with(node[key], rest, value) if rest else value}
