"""What of this machine a process may use: its GPUs, its CPUs, its memory and the part of it that can be shared."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_MIB = 2**20
_GROUPS = Path("/proc/self/cgroup")
_LIMITS = Path("/sys/fs/cgroup")
_SHARED = Path("/dev/shm")


def visible_gpus() -> tuple[str, ...]:
    """Ids of the GPUs that this process may use, found without initialising CUDA."""
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    try:
        query = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
        done = subprocess.run(query, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    present = tuple(done.stdout.split())
    if allowed is None:
        return present
    # Entries may be UUIDs, which nvidia-smi numbers otherwise; CUDA ignores all after a -1.
    listed = [entry.strip() for entry in allowed.split(",") if entry.strip()]
    return tuple(listed[: listed.index("-1")] if "-1" in listed else listed) if present else ()


def cpu_count() -> int:
    """Number of CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Room:
    """Memory of a GPU or of the machine, or what of it can be shared, in MiB.

    Attributes:
        total_mib: All that there is.
        free_mib: What nobody uses now.
    """

    total_mib: int
    free_mib: int


def gpu_rooms() -> dict[str, Room]:
    """The memory of each GPU by its number and its UUID, found without initialising CUDA; of no part of one (MIG)."""
    asked = ["nvidia-smi", "--query-gpu=index,uuid,memory.total,memory.free"]
    try:
        query = [*asked, "--format=csv,noheader,nounits"]
        done = subprocess.run(query, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return {}
    found = {}
    for line in done.stdout.splitlines():
        index, uuid, *sizes = (field.strip() for field in line.split(","))
        with suppress(ValueError):  # "[N/A]" of memory that a GPU shares with the machine
            total, free = map(int, sizes)
            found[index] = found[uuid] = Room(total, free)
    return found


def memory_bytes() -> int:
    """Memory that this process may use: what its control group is held to, else all that the machine has."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([whole, *(limit for limit, _ in _limits())])


def memory_room() -> Room:
    """Memory that this process may use, and what of it is free, or taken by files that were read and can go."""
    free = _in_lines(Path("/proc/meminfo"), "MemAvailable:") * 1024
    left = (limit - _used(group) for limit, group in _limits())
    return Room(memory_bytes() // _MIB, max(0, min([free, *left])) // _MIB)


def shared_memory_room() -> Room | None:
    """Memory in which data loader workers hand over their batches (``/dev/shm``); None where it cannot be asked."""
    try:
        found = os.statvfs(_SHARED)
    except OSError:
        return None
    return Room(found.f_blocks * found.f_frsize // _MIB, found.f_bavail * found.f_frsize // _MIB)


def held_mib() -> int:
    """What this process and those that it has started hold in MiB, shared pages by their part (PSS)."""
    return sum(_in_lines(Path(f"/proc/{pid}/smaps_rollup"), "Pss:") for pid in _family()) // 1024


def _family() -> Iterator[str]:
    """Numbers of this process and its children, data-loader workers among them."""
    yield "self"
    for path in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):
            yield from path.read_text(encoding="utf-8").split()


def _in_lines(path: Path, name: str) -> int:
    """The number behind a name in a file of lines; 0 where there is none."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:  # the process has ended
        return 0
    found = (line.split() for line in lines if line.startswith(f"{name}"))
    return next((int(words[1]) for words in found if words[0] == name), 0)


def _limits() -> list[tuple[int, Path]]:
    """Limits of the control groups that hold this process, and their folders; none where there are none."""
    try:
        lines = _GROUPS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, kinds, name = line.split(":", 2)
        if kinds and "memory" not in kinds.split(","):
            continue
        root, file = ("memory", "memory.limit_in_bytes") if kinds else ("", "memory.max")
        group = _LIMITS / root / name.lstrip("/")
        # The topmost has a limit where a container sees its own group as that ("0::/").
        around = [one for one in (group, *group.parents) if one.is_relative_to(_LIMITS)]
        held_to = [(_number(one / file), one) for one in around]
        found += [(limit, one) for limit, one in held_to if limit is not None]
    return found


def _used(group: Path) -> int:
    """Bytes that a control group uses, without files that were read and can go."""
    used = _number(group / "memory.current") or _number(group / "memory.usage_in_bytes") or 0
    stat = group / "memory.stat"
    return used - _in_lines(stat, "inactive_file") - _in_lines(stat, "active_file")


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # no such limit, or "max"
        return None
