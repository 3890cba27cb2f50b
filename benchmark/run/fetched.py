"""Weights that a config names by an address: whether they are on this machine, or are fetched by the first job.

Where torch's hub keeps them is read from the environment and mmengine's own tables, since planning imports neither.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from urllib.parse import urlparse

from benchmark.run.contents import addresses

_TABLES = {"open-mmlab": "openmmlab", "openmmlab": "openmmlab", "mmcls": "mmcls"}


def hub() -> Path:
    """The folder in which torch's hub keeps the weights that it has fetched."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("TORCH_HOME") or os.path.join(cache, "torch")  # noqa: PTH118 - '~' stays
    return Path(os.path.expanduser(home), "hub", "checkpoints")  # noqa: PTH111 - never raises


def to_fetch(config: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Key path and address of each file of weights that a config names and that is not on this machine."""
    yield from ((key, text) for key, text in addresses(config) if not _is_here(text))


def _is_here(address: str) -> bool:
    """Whether an address needs nothing fetched; taken for so where nobody here knows what file it leads to."""
    scheme, _, name = address.rpartition("://")
    if scheme in ("torchvision", "modelzoo"):
        return any(hub().glob(f"{name.lower().partition('_weights')[0]}-*.pth"))
    url = address if scheme in ("http", "https") else _urls(_TABLES.get(scheme, "")).get(name)
    file = PurePosixPath(urlparse(url).path).name if url else ""
    return not file or (hub() / file).is_file()


@lru_cache
def _urls(table: str) -> dict[str, str]:
    """By the name of a model the address that mmengine fetches it from."""
    with suppress(OSError, ValueError):
        found = find_spec("mmengine")
        if table and found is not None and found.origin:
            text = Path(found.origin).with_name("hub").joinpath(f"{table}.json").read_text()
            return {str(name): str(url) for name, url in json.loads(text).items()}
    return {}
