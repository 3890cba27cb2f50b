"""Looks at the machine of this process: packages, native ops, GPUs, shared memory, and what to do about problems."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator

from benchmark.run.finding import Finding

GIB = 2**30
INSTALL = "install it: 'make setup' in a checkout, 'pip install' elsewhere"

Look = Callable[[], Iterable[Finding]]


def guarded(name: str, look: Look) -> list[Finding]:
    """What a look finds; one that fails is a finding, not the end."""
    try:
        return list(look())
    except Exception as error:
        return [Finding(name, f"{type(error).__name__}: {error}", INSTALL, True)]


def packages() -> Iterator[Finding]:
    """Versions of what a result depends on."""
    from benchmark.run.provenance import versions

    for name, version in versions().items():
        missing = Finding(name, "not installed", INSTALL, problem=True)
        yield Finding(name, version) if version else missing


def clashes() -> Iterator[Finding]:
    """Packages that do not go together."""
    from benchmark.run.conflicts import conflicts

    for conflict in conflicts():
        found, _, remedy = conflict.partition("; ")
        yield Finding("packages", found, remedy, problem=True)


def native_ops() -> Iterator[Finding]:
    """Where mmcv's operators come from."""
    from benchmark import ops

    ops.install()
    import mmcv.ops  # noqa: F401 - fails where the ops cannot be served

    origin = ops.origin()
    served = "" if origin == "compiled" else f": {', '.join(ops.kinds())}"
    yield Finding("mmcv ops", f"{origin}{served}")


def gpus() -> Iterator[Finding]:
    """The GPUs that torch sees, and why none where there are some."""
    import torch

    from benchmark.run.devices import cpu_count, visible_gpus

    named = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            properties = torch.cuda.get_device_properties(index)
            found = f"{properties.name}, {properties.total_memory / GIB:.0f} GiB"
            with torch.cuda.device(index):
                has_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
            slow = "" if has_bf16 else "bfloat16 is emulated: 'precision: amp' is faster than bf16"
            yield Finding(f"GPU {index}", found, slow)
    elif visible_gpus():
        remedy = f"the driver is too old for CUDA {torch.version.cuda}: update it"
        yield Finding("GPU", "seen by nvidia-smi, not by torch", remedy, problem=True)
    elif named and not named.startswith("-"):
        remedy = "look at nvidia-smi there; a container wants its own flag for GPUs"
        yield Finding("GPU", f"CUDA_VISIBLE_DEVICES={named}, and none is seen", remedy, True)
    else:
        remedy = "--profile smoke tries a leaderboard out in minutes; full trainings take days"
        yield Finding("GPU", f"none: runs use {cpu_count()} CPU threads", remedy)


def compilers() -> Iterator[Finding]:
    """What ``compile: true`` compiles with."""
    from benchmark.config.vocabulary.machine import NO_COMPILER, compiler

    found = compiler()
    yield Finding("compiler", found or "none", "" if found else f"compile: true {NO_COMPILER}")


def shared_memory() -> Iterator[Finding]:
    """The room that workers of loaders have for their batches."""
    from benchmark.run.devices import shared_memory_room

    if (found := shared_memory_room()) is not None:
        small = found.total_mib < 1024
        remedy = "batches of loader workers go through pipes too; docker run --shm-size=2g"
        room = f"{found.total_mib} MiB" if small else f"{found.total_mib / 1024:.1f} GiB"
        yield Finding("/dev/shm", room, remedy if small else "")


def reaches() -> dict[str, str]:
    """Where each tracker would show runs from here, in words, by its title."""
    from benchmark.tracking import TRACKERS, tracker_class

    return {tracker.title: tracker.reach() for tracker in map(tracker_class, TRACKERS)}


def trackers() -> Iterator[Finding]:
    """Where runs are shown, and what hinders that."""
    from benchmark.experiment.experiment import Tracking
    from benchmark.tracking import TRACKERS, tracker_class

    for name, tracker in ((name, tracker_class(name)) for name in TRACKERS):
        yield Finding(tracker.title, tracker.reach())
        for why in tracker.door(Tracking(name=name)).hindered:
            remedy = "mend or unset it; runs are tracked offline until then"
            yield Finding(tracker.title, why, remedy, problem=True)
