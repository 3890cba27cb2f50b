"""Where in a config stands what was built from it: modules of the model, data sets, steps of their pipelines."""

from __future__ import annotations

from collections.abc import Iterator

from mmengine.runner import Runner
from torch import nn

from benchmark.config.tree import Config, is_list


def places_of_model(model: nn.Module, content: Config) -> dict[int, str]:
    """Key paths of a model's modules: of each the nearest that the config has, by the module's ``id``.

    Args:
        model: Without what wraps it.
        content: The config.
    """
    named = model.named_modules()
    return {id(module): _nearest(content, ["model", *name.split(".")]) for name, module in named}


def places_of_data(runner: Runner, key: str) -> dict[int, str]:
    """Key paths of a loader's data sets, and of the steps of their pipelines.

    Args:
        runner: Has built the loader.
        key: ``train_dataloader`` or ``val_dataloader``.
    """
    return dict(places_below(getattr(runner, key).dataset, f"{key}.dataset"))


def _nearest(content: Config, keys: list[str]) -> str:
    """The longest beginning of a key path that leads to a mapping or a list of the config."""
    node: object = content
    found: list[str] = []
    for key in keys:
        below = _child(node, key)
        if not isinstance(below, dict) and not is_list(below):
            break
        node = below
        found.append(key)
    return ".".join(found)


def _child(node: object, key: str) -> object:
    if isinstance(node, dict):
        return node.get(key)
    if is_list(node) and key.isdecimal() and int(key) < len(node):
        return node[int(key)]
    return None


def places_below(built: object, path: str) -> Iterator[tuple[int, str]]:
    """Ids and key paths of what is within a data set or the steps of a pipeline.

    Args:
        built: The data set, a step, or a list of them.
        path: Its key path.
    """
    if is_list(built):
        for position, one in enumerate(built):
            yield from places_below(one, f"{path}.{position}")
        return
    yield id(built), path
    for name in ("dataset", "datasets", "pipeline", "transforms"):
        within = vars(built).get(name) if hasattr(built, "__dict__") else None
        if within is not None:
            # A `Compose` is no place of its own: the config has its list there.
            steps = vars(within).get("transforms", within) if _is_compose(within) else within
            yield from places_below(
                [_flat(one) for one in steps] if is_list(steps) else steps, f"{path}.{name}"
            )


def _is_compose(built: object) -> bool:
    return type(built).__name__ == "Compose"


def _flat(built: object) -> object:
    return vars(built)["transforms"] if _is_compose(built) else built
