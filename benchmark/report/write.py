"""Writes the leaderboard's files, or says how those on disk differ."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.errors import UserError
from benchmark.files import write_text
from benchmark.report.document import Leaderboard
from benchmark.report.frame import csv_text
from benchmark.report.markdown import dataset_text, escape, method_text, page, table_text
from benchmark.report.readme import markers, replaced

if TYPE_CHECKING:
    from benchmark.report.plots import Plot

Configs = Mapping[str, Mapping[str, Any]]

_LONGEST_DIFF = 200  # lines
_DATA = re.compile(r'<script[^>]* type="application/json"[^>]*>(.*?)</script>', re.DOTALL)


@dataclass(frozen=True)
class Written:
    """What became of the leaderboard's files.

    Attributes:
        changed: Files that were written or removed; with ``check``, those that would have been.
        unchanged: Files that were right already, and were not touched.
        diffs: With ``check``, a unified diff (on disk to what the records say) a changed file.
        skipped: What was not looked after, and why.
    """

    changed: tuple[Path, ...]
    unchanged: tuple[Path, ...]
    diffs: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()


def write_report(
    leaderboard: Leaderboard,
    results: Path,
    *,
    configs: Configs | None = None,
    readme: Path | None = None,
    check: bool = False,
) -> Written:
    """Writes ``<experiment>.md``, ``.csv`` and ``.json``, the page and the plots, and the README's table.

    Every write is atomic, and a file whose content is right already is not touched.

    Args:
        leaderboard: What is shown.
        results: The results folder; the page and the plots are made with what its run folders hold.
        configs: The composed config of each row, by name; None leaves the page and the plots alone.
        readme: The README that may hold the table's two markers, None for no README.
        check: Compare only; write nothing.

    Raises:
        UserError: If the README cannot be read or its markers are wrong; nothing is written then.
    """
    texts, skipped = _texts(leaderboard, results, readme)
    drawn: Sequence[Plot] = ()
    if configs is None:
        skipped.append(f"the page and the plots need the run folders, and {results} has none")
    else:
        html, drawn = _page_and_plots(leaderboard, results, configs)
        texts[results / f"{leaderboard.experiment}.html"] = html
    found = {path: _read(path) for path in texts}
    changed = [path for path in texts if found[path] != texts[path]]
    diffs = [_diff(path, found[path], texts[path]) for path in changed] if check else []
    for path in () if check else changed:
        write_text(path, texts[path])
    unchanged = [path for path in texts if path not in changed]
    for plot in drawn:
        paths = plot.outdated(results)
        changed += paths
        diffs += [f"{path.name}: shows other numbers than the records" for path in paths if check]
        if paths and not check:
            plot.write(paths)
    return Written(tuple(changed), tuple(unchanged), tuple(diffs), tuple(skipped))


def readme_beside(results: Path) -> Path:
    """The README that may hold the table: the one beside the results folder."""
    return results.resolve().parent / "README.md"


def _texts(
    leaderboard: Leaderboard, results: Path, readme: Path | None
) -> tuple[dict[Path, str], list[str]]:
    """The text files that follow from the leaderboard alone, and what is left out."""
    name = leaderboard.experiment
    texts = {
        results / f"{name}.md": page(leaderboard),
        results / f"{name}.csv": csv_text(leaderboard),
        results / f"{name}.json": leaderboard.text(),
    }
    skipped, text = _readme_text(leaderboard, readme)
    if readme is not None and text is not None:
        texts[readme] = text
    return texts, [f"no README written: {skipped}"] if skipped else []


def _page_and_plots(
    leaderboard: Leaderboard, results: Path, configs: Configs
) -> tuple[str, Sequence[Plot]]:
    from benchmark.report.page.payload import payload
    from benchmark.report.page.render import render
    from benchmark.report.plots import plots

    content = payload(leaderboard, results, configs)
    return render(content), plots(leaderboard, content["curves"])


def _readme_text(leaderboard: Leaderboard, readme: Path | None) -> tuple[str | None, str | None]:
    if readme is None:
        return "no README was named", None
    found = _read(readme)
    if found is None:
        return f"{readme} does not exist", None
    name = leaderboard.experiment
    text = replaced(found, name, _block(leaderboard), readme)
    if text is None:
        return f"{readme} has no markers '{' ... '.join(markers(name))}'", None
    return None, text


def _block(leaderboard: Leaderboard) -> str:
    # Blank lines: Markdown after an HTML comment starts only after one.
    caveat = f" **{escape(leaderboard.caveat)}**." if leaderboard.caveat else ""
    summary = f"{leaderboard.progress} rows complete on {dataset_text(leaderboard)}.{caveat}"
    return f"\n{summary}\n\n{table_text(leaderboard)}\n{method_text(leaderboard)}.\n\n"


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
    before, after = (_lines(path, text) for text in (found or "", wanted))
    lines = list(
        difflib.unified_diff(before, after, old, f"{path.name} (from the records)", lineterm="")
    )
    if len(lines) > _LONGEST_DIFF:
        lines[_LONGEST_DIFF:] = [f"... and {len(lines) - _LONGEST_DIFF} more lines"]
    if not lines:
        return f"{path.name}: another version of the page around the same numbers"
    return "\n".join(lines)


def _lines(path: Path, text: str) -> list[str]:
    """Lines to compare: of the page, its data, which is one long line."""
    if path.suffix != ".html" or not text:
        return text.split("\n")
    data = _DATA.search(text)
    if data is None:
        return ["(not a leaderboard's page)"]
    try:
        return json.dumps(json.loads(data.group(1)), indent=1, ensure_ascii=False).split("\n")
    except ValueError:
        return ["(a leaderboard's page with broken data)"]
