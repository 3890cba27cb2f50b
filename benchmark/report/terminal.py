"""The table for a terminal."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.table import Table as RichTable
from rich.text import Text

from benchmark.report.columns import COLUMNS, Column, best, values
from benchmark.report.table import Table

# The row's name, which --rows takes, stands for its five labels: eleven columns fit no terminal.
_TERMINAL = tuple(c for c in COLUMNS if c.key == "row" or (c.shown and not c.label))
_STYLES = {"complete": "green", "failed": "red", "lost": "yellow", "running": "cyan"}


def rich_table(table: Table) -> RichTable:
    """The rows by name and how they did, for a rich console.

    It needs no pandas, whose import would take longer than a sweep with nothing left to do.
    """
    drawn = _headed(table)
    rows = values(table)
    top = best(rows)
    for position, row in enumerate(rows):
        styles = {"status": _STYLES.get(row["state"], ""), "map50": "bold" * (position in top)}
        # Text, not str: square brackets in a title or a cell are no markup.
        cells = [Text(c.cell(row[c.key]), style=styles.get(c.key, "")) for c in _columns(table)]
        drawn.add_row(*cells)
    return drawn


def _columns(table: Table) -> list[Column]:
    """Leaves out the difference where it would be a column of dashes."""
    return [c for c in _TERMINAL if table.comparable or c.key != "difference"]


def _headed(table: Table) -> RichTable:
    drawn = RichTable(
        title=Text(table.heading),
        title_justify="left",
        box=SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=0,
    )
    for column in _columns(table):
        heading = column.heading(table)
        drawn.add_column(
            Text(heading),
            justify="right" if column.numeric else "left",
            overflow="fold",
            # Where room is short, the row's name folds and no word of a heading or state does.
            min_width=max(map(len, ["complete", *heading.split()])),
        )
    return drawn
