"""What ``detboard report`` does: from the records on disk to the leaderboard's files."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmark.errors import UserError
from benchmark.leaderboard.document import Report
from benchmark.leaderboard.select import report_on_disk
from benchmark.leaderboard.write import Written, readme_beside, write_report
from benchmark.run.plan import Request


def run(request: Request, check: bool) -> bool:
    """Writes the leaderboard's files from what the results folder holds, or compares them, and says so.

    Returns:
        Whether all is well: every file could be made, and with ``check`` none differs and no number is stale.

    Raises:
        UserError: The experiment is wrong, there is nothing to show, or the README's markers are wrong.
    """
    with _uncollected():
        report = report_on_disk(request)
        written = write(report, request.results, check)
    _show(written, report, check)
    if not written.changed:
        print(f"up to date: {', '.join(map(str, written.unchanged))}")
    for line in written.skipped:
        print(line)
    if written.wrong:
        raise UserError(list(written.wrong))
    return not written.problems and not (check and (written.changed or report.stale))


def publish(report: Report, results: Path) -> Written:
    """Writes a report's files, and says so."""
    written = write(report, results)
    _show(written, report)
    return written


def write(report: Report, results: Path, check: bool = False) -> Written:
    """Writes a report's files, or compares them; the README is the one beside the results folder."""
    readme = readme_beside(results)
    return write_report(
        report.leaderboard, results, configs=report.configs, readme=readme, check=check
    )


def _show(written: Written, report: Report, check: bool = False) -> None:
    """Says what was written or differs, what is stale, and what went wrong."""
    for line in written.diffs:
        print(line)
    for sentence in report.stale:
        print(f"stale: {sentence}")
    for path in written.changed:
        print(f"{'differs' if check else 'wrote'} {path}")
    for problem in (*report.skipped, *written.problems):
        print(f"warning: {problem}", file=sys.stderr)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the garbage collector.

    Nothing is thrown away before the end, and with ten thousand records it takes a third of the time to find out.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
