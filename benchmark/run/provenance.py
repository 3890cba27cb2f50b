"""Where a number comes from: commit, versions, device, hashes."""

from __future__ import annotations

import os
import platform
import socket
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmark.run.checkout import Checkout
from benchmark.run.record import Hashes, Provenance
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


def collect(
    spec: RunSpec, hashes: Hashes, checkout: Checkout | None, beside: int | None = None
) -> Provenance:
    """Everything that a number depends on and that is not in the config.

    Args:
        spec: What was asked.
        hashes: Of what was read.
        checkout: What the code and the config are from; None outside of one.
        beside: How many other runs have shared the device, as `benchmark.run.company` knows it.
    """
    return Provenance(
        git=checkout.state(spec.sources) if checkout else None,
        versions=versions(),
        device=device_name(),
        host=socket.gethostname(),
        threads=int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1),
        beside=beside,
        hashes=hashes,
        seed=spec.seed,
    )


@cache
def versions() -> Mapping[str, str | None]:
    """Versions of Python and of the packages that a result depends on; None for one that is missing.

    They are looked up once: a job has those that its forkserver has loaded.
    """
    return {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def device_name() -> str:
    """Name of the GPU, else of the CPU, as its vendor writes it."""
    import torch

    if torch.cuda.is_available():
        try:
            return str(torch.cuda.get_device_name(0))
        except RuntimeError:  # why the run failed, perhaps: its record must be written
            return "CUDA, which does not answer"
    return f"CPU: {_cpu_name()}"


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
