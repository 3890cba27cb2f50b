"""The table as GitHub-flavoured Markdown."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.report.columns import SHOWN, best
from benchmark.report.frame import records
from benchmark.report.table import RowResult, Table
from benchmark.run import RunFolder, RunRecord

if TYPE_CHECKING:
    import pandas as pd

_LONGEST_CAUSE = 200


def escape(text: str) -> str:
    """Makes text that Markdown shows as it is, in a table's cell too: one line, no HTML."""
    line = "".join(letter for letter in " ".join(text.split()) if letter.isprintable())
    line = re.sub(r"[\\`*~|\[\]]", r"\\\g<0>", line)
    # Inside a word (mstrain_3x) an underscore is only an underscore.
    line = re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", line)
    return line.replace("&", "&amp;").replace("<", "&lt;")


def table_text(table: Table, content: pd.DataFrame) -> str:
    """The pipe table of the columns for readers; the best measured mAP50 is bold.

    Args:
        table: What is shown.
        content: What `benchmark.report.frame.frame` makes of it.
    """
    rows = records(content)
    top = best(rows)
    lines = [[escape(column.heading(table)) for column in SHOWN]]
    for position, row in enumerate(rows):
        cells = [escape(column.cell(row[column.key])) for column in SHOWN]
        lines.append(_bold(cells) if position in top else cells)
    return _piped(lines)


def _bold(cells: list[str]) -> list[str]:
    return [
        f"**{cell}**" if column.key == "map50" else cell
        for column, cell in zip(SHOWN, cells, strict=True)
    ]


def _piped(lines: list[list[str]]) -> str:
    widths = [max(3, *map(len, cells)) for cells in zip(*lines, strict=True)]
    rule = [
        "-" * (width - 1) + ":" if column.numeric else "-" * width
        for width, column in zip(widths, SHOWN, strict=True)
    ]
    return "".join(_line(cells, widths) for cells in (lines[0], rule, *lines[1:]))


def _line(cells: list[str], widths: list[int]) -> str:
    padded = [
        cell.rjust(width) if column.numeric else cell.ljust(width)
        for cell, width, column in zip(cells, widths, SHOWN, strict=True)
    ]
    return f"| {' | '.join(padded)} |\n"


def page(table: Table, content: pd.DataFrame) -> str:
    """The whole page: title, what was run on what, the table, and the failures with their causes.

    It names no time, no machine and no absolute path of its own: same records in, same bytes out.
    """
    parts = [f"# {escape(table.heading)}\n", _facts(table), table_text(table, content)]
    failures = [_failure(result, record) for result in table.rows for record in result.failures]
    if failures:
        parts += ["## Failed runs\n", "".join(failures)]
    return "\n".join(parts)


def _facts(table: Table) -> str:
    several = " (values are means over the complete ones)" if len(table.seeds) > 1 else ""
    return (
        f"- Profile: {escape(table.profile)}\n"
        f"- Data set: {dataset_text(table)}\n"
        f"- Seeds: {', '.join(map(str, table.seeds))}{several}\n"
        f"- Rows complete: {table.progress}\n"
    )


def dataset_text(table: Table) -> str:
    """The dataset's name and the first digits of its annotation files' SHA-256."""
    data = table.dataset
    return f"{escape(data.name)} (train `{data.train.sha256[:8]}`, val `{data.val.sha256[:8]}`)"


def _failure(result: RowResult, record: RunRecord) -> str:
    failure = record.failure or {}
    cause = escape(shortened(record.cause)) if record.cause else "no message"
    log = RunFolder(Path("runs") / record.run_id).log_file.as_posix()
    kind = escape(failure.get("kind", "error"))
    return f"- {escape(result.row.name)}, seed {record.seed}: {kind}: {cause} ([log]({log}))\n"


def shortened(text: str) -> str:
    """A cause that is not too long for a line of a list."""
    return text if len(text) <= _LONGEST_CAUSE else text[: _LONGEST_CAUSE - 1] + "…"
