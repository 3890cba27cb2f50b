"""Full precision in place of mixed: what is shrunk runs on any machine."""

from __future__ import annotations

from benchmark.config.tree import Config
from benchmark.config.vocabulary.signatures import WRAPPERS
from benchmark.config.vocabulary.words import class_of, mapping_of

_PLAIN = "OptimWrapper"
_MIXED = ("AmpOptimWrapper", "ApexOptimWrapper")


def use_full_precision(config: Config, changes: list[str]) -> None:
    """Trains and evaluates in full precision, in place: mixed precision needs a GPU.

    It does so on a machine with a GPU as well: a run is the same run wherever it is made, and its config is the one
    that was trained. A row's own ``set`` comes later, and may ask for mixed precision again.

    Args:
        config: A merged config.
        changes: Takes a line for each thing that was changed.
    """
    wrapper = mapping_of(config.get("optim_wrapper"))
    name = class_of(wrapper)
    if name in _MIXED:
        for argument in {*WRAPPERS[name].arguments} - {*WRAPPERS[_PLAIN].arguments}:
            wrapper.pop(argument, None)
        wrapper["type"] = _PLAIN
        changes.append(f"{name} -> {_PLAIN}: mixed precision needs a GPU")
    for key in ("val_cfg", "test_cfg"):
        if mapping_of(config.get(key)).pop("fp16", False):
            changes.append(f"{key}.fp16 dropped: half precision needs a GPU")
