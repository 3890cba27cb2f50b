"""Says how fast rows are: a table a row, what fails, and what is best."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from benchmark.speed.choices import Choice, Combination, Kind
from benchmark.speed.rates import Outcome, Rate, Speed
from benchmark.speed.search import Best
from benchmark.writing.words import duration

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_SLOW_START_S = 10.0

NO_DIFFERENCE = "no difference seen"

_RESTS = {
    "cache": "cache: from the second epoch on, as far as decoded images find room",
    "slots": "slots: without a GPU each run has fewer threads, which changes the last digits",
}
_REMARKS = {
    Kind.SAME: "",
    Kind.REDRAWN: "{}: run ids stay, and augmentations draw other random numbers",
    Kind.OTHER: "{}: changes what is trained, so that runs have other ids",
}


def three_digits(value: float) -> str:
    """Words a positive number with three digits, or all before the point: ``1,234``, ``12.3``, ``0.123``."""
    digits = next((n for n, least in enumerate((100, 10, 1)) if value >= least), 3)
    return f"{value:,.{digits}f}"


def in_range(rate: Rate) -> str:
    """``11.9–12.6``."""
    return f"{three_digits(rate.low)}–{three_digits(rate.high)}"


def line_of(combination: Combination, row: str, reached: Speed | str) -> str:
    """What came of one measurement, on a line."""
    head = f"{row}, {combination.words()}: "
    if isinstance(reached, str):
        return f"{head}fails: {reached}"
    return f"{head}{three_digits(reached.rate.mean)} images/s ({in_range(reached.rate)})"


def table_of_row(row: str, found: Mapping[Combination, Outcome], console: Console) -> Table | None:
    """What a row reached with each combination, and its ratio to what the experiment has.

    Args:
        row: Name of the row.
        found: What was measured, as the experiment has it first.
        console: Where it is to be shown.

    Returns:
        None of a row that has reached nothing.
    """
    from rich.text import Text

    from benchmark.writing.terminal import Shown, table_of

    reached = {
        combination: speed
        for combination, outcome in found.items()
        if isinstance(speed := outcome.get(row), Speed)
    }
    base = reached.get(Combination())
    if base is None:
        return None
    cells = {
        "with": [combination.words() for combination in reached],
        "images/s": [three_digits(speed.rate.mean) for speed in reached.values()],
        "range": [in_range(speed.rate) for speed in reached.values()],
        "wait s": [three_digits(speed.waited) for speed in reached.values()],
        "GiB": [three_digits(speed.memory_gib) for speed in reached.values()],
        "ratio": [ratio(speed.rate, base.rate) for speed in reached.values()],
    }
    columns = [
        Shown(name, name, [*map(Text, texts)], right=name != "with", elastic=name == "with")
        for name, texts in cells.items()
    ]
    return table_of(row, columns, console)


def ratio(rate: Rate, base: Rate) -> str:
    """How many times the images a second of the base, where a difference is seen."""
    if rate is base or rate.is_apart_from(base):
        return f"{rate.mean / base.mean:.2f}"
    return NO_DIFFERENCE


def told_of(row: str, found: Mapping[Combination, Outcome]) -> Iterator[str]:
    """A line for each combination that a row fails with, or begins slowly with, as where a model is compiled."""
    for combination, outcome in found.items():
        reached = outcome.get(row)
        if isinstance(reached, str):
            yield f"{combination.words()}: fails: {reached}"
        elif reached is not None and reached.first_s > reached.iteration_s + _SLOW_START_S:
            yield f"{combination.words()}: its first iteration takes {duration(reached.first_s)}"


def why_none(found: Mapping[Combination, Outcome], rows: Sequence[str]) -> str:
    """Why no combination is named.

    Args:
        found: What was measured, as the experiment has it first.
        rows: Those that were measured otherwise, too.
    """
    first, *others = found.values()
    if not rows or any(isinstance(first[row], str) for row in rows):
        return "There is nothing to compare with: training fails as the experiment has it."
    if not others:
        return "Nothing else was to be tried."
    return "Nothing that was tried is faster: no difference is seen."


def best_lines(head: str, best: Best, command: str) -> Iterator[str]:
    """What is best, how a sweep is told of it, and what it does to results."""
    yield (
        f"{head}: {best.combination.words()}: {best.gain.mean:.2f} times the images a second "
        f"({best.gain.low:.2f}–{best.gain.high:.2f})"
    )
    yield f"  {command}"
    yield from (f"  {remark}" for remark in remarks(best.combination.choices))


def remarks(choices: Sequence[Choice]) -> Iterator[str]:
    """What choices do to results, where they do anything, and what their speed rests on."""
    yield from (_RESTS[choice.name] for choice in choices if choice.name in _RESTS)
    for kind, text in _REMARKS.items():
        names = [choice.name for choice in choices if choice.kind is kind]
        if names and text:
            yield text.format(", ".join(names))
