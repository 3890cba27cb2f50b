"""``detboard bench``: how fast rows train on this device, and with what faster."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.app import (
    FAILED,
    DataRoot,
    Experiment,
    Overrides,
    Profile,
    Rows,
    Trust,
    tell,
    warn,
)
from benchmark.process import OutputLost, say_ended

if TYPE_CHECKING:
    from benchmark.cli.counter import Counter
    from benchmark.run.plan import Plan, Request
    from benchmark.speed.choices import Combination, Machine
    from benchmark.speed.measuring import Stopwatch
    from benchmark.speed.rates import Outcome, Speed
    from benchmark.speed.search import Best, Search

Iterations = Annotated[
    int, typer.Option(min=2, help="Training iterations that are measured, each time.")
]

_NOTHING = "nothing is left of what was measured"


def bench(
    experiment: Experiment,
    profile: Profile = None,
    data_root: DataRoot = None,
    rows: Rows = None,
    set_: Overrides = None,
    iterations: Iterations = 20,
    trust: Trust = False,
) -> None:
    """Time each row's training on this device, as it is and with what may be faster; makes no run."""
    from benchmark.cli.options import request_of

    given = [("--profile", profile), ("--data-root", data_root), ("--rows", rows)]
    asked = [(option, str(value)) for option, value in given if value is not None]
    asked += [("--set", text) for text in set_ or ()]
    asked += [("--trust-checkpoints", "")] if trust else []
    with _scratch() as scratch:
        request = replace(
            request_of(experiment, profile, data_root, scratch, rows, None, set_), fold=0
        )
        made = _plan(request, trust)
        try:
            well = _bench(_Asked(made, request, iterations, trust, asked))
        except (KeyboardInterrupt, OutputLost):
            raise typer.Exit(say_ended(_NOTHING)) from None
    if not well:
        raise typer.Exit(FAILED)


@dataclass(frozen=True)
class _Asked:
    """What is measured.

    Attributes:
        made: One run of each row.
        request: What it was planned by; its results folder goes away.
        iterations: How many are measured each time.
        trust: Whether weights that hold code are loaded, too.
        options: Those that a sweep takes, too, and their values.
    """

    made: Plan
    request: Request
    iterations: int
    trust: bool
    options: Sequence[tuple[str, str]]

    @property
    def names(self) -> list[str]:
        """Of the rows."""
        return [row.name for row in self.made.rows]


@contextmanager
def _scratch() -> Iterator[Path]:
    """A folder for all that is made here, which goes away.

    Raises:
        MachineError: None can be made.
    """
    from benchmark.temporary import held_folder, usable_tmpdir

    warn(usable_tmpdir())
    with held_folder("detboard-bench-") as folder:
        yield folder


def _plan(request: Request, trust: bool) -> Plan:
    """One run of each row that is timed.

    Raises:
        UserError: Something stands in the way of one, or there is none.
    """
    from benchmark.launchers.local import LocalLauncher
    from benchmark.run.plan import make_plan
    from benchmark.speed.rows import timed_rows
    from benchmark.sweep.missing import obstacles

    made, left = timed_rows(make_plan(request))
    warn(left)
    tell(obstacles(made, LocalLauncher(), trust))
    return made


def _bench(asked: _Asked) -> bool:
    """Measures, and says what came of it; whether every row could be timed as the experiment has it."""
    from benchmark.cli.counter import counting
    from benchmark.speed.choices import Machine, values_of
    from benchmark.speed.measuring import Stopwatch, Timing
    from benchmark.speed.search import Search, most
    from benchmark.speed.words import why_none

    machine = Machine.this()
    values = values_of(machine, asked.made)
    _say_head(asked, most(values))
    with counting(most(values) * len(asked.names)) as counter:
        silence_s = asked.made.experiment.patience_min * 60
        cache = asked.made.experiment.cache
        timing = Timing(asked.request, cache, machine, asked.iterations, asked.trust, silence_s)
        shown = _Shown(Stopwatch(timing, counter.say), counter, most(values))
        search = Search(values, asked.names, shown.measure)
        best = search.run()
    _say_tables(search, asked.names, shown.watch)
    _say_best(best, machine, asked)
    if best == (None, None):
        typer.echo(why_none(search.found, search.rows))
    return len(search.rows) == len(asked.names)


def _say_head(asked: _Asked, most: int) -> None:
    from benchmark.speed.choices import given_whole
    from benchmark.writing.words import counted

    made = asked.made
    typer.echo(f"{made.experiment.title}: {made.profile} profile, {made.dataset.name}")
    typer.echo(
        f"{counted(len(asked.names), 'row')}, {asked.iterations} iterations each time, at most {most} times a row: "
        "no run is made"
    )
    for name, keys in given_whole(made).items():
        if keys:
            typer.echo(f"{name}: as --set {' and '.join(keys)} says; no other is tried")


@dataclass
class _Shown:
    """Measures, and shows it.

    Attributes:
        watch: Measures.
        counter: Shows lines.
        most: How many times each row is measured at most.
    """

    watch: Stopwatch
    counter: Counter
    most: int
    _done: int = 0
    _began: float = field(default_factory=time.monotonic)

    def measure(self, combination: Combination, rows: Sequence[str]) -> Outcome:
        """See `benchmark.speed.search.Measure`."""
        found = {}
        for row in rows:
            found[row] = self._of(combination, row)
        # As the experiment has it: all else takes about as long.
        if self._done == len(rows) and self.most > 1:
            self._say_how_long()
        return found

    def _of(self, combination: Combination, row: str) -> Speed | str:
        from benchmark.speed.words import line_of

        reached = self.watch.measure(combination, row)
        self._done += 1
        self.counter.say(f"[{self._done}] {line_of(combination, row, reached)}")
        self.counter.done(self._done)
        return reached

    def _say_how_long(self) -> None:
        from benchmark.writing.words import duration

        left = (time.monotonic() - self._began) * (self.most - 1)
        self.counter.say(f"about {duration(left)} to go, at most; longer where a model is compiled")


def _say_tables(search: Search, names: Sequence[str], watch: Stopwatch) -> None:
    from benchmark.speed.words import table_of_row, told_of
    from benchmark.writing.console import PlainConsole
    from benchmark.writing.terminal import show

    console = PlainConsole()
    for name in names:
        typer.echo("")
        if (table := table_of_row(name, search.found, console)) is not None:
            show(console, table)
        else:
            typer.echo(name)
        for line in (*told_of(name, search.found), *watch.notes.get(name, [])):
            typer.echo(f"  {line}")


def _say_best(best: tuple[Best | None, Best | None], machine: Machine, asked: _Asked) -> None:
    from benchmark.speed.words import best_lines

    heads = ("Best with the run ids as they are", "Best of all")
    lines = [
        line
        for head, one in zip(heads, best, strict=True)
        if one is not None
        for line in best_lines(head, one, _command(asked, one.combination.options(machine)))
    ]
    typer.echo("")
    for line in lines:
        typer.echo(line)


def _command(asked: _Asked, chosen: Sequence[tuple[str, str]]) -> str:
    """The command line of a sweep; what is chosen stands in the place of what was given."""
    options = {_key(option, value): (option, value) for option, value in (*asked.options, *chosen)}
    words = [word for pair in options.values() for word in pair if word]
    return shlex.join(["detboard", "sweep", str(asked.request.path), *words])


def _key(option: str, value: str) -> str:
    from benchmark.config.faster import is_faster
    from benchmark.config.overrides import key_path

    if option != "--set":
        return option
    key = value.partition("=")[0].strip()
    return f"--{key_path(key)}" if is_faster(key) else f"--set {key_path(key)}"
