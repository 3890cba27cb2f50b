"""Is this machine ready? Versions, native ops, GPUs, trackers, disk, and what to do about each problem."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.cli.app import FAILED, Results
from benchmark.errors import UserError
from benchmark.job import looks
from benchmark.launchers import LAUNCHERS
from benchmark.process import OutputLost, say_ended
from benchmark.run.finding import Finding

if TYPE_CHECKING:
    from rich.table import Table

    from benchmark.launchers import Launcher

# A run of ConvNeXt-large keeps three checkpoints of 2.5 GB each while it trains.
_ENOUGH_GIB = 10
_WAIT_MIN = 10


def findings() -> list[Finding]:
    """Looks at everything; a look that fails is a finding, not the end."""
    every: dict[str, looks.Look] = {
        "packages": looks.packages,
        "conflicts": looks.clashes,
        "mmcv ops": looks.native_ops,
        "GPU": looks.gpus,
        "compiler": looks.compilers,
        "/dev/shm": looks.shared_memory,
        "weights": _weights,
        "git": _git,
        "trackers": looks.trackers,
        "launchers": _launchers,
        "disk": _disk,
    }
    return [finding for name, look in every.items() for finding in looks.guarded(name, look)]


def _weights() -> Iterator[Finding]:
    """Those of the backbones, as their parts name them."""
    from benchmark.config.compose import config_roots
    from benchmark.config.config_file import load_config
    from benchmark.run.fetched import hub, to_fetch

    parts = [*config_roots(Path.cwd() / "experiments" / "any.yaml")[-1].glob("backbones/*.py")]
    absent = {part.stem: {text for _, text in to_fetch(load_config(part))} for part in parts}
    names = sorted(name for name, texts in absent.items() if texts)
    found = f"in {hub()}" if not names else f"not in {hub()}: those of {', '.join(names)}"
    remedy = "a sweep fetches them before it starts jobs; 'detboard weights EXPERIMENT --fetch' now"
    yield Finding("weights", found, remedy if names else "")


def _git() -> Iterator[Finding]:
    from benchmark.run.checkout import distrusted

    for sentence in distrusted(()):
        found, _, remedy = sentence.partition("; ")
        yield Finding("git", found, remedy, problem=True)


def _launchers() -> Iterator[Finding]:
    """Which ways to start jobs are open from here; that a cluster is not is no problem."""
    from benchmark.experiment.cluster import Cluster, on_site
    from benchmark.launchers import make_launcher

    try:
        asked = on_site(Cluster())
    except UserError as error:
        asked = None
        yield Finding("clusters", "; ".join(error.problems), "mend the file of the site", True)
    for name in LAUNCHERS:
        about = next(make_launcher(name, None, asked).about())
        yield Finding(f"--launcher {name}", about.found)


def _disk() -> Iterator[Finding]:
    free = shutil.disk_usage(Path.cwd()).free / looks.GIB
    short = free < _ENOUGH_GIB
    yield Finding("disk", f"{free:.0f} GiB free", "free some space" if short else "", problem=short)


def table(found: list[Finding]) -> Table:
    """The findings for a terminal: what to do stands below what was found, so that paths fit into 80 columns."""
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=None, pad_edge=False)
    drawn.add_column("what", no_wrap=True)
    drawn.add_column("found, and what to do", overflow="fold")
    for finding in found:
        drawn.add_row(finding.what, Text(finding.found, "bold red" if finding.problem else ""))
        if finding.remedy:
            drawn.add_row("", Text(f"to do: {finding.remedy}"))
    return drawn


def doctor(
    experiment: Annotated[
        Path | None,
        typer.Argument(metavar="[EXPERIMENT]", help="Whose 'cluster' says what the job asks for."),
    ] = None,
    launcher: Annotated[
        str | None,
        typer.Option("--launcher", help=f"Look at a node, in one job: {' or '.join(LAUNCHERS)}."),
    ] = None,
    results: Results = Path("results"),
    wait: Annotated[
        int, typer.Option(min=1, metavar="MINUTES", help="How long that job may be queued.")
    ] = _WAIT_MIN,
) -> None:
    """Show versions, native ops, GPUs, trackers and disk, here or on a node, and what to do about each problem."""
    from benchmark.writing.terminal import unbound_console

    if experiment is not None and launcher is None:
        raise UserError(
            f"{experiment}: is read for what its jobs ask of a cluster; add --launcher NAME"
        )
    found = findings() if launcher is None else _of_launcher(launcher, experiment, results, wait)
    unbound_console().print(table(found))
    if any(finding.problem for finding in found):
        raise typer.Exit(FAILED)


def _of_launcher(name: str, experiment: Path | None, results: Path, wait_min: int) -> list[Finding]:
    """What a launcher says of itself, and what one job of it sees where it runs."""
    from benchmark.experiment.cluster import Cluster
    from benchmark.experiment.experiment import load_experiment
    from benchmark.launchers import check_launcher, make_launcher

    check_launcher(name)
    asked = Cluster() if experiment is None else load_experiment(experiment).cluster
    launcher = make_launcher(name, 1, asked)
    about = list(launcher.about())
    if any(finding.problem for finding in about):
        return about
    return [*about, *_of_node(launcher, results, wait_min)]


def _of_node(launcher: Launcher, results: Path, wait_min: int) -> list[Finding]:
    from benchmark.sweep.nodes import look_at_node

    if problems := launcher.obstacles({"of the check": 1}):
        raise UserError(problems)
    typer.echo("one job looks at its node; Ctrl-C ends it")
    try:
        return look_at_node(launcher, results / "runs", typer.echo, wait_min * 60)
    except (KeyboardInterrupt, OutputLost):
        raise typer.Exit(say_ended("the job is ended, and nothing of it is left")) from None
    finally:
        launcher.close()
