"""What of this machine a process may use: its GPUs, its CPUs, its memory."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

_GROUPS = Path("/proc/self/cgroup")
_LIMITS = Path("/sys/fs/cgroup")


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


def memory_bytes() -> int:
    """Memory that this process may use: what its control group is held to, else all that the machine has."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([whole, *_limits()])


def _limits() -> list[int]:
    """Limits of the control groups that hold this process; none where there are none."""
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
        found += [_number(one / file) for one in (group, *group.parents) if _LIMITS in one.parents]
    return [limit for limit in found if limit is not None]


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # no such limit, or "max"
        return None
