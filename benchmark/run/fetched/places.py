"""Where weights lie: a folder or a mirror of one's own, torch's hub, and the servers that stand in for each other."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from benchmark.errors import UserError
from benchmark.files import is_file
from benchmark.models import file_name
from benchmark.writing.addresses import public

OWN_VARIABLE = "DETBOARD_WEIGHTS"
TWINS = (("download.openmmlab.com", "mmassets.onedl.ai"),)
"""Servers that have the same files under the same paths: the former that of published configs, the latter of onedl's
mmengine and mmdet."""


def hub() -> Path:
    """The folder in which torch's hub keeps the weights that it has fetched."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("TORCH_HOME") or os.path.join(cache, "torch")  # noqa: PTH118 - '~' stays
    return Path(os.path.expanduser(home), "hub", "checkpoints")  # noqa: PTH111 - never raises


@dataclass(frozen=True)
class Own:
    """What ``DETBOARD_WEIGHTS`` names; it comes before all other places.

    Attributes:
        folder: A folder with the files, which may be read-only; None if there is none.
        mirror: Address of a server with the files; empty if there is none.
    """

    folder: Path | None = None
    mirror: str = ""


def own() -> Own:
    """The folder or mirror of one's own.

    Raises:
        UserError: The variable names neither.
    """
    text = os.environ.get(OWN_VARIABLE, "").strip()
    if not text:
        return Own()
    if text.startswith(("http://", "https://")):
        return Own(mirror=_mirror(text))
    path = _local(text)
    folder = Path(os.path.expanduser(path)).absolute()  # noqa: PTH111 - never raises
    if "://" in path or not folder.is_dir():
        raise UserError(
            f"{OWN_VARIABLE}={public(text)}: no such folder; name a folder with the files of weights, or a mirror "
            "(https://...) that has them under the paths of their addresses"
        )
    return Own(folder)


def _mirror(text: str) -> str:
    try:
        server = urlsplit(text).hostname
        _ = urlsplit(text).port
    except ValueError:
        server = None
    if not server:
        raise UserError(
            f"{OWN_VARIABLE}={public(text)}: names no server; name a mirror as https://host/path"
        )
    return text


def _local(text: str) -> str:
    """The path of an address ``file:///path`` of this machine; any other text as it is."""
    if text.startswith(("file:///", "file://localhost/")):
        return unquote(text[text.index("/", len("file://")) :])
    return text


def places(url: str) -> Iterator[Path]:
    """The paths at which a file may lie on this machine, the first that has it wins; the last is torch's hub.

    In a folder of one's own it lies under its name, or under the whole path of its address.
    """
    name, folder = file_name(url), own().folder
    if folder is not None:
        yield folder / name
        yield folder / urlsplit(url).path.lstrip("/")
    yield hub() / name


def find(url: str) -> Path | None:
    """The file on this machine that an address of the web stands for, whatever it holds; None if there is none."""
    return next((path for path in places(url) if is_file(path)), None)


def servers(url: str) -> list[str]:
    """The addresses to fetch a file from, in order: one's own mirror, the address itself, those that stand in for it.

    A mirror has it under the path of its address, or simply under its name.
    """
    parts, mirror = urlsplit(url), own().mirror
    found = []
    if mirror:
        base = urlsplit(mirror)
        at = [f"{base.path.rstrip('/')}/{path}" for path in (parts.path.strip("/"), file_name(url))]
        found = [urlunsplit(base._replace(path=path)) for path in at]
    twins = [other for pair in TWINS if parts.netloc in pair for other in pair]
    hosts = dict.fromkeys([parts.netloc, *twins])
    return list(dict.fromkeys([*found, *(urlunsplit(parts._replace(netloc=h)) for h in hosts)]))
