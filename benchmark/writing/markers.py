"""The comments in a README between which a table of DetBoard's stands."""

from __future__ import annotations

import re

_BLOCK = re.compile(
    r"(<!-- detboard:(\S+):begin(?: short)? -->).*?(<!-- detboard:\2:end -->)", re.DOTALL
)


def markers(name: str, *, short: bool = False) -> tuple[str, str]:
    """The comments between which the table of the board ``name`` stands, with all its columns or in its short form."""
    return (
        f"<!-- detboard:{name}:begin{' short' if short else ''} -->",
        f"<!-- detboard:{name}:end -->",
    )


def without_tables(text: str) -> str:
    """A text with nothing between the markers, whichever boards they are of."""
    return _BLOCK.sub(r"\1\3", text)
