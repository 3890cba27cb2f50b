"""The model: its parts name their classes, and its preprocessor takes what it is given."""

from __future__ import annotations

from collections.abc import Iterator

from benchmark.config.tree import Config, is_list
from benchmark.config.vocabulary.signatures import PREPROCESSORS
from benchmark.config.vocabulary.words import Kind, each, imports_own, mapping_of
from benchmark.errors import shown

_PARTS = ("backbone", "neck", "bbox_head", "rpn_head", "roi_head", "mask_head")


def parts(config: Config) -> Iterator[str]:
    """Each part of a model is built from the class that it names; classes of one's own may read theirs otherwise."""
    model = config.get("model")
    if not isinstance(model, dict) or imports_own(config):
        return
    named: list[tuple[str, object]] = [("model", model)]
    named += [pair for part in _PARTS for pair in each(model.get(part), f"model.{part}")]
    for key, node in named:
        if isinstance(node, dict) and not node.get("type"):
            yield (
                f"{key}: needs a 'type', the name of a class (a mapping with _delete_: true replaces the whole one, "
                "its type included)"
            )


def preprocessor(config: Config) -> Iterator[str]:
    """What normalizes and pads the images."""
    node = mapping_of(config.get("model")).get("data_preprocessor")
    kind = Kind("preprocessor", PREPROCESSORS, own=imports_own(config))
    if node is not None:
        yield from kind.misfits("model.data_preprocessor", node)
    std = mapping_of(node).get("std")
    if is_list(std) and any(value in (0, None) for value in std):
        yield (
            f"model.data_preprocessor.std: {shown(std)} holds what nothing can be divided by; write the deviations of "
            "the images' colours, or 1"
        )
