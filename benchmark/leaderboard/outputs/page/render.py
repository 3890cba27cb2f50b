"""From the payload to one self-contained HTML page."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

_HERE = Path(__file__).parent
_LIBRARIES = ("dataTables.min.js", "d3.min.js", "plot.umd.min.js")
_LICENCES = (  # each asks to be part of every copy
    "dataTables.LICENSE.txt",
    "d3.LICENSE.txt",
    "d3.bundled.LICENSE.txt",
    "plot.LICENSE.txt",
    "plot.bundled.LICENSE.txt",
)
_SCRIPTS = (  # each is run with those before it; what a click calls may come after it
    "dom.js",
    "state.js",
    "theme.js",
    "cells.js",
    "table.js",
    "controls.js",
    "figure.js",
    "pareto.js",
    "curves.js",
    "classes.js",
    "errors.js",
    "gallery.js",
    "config_diff.js",
    "details.js",
    "main.js",
)
# Inside <script> only these can end the element or open a comment; U+2028 and U+2029 end a line in old parsers.
_UNSAFE = re.compile("[<>&\u2028\u2029]")


def render(payload: Mapping[str, Any]) -> str:
    """The page; the same payload gives the same bytes.

    Everything of the payload is escaped: in the header as HTML, in the data as JSON without ``<``, ``>`` and ``&``,
    which the page's scripts write as text only.

    Args:
        payload: What `benchmark.leaderboard.outputs.page.payload.payload` collects.

    Returns:
        HTML that holds its style, scripts, data and images.

    Raises:
        ValueError: If a number of the payload is NaN or infinite, which JSON cannot hold.
    """
    board = payload["leaderboard"]
    return (
        _environment()
        .get_template("template.html.j2")
        .render(
            board=board,
            progress=payload["progress"],
            agreement=payload["agreement"],
            judged_by=payload["judged_by"],
            resampled=payload["resampled"],
            data=Markup(_json(payload)),
            style=Markup(_text("style.css")),
            libraries=[Markup(_text(f"vendor/{name}")) for name in _LIBRARIES],
            licences=[_text(f"vendor/{name}") for name in _LICENCES],
            scripts=[Markup(_text(f"js/{name}")) for name in _SCRIPTS],
        )
    )


@lru_cache
def _environment() -> Environment:
    """It keeps the template that it has compiled, for the next page of this process."""
    return Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _json(payload: Mapping[str, Any]) -> str:
    text = json.dumps(payload, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _text(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8").strip()
