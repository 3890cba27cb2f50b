"""Packages that do not go together, of which pip knows nothing."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version

# The last that fails: 'from transformers import X' is tried there, and what is missing becomes None, and a base class.
_MMPRETRAIN = (1, 3, 6)
_TRANSFORMERS = (5,)


def conflicts() -> list[str]:
    """A message for packages beside each other with which every job dies; nothing is imported."""
    transformers, mmpretrain = _version("transformers"), _version("onedl-mmpretrain")
    if not transformers or not mmpretrain:
        return []
    if _numbers(transformers) < _TRANSFORMERS or _numbers(mmpretrain) > _MMPRETRAIN:
        return []
    return [
        f"transformers {transformers} does not go with onedl-mmpretrain {mmpretrain}: every job would die of 'NoneType "
        "takes no arguments'; pip uninstall transformers, or pip install 'transformers<5'"
    ]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text)[:3])
