"""Where the parts lie that come with DetBoard."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]

SHIPPED = next(
    folder for folder in (_PACKAGE / "configs", _PACKAGE.parent / "configs") if folder.is_dir()
)
"""``configs/``: in an installed package within it, in a checkout at its top.

The package's own comes first: beside an installed one, ``configs/`` is somebody else's.
"""
