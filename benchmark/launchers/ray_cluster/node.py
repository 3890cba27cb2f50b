"""What the task of a run does on its node: a process of the run's own, forked from one that has torch and mmdet loaded.

A worker of Ray's takes one task after the other. The server that forks runs is a child of the worker, and stays: the
second run of a worker has nothing to import. A run ends with its worker, however that ends.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType

from pydantic import TypeAdapter

from benchmark.launchers.child import Surroundings, from_json
from benchmark.launchers.local import LocalJob, LocalLauncher
from benchmark.launchers.mirror.node import run_mirrored
from benchmark.run.options import JobOptions

_POLL_S = 0.02
_SURROUNDINGS = TypeAdapter(Surroundings)


def run(folder: str, options: str, surroundings: str) -> int | None:
    """Runs the job at ``folder`` to its end, in a process of its own.

    Args:
        folder: The run's folder.
        options: As `benchmark.launchers.child.to_json` makes them.
        surroundings: A `benchmark.launchers.child.Surroundings`, as JSON.

    Returns:
        The exit status of that process, negative for a signal.
    """
    told, around = told_here(options, surroundings)
    if told.store:
        return run_mirrored(Path(folder).name, told, lambda path, own: _started(path, own, around))
    return see_to(_started(Path(folder), told, around))


def told_here(options: str, surroundings: str) -> tuple[JobOptions, Surroundings]:
    """What a job is told, and where its driver stands, with the GPUs that Ray has given to this task.

    Args:
        options: As `run` takes them.
        surroundings: The same.
    """
    given, told = gpus(), from_json(options)
    told = replace(told, resources=replace(told.resources, gpus=given))
    around = _SURROUNDINGS.validate_json(surroundings)
    if not given:  # else it would see all of the node's
        around = replace(around, variables={**around.variables, "CUDA_VISIBLE_DEVICES": ""})
    return told, around


def see_to(job: LocalJob) -> int | None:
    """Waits until a job has ended, and ends it where this task is cancelled; its exit status, negative for a signal."""
    try:
        while not job.ended():
            time.sleep(_POLL_S)
    except BaseException:  # cancelled
        job.kill()
        raise
    return job.status()


def _started(folder: Path, options: JobOptions, around: Surroundings) -> LocalJob:
    with _without_worker():
        return _launcher().start(folder, options, around)


def gpus() -> tuple[str, ...]:
    """Ids of the GPUs that Ray has given to this task, as ``CUDA_VISIBLE_DEVICES`` takes them."""
    import ray

    return tuple(map(str, ray.get_runtime_context().get_accelerator_ids().get("GPU", [])))


def surroundings_json(surroundings: Surroundings) -> str:
    """As `run` takes them."""
    return _SURROUNDINGS.dump_json(surroundings).decode()


@cache
def _launcher() -> LocalLauncher:
    """One a worker: what it has started goes on between runs."""
    return LocalLauncher()


@contextmanager
def _without_worker() -> Iterator[None]:
    """A process that is started inside takes over neither the worker's main module nor Ray's own copies of packages."""
    import ray

    main, path, rays = sys.modules["__main__"], list(sys.path), Path(ray.__file__).parent
    sys.modules["__main__"] = ModuleType("__main__")
    sys.path[:] = [entry for entry in path if not Path(entry).is_relative_to(rays)]
    try:
        yield
    finally:
        sys.modules["__main__"], sys.path[:] = main, path
