"""One side of `throughput.py`: a training that goes on for some iterations each time that it is told to.

    python perf/turns.py stock|ours RUN_FOLDER --iterations N --threads N [--profile]

It trains the run that lies prepared in the folder: as mmdet's ``tools/train.py`` does, or as a job of ours. Each line
on standard input is a turn; each turn is answered by a line of JSON. It never comes to an end by itself.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from benchmark import ops

ops.install()

from mmengine.config import Config  # noqa: E402  (operators first)
from mmengine.hooks import Hook  # noqa: E402
from mmengine.runner import Runner  # noqa: E402

from benchmark.experiment.experiment import Tracking  # noqa: E402
from benchmark.job.job import run_job  # noqa: E402
from benchmark.run.folder import RunFolder  # noqa: E402
from benchmark.run.options import JobOptions, Resources  # noqa: E402

_ANSWERS = os.fdopen(os.dup(1), "w")  # what the training prints goes elsewhere
_TOP = 12


class Parts:
    """Milliseconds of a training by what it does; what is within another part counts there alone."""

    def __init__(self) -> None:
        self.spent: Counter[str] = Counter()
        self._within: list[str] = ["other"]
        self._since = time.perf_counter()

    def _turn(self) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        now = time.perf_counter()
        self.spent[self._within[-1]] += now - self._since  # type: ignore[assignment]
        self._since = now

    @contextlib.contextmanager
    def within(self, name: str) -> Iterator[None]:
        """Counts for a part what is done within."""
        self._turn()
        self._within.append(name)
        try:
            yield
        finally:
            self._turn()
            self._within.pop()

    def watch(self, owner: Any, method: str, name: str) -> None:
        """Counts what an object's method takes, if it has one."""
        if (inner := getattr(owner, method, None)) is None:
            return

        def watched(*given: Any, **named: Any) -> Any:
            with self.within(name):
                return inner(*given, **named)

        object.__setattr__(owner, method, watched)

    def watch_all(self, runner: Runner) -> None:
        """Watches the parts of a detector, and what a step does beside its model."""
        model, loop = runner.model, runner.train_loop
        for name in ("data_preprocessor", "backbone", "neck"):
            self.watch(getattr(model, name, None), "forward", name)
        for _, module in model.named_modules():
            if hasattr(module, "loss_by_feat") or hasattr(module, "bbox_sampler"):
                self.watch(module, "forward", "head")
                self.watch(module, "loss_by_feat", "loss")
                for method in ("get_targets", "get_anchors"):
                    self.watch(module, method, "targets")
                for assigner in ("assigner", "bbox_assigner"):
                    self.watch(getattr(module, assigner, None), "assign", "assigner")
        self.watch(model, "parse_losses", "sum of losses")
        for method in ("backward", "step", "zero_grad"):
            self.watch(runner.optim_wrapper, method, "backward" if method == "backward" else "step")
        self.watch(runner, "call_hook", "hooks and log")
        self.watch(loop, "run_iter", "other")
        self._within = ["data"]

    def table(self, iterations: int) -> list[str]:
        """A line a part."""
        return [
            f"{name:20} {1000 * seconds / iterations:9.1f} ms"
            for name, seconds in self.spent.most_common()
        ]


class TurnHook(Hook):  # type: ignore[misc]
    """Waits for a word, trains so many iterations, and says what they took."""

    priority = "LOWEST"

    def __init__(self, iterations: int, profiles: bool) -> None:
        self._iterations, self._profiles = iterations, profiles
        self._done, self._start = 0, (0.0, 0.0)
        self._losses: list[torch.Tensor] = []
        self._parts = Parts()
        self._profiler: Any = None

    def before_train(self, runner: Runner) -> None:
        """Is ready when all is built."""
        if self._profiles:
            self._parts.watch_all(runner)
        self._wait({"ready": True})

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Ends a turn after its last iteration."""
        self._done += 1
        self._losses.append(outputs["loss"])
        if self._done % self._iterations:
            return
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        wall_s, cpu_s = (now - then for now, then in zip(_clocks(), self._start, strict=True))
        losses = [float(loss) for loss in self._losses]
        told = {"wall_s": wall_s, "cpu_s": cpu_s, "losses": losses, "gib": _peak_gib()}
        if self._profiles:
            told["profile"] = self._profile()
        self._losses.clear()
        self._wait(told)

    def _profile(self) -> list[str]:
        lines = self._parts.table(self._iterations)
        if self._profiler is not None:
            self._profiler.__exit__(None, None, None)
            averages = self._profiler.key_averages()
            lines += averages.table(sort_by=_SELF, row_limit=_TOP).splitlines()
        kinds = [torch.profiler.ProfilerActivity.CPU]
        kinds += [torch.profiler.ProfilerActivity.CUDA] if torch.cuda.is_available() else []
        self._profiler = torch.profiler.profile(activities=kinds)
        self._profiler.__enter__()
        return lines

    def _wait(self, told: dict[str, Any]) -> None:
        _ANSWERS.write(json.dumps(told) + "\n")
        _ANSWERS.flush()
        if not sys.stdin.readline():
            os._exit(0)  # a training has no other end
        self._parts.spent.clear()
        self._parts._since = time.perf_counter()
        self._start = _clocks()


_SELF = "self_cuda_time_total" if torch.cuda.is_available() else "self_cpu_time_total"


def _clocks() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _peak_gib() -> float:
    if torch.cuda.is_available():
        return float(torch.cuda.max_memory_allocated()) / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def _stock(folder: RunFolder) -> None:
    """What mmdet's ``tools/train.py`` does with the config."""
    config = Config.fromfile(str(folder.config_file))
    config.work_dir = str(folder.path / "stock")
    Runner.from_cfg(config).train()


def main() -> None:
    parser = argparse.ArgumentParser(description="one side of throughput.py")
    parser.add_argument("side", choices=("stock", "ours"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--iterations", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    os.dup2(2, 1)
    train: Callable[[Any], Any] = Runner.train

    def train_in_turns(runner: Any) -> Any:
        runner.register_hook(TurnHook(options.iterations, options.profile))
        return train(runner)

    Runner.train = train_in_turns
    gpus = ("0",) if torch.cuda.is_available() else ()
    if options.side == "stock":
        _stock(RunFolder(options.folder))
    else:
        resources = Resources(gpus=gpus, threads=options.threads)
        run_job(options.folder, JobOptions(Tracking(mode="off"), resources))
    sys.exit("the training has ended")


if __name__ == "__main__":
    main()
