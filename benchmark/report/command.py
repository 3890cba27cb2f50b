"""What ``detboard report`` does: from the records on disk to the leaderboard's files."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from benchmark.plan import Request
from benchmark.report.select import Board, board_on_disk
from benchmark.report.write import Written, readme_beside, write_report


def report(request: Request, check: bool) -> tuple[Board, Written]:
    """Reads what the results folder holds, and writes the leaderboard's files or compares them.

    Raises:
        UserError: The experiment is wrong, there is nothing to show, or the README's markers are wrong.
    """
    with _uncollected():
        board = board_on_disk(request)
        readme = readme_beside(request.results)
        written = write_report(
            board.leaderboard, request.results, configs=board.configs, readme=readme, check=check
        )
    return board, written


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
