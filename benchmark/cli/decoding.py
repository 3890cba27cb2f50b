"""Shows how far the decoding of images is: a line that is drawn anew in a terminal, one now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from benchmark.cli.app import CONTINUES
from benchmark.process import OutputLost, say_ended

if TYPE_CHECKING:
    from rich.console import Console

_SPARSE_S = 30.0


@contextmanager
def decoding_shown() -> Iterator[Callable[[int, int], None]]:
    """Yields what is to be called with how many images are decoded, and how many are to be.

    Raises:
        typer.Exit: Ctrl-C, or nobody reads on; what was decoded is remembered.
    """
    from benchmark.writing.console import PlainConsole

    console = PlainConsole()
    try:
        if console.is_terminal:
            with _bar(console) as told:
                yield told
        else:
            yield _Sparse().told
    except (KeyboardInterrupt, OutputLost):
        raise typer.Exit(say_ended(CONTINUES)) from None


@contextmanager
def _bar(console: Console) -> Iterator[Callable[[int, int], None]]:
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("decoding images", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


class _Sparse:
    def __init__(self) -> None:
        self._next = time.monotonic() + _SPARSE_S

    def told(self, done: int, total: int) -> None:
        if time.monotonic() > self._next:
            self._next = time.monotonic() + _SPARSE_S
            typer.echo(f"{done} of {total} images decoded")
