"""The heads that tell classes apart, and their number of classes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmark.config.tree import Config, is_list

# What lies below these knows no classes of a data set: a backbone was trained on others, proposals are of one class,
# and semantic maps have classes of their own.
_WITHOUT_CLASSES = frozenset(
    {
        "backbone",
        "data_preprocessor",
        "img_backbone",
        "init_cfg",
        "neck",
        "rpn_head",
        "semantic_head",
    }
)
# Heads of mmdet that have a number of classes also where a config does not say it: COCO's.
_CLASSIFIERS = ("bbox_head", "roi_head.mask_head", "roi_head.mask_iou_head")
_OF_COCO = 80


def fit_classes(model: Config, count: int) -> list[str]:
    """Gives every head of a model a number of classes, in place.

    Args:
        model: A config's ``model``; a list of heads, as cascades have, counts as each of them.
        count: Number of classes.

    Returns:
        What was changed, a line for each head.
    """
    return list(dict.fromkeys(_fit(model, "", None, count)))


def _fit(node: object, path: str, before: int | None, count: int) -> Iterator[str]:
    """Changes a node and what is in it; ``before`` is the number of classes of the head that it belongs to."""
    if is_list(node):
        for item in node:
            yield from _fit(item, path, before, count)
    if not isinstance(node, dict):
        return
    if path.endswith(_CLASSIFIERS):
        before = node.setdefault("num_classes", before or _OF_COCO)
    if isinstance(node.get("num_classes"), int):
        before = node["num_classes"]
    yield from _counted(node, path, count)
    yield from _weighed(node, path, before, count)
    for key, child in node.items():
        if key not in _WITHOUT_CLASSES:
            yield from _fit(child, f"{path}.{key}".lstrip("."), before, count)


def _counted(node: Config, path: str, count: int) -> Iterator[str]:
    # Boxes are of things: stuff, as sky or road, has none.
    wanted = {"num_classes": count, "num_things_classes": count, "num_stuff_classes": 0}
    for key, number in wanted.items():
        if isinstance(node.get(key), int) and node[key] != number:
            yield f"{path}.{key}: {node[key]} -> {number}".lstrip(".")
            node[key] = number


def _weighed(node: Config, path: str, before: int | None, count: int) -> Iterator[str]:
    """Weights of single classes say nothing of other classes; the one behind them is that of no object."""
    weights = node.get("class_weight")
    if not is_list(weights) or before is None or len(weights) not in (before, before + 1):
        return
    of_classes, of_none = weights[:before], weights[before:]
    weight = of_classes[0] if _are_equal(of_classes) else 1.0
    fitted = [*[weight] * count, *of_none]
    if list(weights) != fitted:
        told = f"{weight} for each class" + "".join(f", {last} for no object" for last in of_none)
        yield f"{path}.class_weight: {len(weights)} weights -> {told}"
        node["class_weight"] = fitted


def _are_equal(values: Sequence[object]) -> bool:
    return bool(values) and all(value == values[0] for value in values)
