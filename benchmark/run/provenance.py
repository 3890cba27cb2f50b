"""Where a number comes from: commit, versions, device, hashes."""

from __future__ import annotations

import os
import platform
import socket
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmark.run.record import GitState, Hashes, Provenance
from benchmark.run.spec import RunSpec

PACKAGES = (
    "detboard",
    "torch",
    "torchvision",
    "onedl-mmcv",
    "onedl-mmdetection",
    "onedl-mmengine",
    "onedl-mmpretrain",
    "hotcoco",
    "numpy",
    "wandb",
)


def collect(spec: RunSpec, hashes: Hashes) -> Provenance:
    """Everything that a number depends on and that is not in the config; ``hashes`` are of what was read."""
    return Provenance(
        git=git_state(Path(__file__).parent),
        versions=versions(),
        device=device_name(),
        host=socket.gethostname(),
        threads=int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1),
        hashes=hashes,
        seed=spec.seed,
    )


def versions() -> dict[str, str | None]:
    """Versions of Python and of the packages that a result depends on; None for one that is missing."""
    return {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def git_state(folder: Path) -> GitState | None:
    """Commit and dirty flag of the checkout that holds ``folder``; None outside one or without git."""
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    # Only files that git tracks: results and data that lie about do not change what ran.
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no", "--", ":!/results")
    return GitState(commit, dirty=bool(changed))


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def device_name() -> str:
    """Name of the GPU, else of the CPU, as its vendor writes it."""
    import torch

    if torch.cuda.is_available():
        return str(torch.cuda.get_device_name(0))
    return f"CPU: {_cpu_name()}"


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
