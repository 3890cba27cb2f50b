"""The command line: the options that commands share, and its end.

Each command is a file of its own beside this one, and imports what it needs where it needs it, so that ``--help``
is quick.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.errors import MachineError, UserError, fault_of, remedy
from benchmark.home import own_home
from benchmark.launchers import AUTO, LAUNCHERS
from benchmark.start import own_modules_first
from benchmark.writing.plain_stream import print_plainly

if TYPE_CHECKING:
    from benchmark.data.findings import Findings

app = typer.Typer(
    name="detboard",
    help="Regenerates a detection leaderboard: trains, tracks and tabulates every row with mmdet.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Experiment = Annotated[
    Path, typer.Argument(metavar="EXPERIMENT", help="The experiment file (YAML).")
]
Results = Annotated[Path, typer.Option(help="Folder of runs and tables.")]
Profile = Annotated[
    str | None, typer.Option(help="How much is done: full, smoke, or a profile of your own.")
]
DataRoot = Annotated[
    Path | None,
    typer.Option(help="Folder with train.json and val.json, in place of the experiment's data."),
]
Rows = Annotated[str | None, typer.Option(metavar="A,B", help="Only these rows.")]
Seeds = Annotated[
    str | None, typer.Option(metavar="0,1,2", help="Seeds in place of the experiment's.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY.PATH=VALUE",
        help="Change a key of every row's config; +KEY.PATH adds one.",
    ),
]
Precision = Annotated[
    str | None,
    typer.Option(
        metavar="fp32|amp|bf16",
        help="What all rows are trained in, in place of what they say: float32, or float16 (amp) or bfloat16.",
    ),
]
Compile = Annotated[
    bool | None,
    typer.Option(
        "--compile/--no-compile",
        help="Whether the models of all rows are compiled, in place of what they say.",
    ),
]


def _slots(text: str) -> int:
    """A whole number from 1, or ``auto``, which is `benchmark.launchers.AUTO`."""
    if text.strip() == "auto":
        return AUTO
    if not text.strip().isdecimal() or int(text) < 1:
        raise typer.BadParameter(f"{text}: give a whole number from 1, or auto")
    return int(text)


Slots = Annotated[
    int | None,
    typer.Option(
        parser=_slots,
        metavar="N|auto",
        help="Runs side by side; one a GPU, or one without GPUs, unless given. "
        "auto: as many as find memory.",
    ),
]
LauncherName = Annotated[
    str, typer.Option("--launcher", help=f"How jobs are started: {' or '.join(LAUNCHERS)}.")
]
Wandb = Annotated[
    str | None, typer.Option(help="auto, online, offline or off, in place of the experiment's.")
]
Cache = Annotated[
    str | None,
    typer.Option(
        metavar="off|ram|disk",
        help="Keep decoded images: ram, disk or off, in place of the experiment's.",
    ),
]
Trust = Annotated[
    bool,
    typer.Option(
        "--trust-checkpoints",
        help="Load checkpoints that hold more than data, and run the code in them.",
    ),
]
Build = Annotated[
    bool,
    typer.Option("--build", help="Try out each row: build all, train a step, evaluate an image."),
]
Preflight = Annotated[
    bool,
    typer.Option("--preflight", help="Try out all rows first, and start nothing if one fails."),
]
Detach = Annotated[
    bool,
    typer.Option("--detach", help="Submit the jobs and leave them: the same command finds them."),
]
Retry = Annotated[
    str | None, typer.Option(metavar="failed", help="Run these again: failed, pruned, damaged.")
]

FAILED, WRONG_INPUT = 1, 2
CONTINUES = "the same command continues where it was"


def tell(found: Findings) -> None:
    """Shows the warnings of a check.

    Raises:
        UserError: It has found errors.
    """
    warn(found.warnings)
    if found.errors:
        raise UserError(found.errors)


def warn(sentences: Iterable[str]) -> None:
    """Shows what a user may want to mend."""
    for sentence in sentences:
        typer.echo(f"warning: {sentence}", err=True)


def refuse_empty(arguments: Sequence[str]) -> None:
    """Refuses options and arguments that are empty: those of a script whose variable is not set.

    Raises:
        UserError: With each of them.
    """
    problems = []
    for before, text in zip(["", *arguments], arguments, strict=False):
        option, _, value = text.partition("=")
        named = option.startswith("--") and option != text
        if value.strip() if named else text.strip():
            continue
        after = before if before.startswith("-") and "=" not in before else "an argument"
        problems.append(f"{option if named else after}: is empty; give a value, or leave it out")
    if problems:
        raise UserError(problems)


def refuse_lost_folder() -> None:
    """Refuses to start in a folder that was removed: torch cannot be loaded there, and results have no place.

    Raises:
        UserError: The current folder is gone.
    """
    try:
        Path.cwd()
    except FileNotFoundError:
        raise UserError(
            "the current folder was removed; change to one that is there ('cd .', if it was made again)"
        ) from None


def main() -> None:
    """Entry point of ``detboard``: what is wrong is said in a line, never in a traceback.

    Wrong input ends with status 2, what the machine or a file system says with 1.
    """
    print_plainly()
    try:
        refuse_lost_folder()
        refuse_empty(sys.argv[1:])
        warn([*own_modules_first(), *own_home()])
        app()
    except UserError as error:
        for problem in error.problems:
            typer.echo(f"error: {problem}", err=True)
        sys.exit(WRONG_INPUT)
    except Exception as error:
        said = _said_by_machine(error)
        if said is None:
            raise
        typer.echo(f"error: {said}", err=True)
        sys.exit(FAILED)


def _said_by_machine(error: Exception) -> MachineError | None:
    """What the machine says is wrong; None of an error of this program's own."""
    if isinstance(error, MachineError):
        return error
    then = "finished runs stay as they are: {}, and give the same command again"
    found = fault_of(error) or error
    if isinstance(found, OSError):
        name = found.filename
        what = f"{name}: cannot be read or written" if name else "input or output fails"
        return MachineError(what, found, then.format(remedy(found)))
    if isinstance(error, MemoryError):
        return MachineError("out of memory", error, then.format("free some"))
    return None
