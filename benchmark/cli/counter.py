"""Shows what comes of many things one after the other: a line each, and in a terminal below them how many are done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import typer


@dataclass(frozen=True)
class Counter:
    """Shows lines, and how many things are done.

    Attributes:
        say: Shows a line.
        done: Takes how many are done.
    """

    say: Callable[[str], None]
    done: Callable[[int], None]


@contextmanager
def counting(total: int, plain: bool = False) -> Iterator[Counter]:
    """Yields what shows lines; they are all, where standard output is no terminal.

    Args:
        total: How many things there are.
        plain: Whether lines are all in a terminal, too, to which others print at the same time.
    """
    from benchmark.writing.console import PlainConsole

    console = PlainConsole()
    if plain or not console.is_terminal:
        yield Counter(typer.echo, lambda _: None)
        return
    from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=total)

        def say(line: str) -> None:
            console.print(line, markup=False, highlight=False, soft_wrap=True)

        yield Counter(say, lambda count: progress.update(task, completed=count))
