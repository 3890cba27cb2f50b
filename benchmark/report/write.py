"""Writes the table's files, or says how those on disk differ."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.errors import UserError
from benchmark.files import write_text
from benchmark.report.frame import csv_text, frame
from benchmark.report.markdown import dataset_text, escape, page, table_text
from benchmark.report.readme import markers, replaced
from benchmark.report.table import Table

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Written:
    """What became of the table's files.

    Attributes:
        changed: Files that were written; with ``check``, those that would have been.
        unchanged: Files that were right already, and were not touched.
        diffs: With ``check``, a unified diff (on disk to what the records say) a changed file.
        readme_skipped: Why no README was written, None if one was looked after.
    """

    changed: tuple[Path, ...]
    unchanged: tuple[Path, ...]
    diffs: tuple[str, ...] = ()
    readme_skipped: str | None = None


def write_report(
    table: Table, results: Path, *, readme: Path | None = None, check: bool = False
) -> Written:
    """Writes ``<name>.md`` and ``<name>.csv`` in the results folder, and the README's table.

    Every write is atomic, and a file whose content is right already is not touched.

    Args:
        table: What is shown.
        results: The results folder; logs of failed runs are named relative to it.
        readme: The README that may hold the table's two markers, None for no README.
        check: Compare only; write nothing.

    Raises:
        UserError: If the README cannot be read or its markers are wrong; nothing is written then.
    """
    content = frame(table)
    wanted = {
        results / f"{table.name}.md": page(table, content),
        results / f"{table.name}.csv": csv_text(table, content),
    }
    skipped, text = _readme_text(table, content, readme)
    if readme is not None and text is not None:
        wanted[readme] = text
    found = {path: _read(path) for path in wanted}
    changed = tuple(path for path in wanted if found[path] != wanted[path])
    diffs = tuple(_diff(path, found[path], wanted[path]) for path in changed) if check else ()
    for path in () if check else changed:
        write_text(path, wanted[path])
    unchanged = tuple(path for path in wanted if path not in changed)
    return Written(changed, unchanged, diffs, skipped)


def readme_beside(results: Path) -> Path:
    """The README that may hold the table: the one beside the results folder."""
    return results.resolve().parent / "README.md"


def _readme_text(
    table: Table, content: pd.DataFrame, readme: Path | None
) -> tuple[str | None, str | None]:
    if readme is None:
        return "no README was named", None
    found = _read(readme)
    if found is None:
        return f"{readme} does not exist", None
    text = replaced(found, table.name, _block(table, content), readme)
    if text is None:
        return f"{readme} has no markers '{' ... '.join(markers(table.name))}'", None
    return None, text


def _block(table: Table, content: pd.DataFrame) -> str:
    # Blank lines: Markdown after an HTML comment starts only after one.
    caveat = f" **{escape(table.caveat)}**." if table.caveat else ""
    summary = f"{table.progress} rows complete on {dataset_text(table)}.{caveat}"
    return f"\n{summary}\n\n{table_text(table, content)}\n"


def _read(path: Path) -> str | None:
    """The file's text as it is, line ends included; None if there is no such file."""
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as text: {error}") from None


def _diff(path: Path, found: str | None, wanted: str) -> str:
    old = "/dev/null" if found is None else f"{path.name} (on disk)"
    # split, not splitlines: a difference in the line ends alone is a difference too.
    before, after = (found or "").split("\n"), wanted.split("\n")
    lines = difflib.unified_diff(before, after, old, f"{path.name} (from the records)", lineterm="")
    return "\n".join(lines)
