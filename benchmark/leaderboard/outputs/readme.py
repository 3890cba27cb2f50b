"""The table inside a README, between two markers."""

from __future__ import annotations

from pathlib import Path

from benchmark.errors import UserError


def markers(name: str) -> tuple[str, str]:
    """The comments between which the table of the experiment ``name`` stands."""
    return f"<!-- detboard:{name}:begin -->", f"<!-- detboard:{name}:end -->"


def replaced(text: str, name: str, block: str, path: Path) -> str | None:
    """The text of a README with everything between its markers replaced.

    Args:
        text: What the README holds.
        name: Name of the experiment.
        block: What goes between the markers.
        path: The README, for the message.

    Returns:
        The new text, or None if there are no markers: this README does not want the table.

    Raises:
        UserError: If a marker is missing, repeated, or the end stands before the begin.
    """
    begin, end = markers(name)
    counts = text.count(begin), text.count(end)
    if counts == (0, 0):
        return None
    if counts != (1, 1) or text.index(end) < text.index(begin):
        raise UserError(
            f"{path}: '{begin}' is there {_times(counts[0])} and '{end}' {_times(counts[1])}; "
            f"allowed: each once, the begin first. Correct the markers, or remove them all"
        )
    before, after = text.index(begin) + len(begin), text.index(end)
    return f"{text[:before]}\n{block}{text[after:]}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
