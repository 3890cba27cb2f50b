"""Plots that a process of its own draws, while this one makes the other files of a leaderboard of many rows.

It gets numbers, gives the bytes of pictures, and writes no file. What it does not draw, for whatever reason, is left to
this process, which draws the same and says what is wrong with it.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmark.leaderboard.panels import Forest, Pareto, Training
from benchmark.writing.drawing import pictures

WORTH_ROWS = 200
"""Of fewer, the other files are written before a process has imported what draws."""

_START = Path(__file__).parents[2] / "detboard_start.py"

Numbers = Pareto | Forest | Training
Pictures = Mapping[str, Mapping[str, bytes]]
"""The files of plots, by the digest of what they show and by their kind."""


class Aside:
    """A process that draws.

    Args:
        process: It, on its way to have imported what draws.
        waiting: Gives it the numbers, and takes the pictures from it.
    """

    def __init__(self, process: subprocess.Popen[bytes], waiting: ThreadPoolExecutor) -> None:
        self._process, self._waiting = process, waiting
        self._said: Future[tuple[bytes, bytes]] | None = None

    def begin(self, numbers: Mapping[str, Numbers]) -> None:
        """Has plots drawn, by the digests of what they show; once."""
        self._said = self._waiting.submit(self._process.communicate, pickle.dumps(dict(numbers)))

    def pictures(self) -> Pictures:
        """What was drawn, as soon as all is; empty if nothing was begun, or the process has failed."""
        if self._said is None:
            return {}
        said, _ = self._said.result()
        return {} if self._process.returncode else pickle.loads(said)


@contextmanager
def drawing_aside(wanted: bool) -> Iterator[Aside | None]:
    """A process that draws, if that is wanted and one can be started; it has ended when the block has."""
    process = _start() if wanted else None
    if process is None:
        yield None
        return
    with process, ThreadPoolExecutor(1) as waiting:
        try:
            yield Aside(process, waiting)
        finally:
            process.kill()


def _start() -> subprocess.Popen[bytes] | None:
    """It ends when its input does: with this process, however that ends."""
    with suppress(OSError):
        return subprocess.Popen(
            [sys.executable, str(_START), "draw"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the command
        )
    return None


def main() -> None:
    """The process that draws."""
    import adjustText  # noqa: F401 - while the other one computes what is to be drawn
    import matplotlib.backends.backend_agg
    import matplotlib.backends.backend_svg
    import matplotlib.figure  # noqa: F401

    with suppress(EOFError):  # nobody wants plots any more
        asked: dict[str, Numbers] = pickle.load(sys.stdin.buffer)
        drawn: dict[str, Mapping[str, bytes]] = {}
        for digest, numbers in asked.items():
            with suppress(Exception):  # the one that asks draws it again, and says what is wrong
                drawn[digest] = pictures(numbers.draw(), digest)
        sys.stdout.buffer.write(pickle.dumps(drawn))
