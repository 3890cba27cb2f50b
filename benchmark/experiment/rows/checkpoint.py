"""The checkpoint of a whole detector that a row names: mmdet's own for a config, an address, or a file.

mmdet's configs come with files that say, beside other things, where the weights that each was trained to lie.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote

import yaml

from benchmark.errors import UserError
from benchmark.experiment.rows.zoo import is_of_mmdet, nearest_names

ZOO = "zoo"
"""In a row: the checkpoint that mmdet names for the row's config."""

_OTHERWISE = "write the address or the path of one in place of 'zoo'"
_LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def checkpoint_of(key: str, text: str, config: Path, folder: Path) -> str:
    """The address or absolute path that ``load_from`` or ``checkpoint`` of a row stands for.

    Args:
        key: Which of them, for messages.
        text: ``zoo``, an address (``https://...``, ``open-mmlab://...``), or a path.
        config: The row's config file.
        folder: What a path is relative to.

    Raises:
        UserError: mmdet names no checkpoint for the config.
    """
    if text == ZOO:
        return _of_zoo(key, config)
    return text if "://" in text else str((folder / Path(text).expanduser()).absolute())


def _of_zoo(key: str, config: Path) -> str:
    otherwise = _OTHERWISE if key == "checkpoint" else f"{_OTHERWISE}, or leave {key} out"
    if not is_of_mmdet(config):
        raise UserError(
            f"{key}: zoo is the checkpoint of one of mmdet's own configs, which {config} is not; {otherwise}"
        )
    named = _named_beside(config)
    found = named.get(config.name)
    if isinstance(found, str) and found:
        return found
    if isinstance(found, list):
        several = ", ".join(map(str, found))
        raise UserError(f"{key}: mmdet names several files for this config: {several}; {otherwise}")
    have = {Path(name).stem for name, weights in named.items() if isinstance(weights, str)}
    near = nearest_names(config.stem, have)
    some = f"; of its family it does for {', '.join(near)}" if near else ""
    raise UserError(f"{key}: mmdet names no checkpoint for this config{some}; {otherwise}")


def _named_beside(config: Path) -> Mapping[str, object]:
    """By the name of a config file what mmdet says of its weights, in the nearest folder above that says anything."""
    for folder in config.parents[:3]:  # a family may have folders of its own
        files = sorted(folder.glob("metafile.y*ml"))
        if files:
            return _in_metafile(files[0])
    return {}


@lru_cache(maxsize=256)
def _in_metafile(path: Path) -> Mapping[str, object]:
    """Configs are told apart by their file names: their folders are written wrong in some, or as in an address."""
    content = yaml.load(path.read_text("utf-8"), Loader=_LOADER)
    models = content.get("Models") if isinstance(content, dict) else content
    named = [model for model in models or () if isinstance(model, dict)]
    return {
        Path(unquote(str(model.get("Config")))).name: model.get("Weights")
        for model in named
        if model.get("Weights")
    }
