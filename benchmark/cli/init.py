"""``detboard init``: a folder to start from, wherever DetBoard is installed."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from typing import Annotated

import typer

from benchmark.errors import UserError, few

_STARTER = Path(__file__).parent / "starter"
_FILES = {"gitignore": ".gitignore", "README.md": "README.md", "experiment.yaml": "experiment.yaml"}
_DATA = Path("data/synthetic")


def init(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A folder that is new, or has nothing in it.")
    ],
) -> None:
    """Make a folder of your own: an experiment that runs as it is, data to try it on, a README."""
    _refuse_what_is_there(folder)
    try:
        _fill(folder)
    except BaseException:
        _clear(folder)  # or the same command would be refused
        raise
    typer.echo(f"{folder}: {', '.join([*_FILES.values(), str(_DATA)])}")
    typer.echo(f"Go on with: cd {shlex.quote(str(folder))} && detboard sweep experiment.yaml")


def _refuse_what_is_there(folder: Path) -> None:
    way_out = "give a folder that is new, or has nothing in it"
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: is a file; {way_out}")
    if found := sorted(path.name for path in folder.glob("*")):
        raise UserError(f"{folder}: holds {few(found)} already; {way_out}")


def _fill(folder: Path) -> None:
    """The experiment comes last: a folder that a kill left without it is refused the next time, and says why."""
    from benchmark.data.synthesize import synthesize
    from benchmark.files import write_text

    synthesize(folder / _DATA)
    for name, written in _FILES.items():
        write_text(folder / written, (_STARTER / name).read_text(encoding="utf-8"))


def _clear(folder: Path) -> None:
    shutil.rmtree(folder / _DATA.parts[0], ignore_errors=True)
    for name in _FILES.values():
        (folder / name).unlink(missing_ok=True)
