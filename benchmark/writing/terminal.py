"""Tables for terminals, pipes and logs: what names things stays whole, and columns are left out where room is short."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.box import Box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

_UNBOUND = 10_000
_LEAST_FOLDED, _LEAST_ELASTIC = 8, 16


@dataclass(frozen=True)
class Shown:
    """A column of a table.

    Attributes:
        key: Its name, for the order in which columns are left out.
        heading: Its heading, which may go over several lines.
        cells: One for each line; each stays on its line.
        right: Whether the cells stand to the right.
        elastic: Whether the cells may go over several lines: the column takes the room that is left.
    """

    key: str
    heading: str
    cells: Sequence[Text]
    right: bool = False
    elastic: bool = False

    @cached_property
    def least(self) -> int:
        """The least width that it takes, in cells of a terminal."""
        if self.elastic:
            return min(self.natural, _LEAST_ELASTIC)
        return max([self._cells, *map(_width, self.heading.split())])

    @cached_property
    def natural(self) -> int:
        """The width that it takes with its heading on one line."""
        return max(self._cells, _width(self.heading))

    @cached_property
    def _cells(self) -> int:
        return max((cell.cell_len for cell in self.cells), default=0)


def _width(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text)


def unbound_console() -> Console:
    """A console that wraps lines at the edge of a terminal, and nowhere where it is none."""
    from benchmark.writing.console import PlainConsole

    console = PlainConsole()
    return console if console.is_terminal else PlainConsole(width=_UNBOUND)


def fitting(columns: Sequence[Shown], spared: Sequence[str], width: int) -> list[Shown]:
    """The columns that there is room for.

    Args:
        columns: All of them.
        spared: Keys of those that may be left out, the first one first.
        width: The room, in cells of a terminal.
    """
    kept = list(columns)
    for key in spared:
        if sum(column.least + 1 for column in kept) - 1 <= width:
            break
        kept = [column for column in kept if column.key != key]
    return kept


def lines_of(columns: Sequence[Shown], console: Console, folds: str = "") -> list[int]:
    """How many lines of a terminal each line of `table_of` takes there, cells that fold included."""
    widths = _widths(columns, console, folds)
    cells = [
        [len(cell.wrap(console, width, overflow="fold")) for cell in column.cells]
        for column, width in zip(columns, widths, strict=True)
    ]
    return [max(of_line) for of_line in zip(*cells, strict=True)]


def table_of(
    title: str, columns: Sequence[Shown], console: Console, box: Box | None = None, folds: str = ""
) -> Table:
    """A table whose cells stay whole, but for those of one column where a terminal is too narrow.

    Args:
        title: Stands above it.
        columns: From left to right.
        console: Where it is to be shown, see `show`.
        box: Its lines.
        folds: Key of the column that folds.
    """
    from rich.table import Table
    from rich.text import Text

    widths = _widths(columns, console, folds)
    drawn = Table(
        title=Text(title),
        title_justify="left",
        box=box,
        show_edge=False,
        pad_edge=False,
        padding=0 if box else (0, 1, 0, 0),
        width=sum(widths) + len(widths) - 1,
    )
    for column, width in zip(columns, widths, strict=True):
        drawn.add_column(
            Text(column.heading),
            justify="right" if column.right else "left",
            overflow="fold",
            width=width,
        )
    for cells in zip(*(column.cells for column in columns), strict=True):
        drawn.add_row(*cells)
    return drawn


def show(console: Console, table: Table) -> None:
    """Prints a table of `table_of`; where it is wider than the console, its lines are longer, and not wrapped."""
    wider = (table.width or 0) > console.width
    lines = [] if console.is_terminal else _lines(table)
    if not lines:
        console.print(table, soft_wrap=wider or not console.is_terminal)
        return
    console.print(_head(table), soft_wrap=True)
    console.file.write("".join(lines))
    console.file.flush()


def _lines(table: Table) -> list[str]:
    """The lines of a table without colours, as rich has them, in less time; none where one is not plain ASCII."""
    if table.box is not None:
        return []
    columns = []
    for column in table.columns:
        texts = [str(cell) for cell in column.cells]
        room = [(column.width or 0) - len(text) for text in texts]
        if min(room, default=0) < 0 or any(
            not (text.isascii() and text.isprintable()) for text in texts
        ):
            return []
        right = column.justify == "right"
        filled = zip(texts, room, strict=True)
        columns.append([" " * left + t if right else t + " " * left for t, left in filled])
    return [f"{' '.join(cells)}\n" for cells in zip(*columns, strict=True)]


def _head(table: Table) -> Table:
    """A table without its lines."""
    from copy import copy

    head = copy(table)
    head.columns, head.rows = [column.copy() for column in table.columns], []
    return head


def _widths(columns: Sequence[Shown], console: Console, folds: str) -> list[int]:
    natural = [column.natural for column in columns]
    room = console.width - (len(columns) - 1)
    if sum(natural) <= room:
        return natural
    least = [column.least for column in columns]
    over = sum(least) - room
    for position, column in enumerate(columns):
        if over < 0 and column.elastic:
            least[position] = min(natural[position], least[position] - over)
        elif over > 0 and column.key == folds and console.is_terminal:
            least[position] = max(_LEAST_FOLDED, least[position] - over)
    return least
