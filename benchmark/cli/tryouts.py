"""Tries rows out and shows it: a line a row as it ends, then all that is wrong at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from benchmark.cli.counter import counting
from benchmark.errors import MachineError, UserError
from benchmark.process import OutputLost, say_ended

if TYPE_CHECKING:
    from benchmark.launchers import Launcher
    from benchmark.run.plan import Plan
    from benchmark.run.state import Planned
    from benchmark.sweep.tryouts import Result

_NOTHING = "no run was begun, and nothing is left of the try-outs"


def try_rows(made: Plan, runs: Sequence[Planned], launcher: Launcher, trust: bool) -> None:
    """Tries out a row of each of the runs that are not complete.

    Args:
        made: The plan that the runs are of.
        runs: Those that are to be made.
        launcher: Makes them; it is left open.
        trust: Whether weights that hold code are loaded, too.

    Raises:
        UserError: Rows fail; with a message for each of them.
        MachineError: The machine is at fault.
        typer.Exit: Ctrl-C.
    """
    from benchmark.run.record import State
    from benchmark.sweep.trying import folder_for_tryouts
    from benchmark.sweep.tryouts import TryOuts, objection, to_try

    chosen = to_try(runs)
    if not chosen:
        done = all(run.state is State.COMPLETE for run in runs)
        why = "every row is complete" if done else "no row that is to be made trains"
        typer.echo(f"{why}: there is nothing to try out")
        return
    found: list[Result] = []
    typer.echo(f"trying out {_rows(len(chosen))}: one training step, one prediction")
    try:
        with (
            folder_for_tryouts(chosen[0].folder.path.parent) as folder,
            counting(len(chosen), launcher.shares_terminal) as counter,
        ):
            silence_s = made.experiment.patience_min * 60
            for result in TryOuts(launcher, folder, trust, counter.say, silence_s).results(chosen):
                found.append(result)
                counter.say(f"[{len(found)}/{len(chosen)}] {_line(result)}")
                counter.done(len(found))
    except (KeyboardInterrupt, OutputLost):
        raise typer.Exit(say_ended(_NOTHING)) from None
    _conclude(found, [objection(made, one) for one in found if not (one.well or one.fault)])


def _conclude(found: Sequence[Result], wrong: list[str]) -> None:
    faults = [one for one in found if one.fault]
    if wrong:
        wrong += [f"row '{one.run.spec.row}': not tried: {one.fault}" for one in faults]
        sound = ",".join(one.run.spec.row for one in found if one.well)
        then = f"; '--rows {sound}' leaves out what fails" if sound else ""
        raise UserError(
            [*wrong, f"{_rows(len(wrong))} of {len(found)} would fail: {_NOTHING}{then}"]
        )
    if faults:
        name = faults[0].run.spec.row
        raise MachineError(f"row '{name}' could not be tried", faults[0].fault, _NOTHING)
    typer.echo(
        f"{_rows(len(found))}: a step is trained and evaluated. Whether a whole batch finds room, and what a row "
        "learns, only a run tells."
    )


def _rows(count: int) -> str:
    from benchmark.writing.words import counted

    return counted(count, "row")


def _line(result: Result) -> str:
    """A row's line: what it takes, or that it fails."""
    from benchmark.writing.words import duration, millions

    row, tried = result.run.spec.row, result.tried
    notes = "".join(f"\n    {note}" for note in tried.notes)
    if not result.well:
        return f"{row}: {'not tried' if result.fault else 'FAILS'} while {tried.step}{notes}"
    params = f"{millions(tried.params or 0)} M parameters"
    return f"{row}: ok, {duration(tried.seconds)}, {tried.peak_memory_gib:.2f} GiB, {params}{notes}"
