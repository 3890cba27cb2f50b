"""Shows how far work on images is: a line that is drawn anew in a terminal, one now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

import typer

from benchmark.cli.app import CONTINUES
from benchmark.process import OutputLost, say_ended

if TYPE_CHECKING:
    from rich.console import Console

_SPARSE_S = 30.0


def decoding_shown() -> AbstractContextManager[Callable[[int, int], None]]:
    """As `images_shown`, of the decoding of images; what was decoded is remembered when it is ended."""
    return images_shown("decoding images", "decoded", CONTINUES)


@contextmanager
def images_shown(doing: str, done: str, then: str) -> Iterator[Callable[[int, int], None]]:
    """Yields what is to be called with how many images are done, and how many are to be.

    Args:
        doing: What is done with them.
        done: What they are then.
        then: What to say when it is ended.

    Raises:
        typer.Exit: Ctrl-C, or nobody reads on.
    """
    from benchmark.writing.console import PlainConsole

    console = PlainConsole()
    try:
        if console.is_terminal:
            with _bar(console, doing) as told:
                yield told
        else:
            yield _Sparse(done).told
    except (KeyboardInterrupt, OutputLost):
        raise typer.Exit(say_ended(then)) from None


@contextmanager
def _bar(console: Console, doing: str) -> Iterator[Callable[[int, int], None]]:
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(doing, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


class _Sparse:
    def __init__(self, what: str) -> None:
        self._what = what
        self._stream = sys.stdout  # of libraries nothing may be shown meanwhile
        self._next = time.monotonic() + _SPARSE_S

    def told(self, done: int, total: int) -> None:
        if time.monotonic() > self._next:
            self._next = time.monotonic() + _SPARSE_S
            typer.echo(f"{done} of {total} images {self._what}", file=self._stream)
