"""Is this machine ready? Versions, native ops, GPUs, trackers, disk, and what to do about each problem."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from benchmark.cli.app import FAILED

if TYPE_CHECKING:
    from rich.table import Table

_GIB = 2**30
# A run of ConvNeXt-large keeps three checkpoints of 2.5 GB each while it trains.
_ENOUGH_GIB = 10
_INSTALL = "install it: 'make setup' in a checkout, 'pip install' elsewhere"


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        what: What was looked at.
        found: What is there.
        remedy: What to do about it; empty where all is well.
        problem: Whether runs would fail, or not be tracked as they could be.
    """

    what: str
    found: str
    remedy: str = ""
    problem: bool = False


def findings() -> list[Finding]:
    """Looks at everything; a look that fails is a finding, not the end."""
    looks = (_packages, _conflicts, _ops, _gpus, _shared_memory, _weights, _git, _trackers, _disk)
    return [finding for look in looks for finding in _guarded(look)]


def _guarded(look: Callable[[], Iterator[Finding]]) -> list[Finding]:
    try:
        return list(look())
    except Exception as error:
        name = look.__name__.strip("_")
        return [Finding(name, f"{type(error).__name__}: {error}", _INSTALL, True)]


def _packages() -> Iterator[Finding]:
    from benchmark.run.provenance import versions

    for name, version in versions().items():
        missing = Finding(name, "not installed", _INSTALL, problem=True)
        yield Finding(name, version) if version else missing


def _conflicts() -> Iterator[Finding]:
    from benchmark.run.conflicts import conflicts

    for conflict in conflicts():
        found, _, remedy = conflict.partition("; ")
        yield Finding("packages", found, remedy, problem=True)


def _ops() -> Iterator[Finding]:
    from benchmark import ops

    ops.install()
    import mmcv.ops  # noqa: F401 - fails where the ops cannot be served

    origin = ops.origin()
    served = "" if origin == "compiled" else f": {', '.join(ops.kinds())}"
    yield Finding("mmcv ops", f"{origin}{served}")


def _gpus() -> Iterator[Finding]:
    import torch

    from benchmark.launchers.machine import cpu_count, visible_gpus

    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            properties = torch.cuda.get_device_properties(index)
            yield Finding(
                f"GPU {index}", f"{properties.name}, {properties.total_memory / _GIB:.0f} GiB"
            )
    elif visible_gpus():
        remedy = f"the driver is too old for CUDA {torch.version.cuda}: update it"
        yield Finding("GPU", "seen by nvidia-smi, not by torch", remedy, problem=True)
    else:
        remedy = "--profile smoke tries a leaderboard out in minutes; full trainings take days"
        yield Finding("GPU", f"none: runs use {cpu_count()} CPU threads", remedy)


def _shared_memory() -> Iterator[Finding]:
    from benchmark.run.shared_memory import room

    if (found := room()) is not None:
        small = found.total < _GIB
        remedy = "batches of loader workers go through pipes too; docker run --shm-size=2g"
        yield Finding("/dev/shm", f"{found.total >> 20} MiB", remedy if small else "")


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


def _trackers() -> Iterator[Finding]:
    from benchmark.experiment.experiment import Tracking
    from benchmark.tracking import TRACKERS, tracker_class

    for name, tracker in ((name, tracker_class(name)) for name in TRACKERS):
        yield Finding(tracker.title, tracker.reach())
        for why in tracker.door(Tracking(name=name)).hindered:
            remedy = "mend or unset it; runs are tracked offline until then"
            yield Finding(tracker.title, why, remedy, problem=True)


def _disk() -> Iterator[Finding]:
    free = shutil.disk_usage(Path.cwd()).free / _GIB
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


def doctor() -> None:
    """Show versions, native ops, GPUs, trackers and disk, and what to do about each problem."""
    from benchmark.writing.terminal import unbound_console

    found = findings()
    unbound_console().print(table(found))
    if any(finding.problem for finding in found):
        raise typer.Exit(FAILED)
