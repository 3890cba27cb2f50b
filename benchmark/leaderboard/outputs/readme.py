"""The table inside a README, between two markers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.errors import UserError
from benchmark.leaderboard.agreement import agreement_text
from benchmark.leaderboard.outputs.base import File, Material, NothingToWriteError, Output
from benchmark.leaderboard.outputs.markdown import (
    dataset_text,
    method_text,
    short_table_text,
    table_text,
)
from benchmark.leaderboard.outputs.text_file import TextFile, read_text
from benchmark.leaderboard.validations import counted
from benchmark.writing.markdown import escape
from benchmark.writing.markers import markers

if TYPE_CHECKING:
    from benchmark.leaderboard.document import Leaderboard


def _files(material: Material) -> Iterator[File]:
    """The README, if it wants the table.

    Raises:
        NothingToWriteError: It does not, or there is none.
        UserError: It cannot be read, or its markers are wrong.
    """
    readme, name = material.readme, material.leaderboard.stem
    if readme is None:
        raise NothingToWriteError("no README written: no README was named")
    on_disk = read_text(readme)
    if on_disk is None:
        raise NothingToWriteError(f"no README written: {readme} does not exist")
    short = markers(name, short=True)[0] in on_disk
    wanted = replaced(on_disk, name, _block(material.leaderboard, short), readme)
    if wanted is None:
        marks = " ... ".join(markers(name))
        other = _markers_of_own(material, on_disk)
        raise NothingToWriteError(f"no README written: {readme} has no markers '{marks}'{other}")
    yield TextFile(readme, lambda: wanted)


def _markers_of_own(material: Material, text: str) -> str:
    """What to know of markers that bear the experiment's name, where this board is called otherwise."""
    own = material.leaderboard.experiment
    if own == material.leaderboard.stem or markers(own)[1] not in text:
        return ""
    return f"; those of '{own}' are for the board of the experiment's own data set and profile"


def _block(leaderboard: Leaderboard, short: bool) -> str:
    # Blank lines: Markdown after an HTML comment starts only after one.
    caveat = f" **{escape(leaderboard.caveat)}**." if leaderboard.caveat else ""
    words = counted(leaderboard.earlier_better)
    earlier = f" {words}." if words else ""
    chosen = f" **Note: {escape(leaderboard.selection)}.**" if leaderboard.selection else ""
    told = f"{caveat}{chosen}{earlier}"
    summary = f"{leaderboard.progress} rows complete on {dataset_text(leaderboard)}.{told}"
    agreed = f"{escape(text)}.\n\n" if (text := agreement_text(leaderboard)) else ""
    if short:
        return f"\n{summary}\n\n{short_table_text(leaderboard)}\n{agreed}"
    table = table_text(leaderboard)
    return f"\n{summary}\n\n{table}\n{agreed}{method_text(leaderboard)}.\n\n"


def replaced(text: str, name: str, block: str, path: Path) -> str | None:
    """The text of a README with everything between its markers replaced.

    Args:
        text: What the README holds.
        name: What the files of the board are called.
        block: What goes between the markers.
        path: The README, for the message.

    Returns:
        The new text, or None if there are no markers: this README does not want the table.

    Raises:
        UserError: If a marker is missing, repeated, or the end stands before the begin.
    """
    begin, end = markers(name)
    begins = (begin, markers(name, short=True)[0])
    counts = sum(map(text.count, begins)), text.count(end)
    begin = next((mark for mark in begins if mark in text), begin)
    if counts == (0, 0):
        return None
    if counts != (1, 1) or text.index(end) < text.index(begin):
        raise UserError(
            f"{path}: '{begin}' is there {_times(counts[0])} and '{end}' {_times(counts[1])}; "
            f"allowed: each once, the begin first. Correct the markers, or remove them all"
        )
    before, after = text.index(begin) + len(begin), text.index(end)
    return f"{text[:before]}\n{block}{text[after:]}"


def with_other_markers(text: str, old: str, new: str, shows: str) -> str | None:
    """The text of a README whose markers name a board by what its files are called now.

    Args:
        text: What the README holds.
        old: What they were called before.
        new: What they are called now.
        shows: What stands between the markers, if it is the board's table.

    Returns:
        The new text, or None if nothing is to change: another table stands between the markers or none, or the README
        has markers of that name.
    """
    (begin, end), others = markers(old), markers(new)
    _, _, rest = text.partition(begin)
    block, ended, _ = rest.partition(end)
    if not ended or shows not in block or any(mark in text for mark in others):
        return None
    return text.replace(begin, others[0]).replace(end, others[1])


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


README = Output(_files, told=True)
