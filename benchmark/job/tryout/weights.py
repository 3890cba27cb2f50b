"""Leaves out of a config what a try-out would have to fetch: it takes seconds, and needs no network."""

from __future__ import annotations

from collections.abc import Iterator

from benchmark.config.tree import Config, is_list
from benchmark.job.tryout.culprit import mappings
from benchmark.run.fetched import to_fetch


def leave_out(content: Config) -> list[str]:
    """Has a model begin at random weights in place of those that are not on this machine; in place.

    Returns:
        A note for each: what is left out.
    """
    wanted = [*to_fetch(content), *_by_name(content)]
    for path, _ in wanted:
        _clear(content, path.split("."))
    return [
        f"{path}: {what} is not on this machine: tried with random weights" for path, what in wanted
    ]


def _by_name(content: Config) -> Iterator[tuple[str, str]]:
    """Backbones of timm and the like, which fetch what they know of themselves."""
    for path, node in mappings(content.get("model"), "model"):
        if node.get("pretrained") is True:
            yield f"{path}.pretrained", f"what {node.get('model_name', node.get('type'))} has"


def _clear(content: Config, keys: list[str]) -> None:
    """Sets a key to what says that there are no such weights: a whole ``init_cfg``, whose ``checkpoint`` it is."""
    keys = keys[:-1] if keys[-1] == "checkpoint" and "init_cfg" in keys[-3:] else keys
    node: object = content
    for key in keys[:-1]:
        node = node[int(key)] if is_list(node) else node[key]  # type: ignore[index]
    if isinstance(node, dict):
        node[keys[-1]] = False if node[keys[-1]] is True else None
    elif isinstance(node, list):
        del node[int(keys[-1])]  # of several init_cfg
