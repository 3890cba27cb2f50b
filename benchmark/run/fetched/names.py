"""Addresses of weights as configs write them, ``torchvision://resnet50`` among them, and where each leads to.

The names are read from mmengine's own tables and from torchvision's source, since planning imports neither.
"""

from __future__ import annotations

import ast
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from benchmark.errors import few, nearest
from benchmark.models import file_name
from benchmark.writing.addresses import public

_WEB = ("http", "https")
_TORCHVISION = ("torchvision", "modelzoo")
_MMENGINE = {"open-mmlab": "openmmlab", "openmmlab": "openmmlab", "mmcls": "mmcls"}


def url_of(address: str) -> str | None:
    """Where an address leads to; None where nobody here knows, or where it is no address of the web."""
    scheme, _, name = address.partition("://")
    if scheme in _WEB:
        return address if no_address(address) is None else None
    url = _named(scheme).get(_present(scheme, name))
    return url if url and url.startswith(_WEB) else None


def no_address(text: str) -> str | None:
    """Says what an address of the web lacks to lead to a file; None of one that leads to one."""
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError as error:
        return f"{public(text)}: is no address: {error}"
    if not parts.hostname:
        return f"{public(text)}: names no server"
    named = file_name(text) not in ("", ".", "..")
    return None if named else f"{public(text)}: names no file; give the address of the file itself"


def unknown_name(address: str) -> str | None:
    """Says that an address leads nowhere, with what may have been meant; None of any other."""
    scheme, _, name = address.partition("://")
    if scheme in _WEB:
        return no_address(address)
    if scheme not in (*_TORCHVISION, *_MMENGINE):
        return None
    known = _named(scheme)
    # The very text counts: mmengine writes no letter small, and takes no name of a class.
    if not known or name in known or (scheme in _MMENGINE and _present(scheme, name) in known):
        return None
    meant = _present(scheme, name)
    near = f"; did you mean '{meant}'?" if meant in known else nearest(meant, known)
    return f"{address}: mmengine knows no weights of this name{near or f'; it knows {few(sorted(known))}'}"


def _present(scheme: str, name: str) -> str:
    """The name that the tables have for one: deprecated ones have another, classes of torchvision a short one."""
    if scheme in _TORCHVISION:
        return name.lower().replace("_weights", "")
    return _table("deprecated").get(name, name) if _MMENGINE.get(scheme) == "openmmlab" else name


def _named(scheme: str) -> Mapping[str, str]:
    """By name what a scheme leads to."""
    if scheme in _TORCHVISION:
        return _of_torchvision()
    table = _MMENGINE.get(scheme, "")
    return {**_table(table), **(_added() if table == "openmmlab" else {})} if table else {}


@lru_cache
def _table(name: str) -> dict[str, str]:
    """One of the tables that mmengine is installed with; empty where there is none."""
    with suppress(OSError, ValueError):
        found = find_spec("mmengine")
        if found is not None and found.origin:
            return _read(Path(found.origin).with_name("hub") / f"{name}.json")
    return {}


def _added() -> dict[str, str]:
    """What a user has added to mmengine's table, in a file in its cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    home = Path(os.environ.get("MMENGINE_HOME") or cache / "mmengine")
    with suppress(OSError, ValueError, RuntimeError):
        return _read(home.expanduser() / "open_mmlab.json")
    return {}


def _read(path: Path) -> dict[str, str]:
    return {str(name): str(url) for name, url in json.loads(path.read_text("utf-8")).items()}


@lru_cache
def _of_torchvision() -> dict[str, str]:
    """By mmengine's names for them the weights of torchvision: those of its version 0.12, and of the one installed."""
    known = dict(_table("torchvision_0.12"))
    found = find_spec("torchvision")
    if found is None or not found.origin:
        return known
    for path in sorted(Path(found.origin).with_name("models").glob("*.py")):
        with suppress(OSError, ValueError, SyntaxError):
            source = path.read_text("utf-8")
            if "_Weights(" in source:
                known |= dict(_in_source(ast.parse(source)))
    return known


def _in_source(module: ast.Module) -> Iterator[tuple[str, str]]:
    """Name and address of each member of the classes ``*_Weights``; ``default`` is one of the others."""
    for node in module.body:
        if isinstance(node, ast.ClassDef) and node.name.endswith("_Weights"):
            model = node.name.removesuffix("_Weights").lower()
            members = dict(_members(node))
            yield from ((f"{model}.{name}", url) for name, url in members.items())


def _members(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    known: dict[str, str] = {}
    for line in node.body:
        if not (isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name)):
            continue
        name, value = line.targets[0].id, line.value
        if isinstance(value, ast.Name) and value.id in known:
            known[name] = known[value.id]
        elif isinstance(value, ast.Call):
            texts = [word.value for word in value.keywords if word.arg == "url"]
            if texts and isinstance(texts[0], ast.Constant):
                known[name] = str(texts[0].value)
    yield from ((name.lower(), url) for name, url in known.items())
