"""Images a second of training and of inference, through ``detboard sweep``.

    python perf/throughput.py --rows r50_fpn_3x --profile full --iterations 100
    python perf/throughput.py --rows r50_fpn_3x --profile full --amp --slots 2
    python perf/throughput.py --rows r50_fpn_3x --profile smoke --iterations 6        (on a CPU)

Each row trains for some iterations on synthetic images and is evaluated once. With ``--amp`` that is
done again under mixed precision, with ``--slots 2`` again with two runs side by side, which share the
GPU (or the CPU's threads). The weights start at random: they do not change the speed of training;
of inference only in so far as a trained detector has more boxes to suppress.
"""

from __future__ import annotations

import argparse
import itertools
import re
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation import machine
from overhead import run, synthetic

from benchmark.config.config_file import load_config
from benchmark.experiment.experiment import load_experiment
from benchmark.files import read_jsonl
from benchmark.run.devices import visible_gpus
from benchmark.run.folder import RunFolder
from benchmark.run.plan import choose_rows
from benchmark.run.record import State

EXPERIMENT = Path(__file__).resolve().parents[1] / "experiments" / "leaderboard.yaml"

# mmengine's own line on a validation, with the mean seconds of a batch, loading included.
_VALIDATION = re.compile(r"\(val\).*\btime: ([0-9.]+)")


@dataclass(frozen=True)
class Speed:
    """What one run of several side by side reached.

    Attributes:
        train: Images a second of training, loading included.
        inference: Images a second of the validation, loading included, without the metric.
        loading: Part of a training iteration that waits for data, in 0..1.
        memory_gib: Peak memory of the process, of the GPU where there is one.
        device: Name of the device.
    """

    train: float
    inference: float
    loading: float
    memory_gib: float
    device: str


def overrides(options: argparse.Namespace, amp: bool) -> list[str]:
    """Options of ``detboard sweep`` that make a row train for a number of iterations, then stop."""
    count = options.iterations
    loop = {"type": "IterBasedTrainLoop", "max_iters": count, "val_interval": count}
    changed = {
        "train_cfg": {"_delete_": True, **loop},
        "default_hooks.logger.interval": max(1, count // 10),
        "+model.backbone.init_cfg": None,
    }
    if amp:
        changed["optim_wrapper.type"] = "AmpOptimWrapper"
    return [text for key, value in changed.items() for text in ("--set", f"{key}={value}")]


def measure(
    options: argparse.Namespace, data: Path, results: Path, row: str, amp: bool, slots: int
) -> list[Speed] | str:
    """Runs ``slots`` runs of a row side by side; the speed of each, or why one of them failed."""
    chosen = ["--rows", row, "--profile", options.profile, "--data-root", str(data)]
    seeds = ["--seeds", ",".join(map(str, range(slots)))]
    where = ["--results", str(results), "--slots", str(slots), "--wandb", "off"]
    sweep = [sys.executable, "-m", "benchmark", "sweep", str(options.experiment)]
    # A run that fails ends the sweep with status 1; its record says why.
    run([*sweep, *chosen, *seeds, *where, *overrides(options, amp)], fine=(0, 1))
    folders = [RunFolder(path) for path in sorted(results.glob("runs/*-s*"))]
    records = [folder.read_record() for folder in folders]
    failed = [record.failure for record in records if record.state is not State.COMPLETE]
    if failed:
        return f"{failed[0].kind.value}: {failed[0].message}"[:120] if failed[0] else "not complete"
    return [speed(folder) for folder in folders]


def speed(folder: RunFolder) -> Speed:
    """The speed of a finished run, from its journal and its log."""
    record, config = folder.read_record(), load_config(folder.config_file)
    points = [point for point in read_jsonl(folder.metrics_file) if point["kind"] == "train"]
    # The first is slower: memory is allocated, and kernels are chosen.
    steady = points[1:] or points
    iteration_s, loading_s = (
        statistics.median(point[key] for point in steady) for key in ("time", "data_time")
    )
    batch_s = [float(text) for text in _VALIDATION.findall(folder.log_file.read_text("utf-8"))]
    return Speed(
        train=config["train_dataloader"]["batch_size"] / iteration_s,
        inference=config["val_dataloader"]["batch_size"] / batch_s[-1],
        loading=loading_s / iteration_s,
        memory_gib=record.peak_memory_gib or 0.0,
        device=record.provenance.device or "",
    )


def line(name: str, found: Sequence[Speed] | str, base: Sequence[Speed] | str) -> str:
    """A row of the printed table: sums over the runs side by side, and their ratio to ``base``."""
    if isinstance(found, str):
        return f"{name:44} {found}"
    train, inference = _sum(found, "train"), _sum(found, "inference")
    text = f"{name:44} {train:9.2f} {inference:10.2f} {_sum(found, 'memory_gib'):8.2f}"
    text += f" {max(one.loading for one in found):8.0%}"
    if found is base or isinstance(base, str):
        return text
    return (
        f"{text}  x {train / _sum(base, 'train'):.2f}, x {inference / _sum(base, 'inference'):.2f}"
    )


def _sum(found: Sequence[Speed], field: str) -> float:
    return float(sum(getattr(one, field) for one in found))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="images a second of training and inference")
    parser.add_argument("--experiment", type=Path, default=EXPERIMENT)
    parser.add_argument("--rows", help="names, as in a,b; all rows by default")
    parser.add_argument("--profile", default="full", help="full has the published image sizes")
    parser.add_argument("--iterations", type=int, default=100)
    parser.add_argument("--images", type=int, default=64, help="in each of the two splits")
    parser.add_argument("--size", type=int, default=1024, help="longest side in pixels")
    parser.add_argument("--amp", action="store_true", help="FP32, then mixed precision (on a GPU)")
    parser.add_argument("--slots", type=int, default=1, help="one run, then so many side by side")
    options = parser.parse_args()
    if min(options.iterations, options.images, options.slots) < 1:
        parser.error("--iterations, --images and --slots: give a number from 1")
    gpus = visible_gpus()
    if options.amp and not gpus:
        parser.error("--amp: mmengine's AmpOptimWrapper needs a GPU, and none is visible")
    if len(gpus) > 1:
        parser.error("show one GPU only: CUDA_VISIBLE_DEVICES=0")
    return options


def settings(options: argparse.Namespace) -> list[tuple[str, bool, int]]:
    """Row, mixed precision or not, and slots of each measurement: the plainest of a row first."""
    names = options.rows.split(",") if options.rows else None
    rows = [row.name for row in choose_rows(load_experiment(options.experiment), names)]
    precisions = (False, True) if options.amp else (False,)
    return list(itertools.product(rows, precisions, sorted({1, options.slots})))


def main() -> None:
    options = parse()
    print(f"{options.profile} profile, {options.iterations} iterations; {machine()}")
    head: tuple[Any, ...] = ("row", "train", "inference", "GiB", "loading")
    print("images a second, and ratios to one FP32 run:")
    print("{:44} {:>9} {:>10} {:>8} {:>8}".format(*head), flush=True)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        data = synthetic(scratch / "data", options.images, options.images, options.size)
        devices = measure_all(options, data, scratch)
    print(f"device: {', '.join(sorted(devices)) or 'no run ended well'}")


def measure_all(options: argparse.Namespace, data: Path, scratch: Path) -> set[str]:
    """Measures and prints each setting; the names of the devices that were used."""
    base: dict[str, list[Speed] | str] = {}
    devices: set[str] = set()
    for number, (row, amp, slots) in enumerate(settings(options)):
        found = measure(options, data, scratch / f"results-{number}", row, amp, slots)
        name = f"{row}, {'AMP' if amp else 'FP32'}, {slots} at a time"
        print(line(name, found, base.setdefault(row, found)), flush=True)
        devices |= set() if isinstance(found, str) else {one.device for one in found}
    return devices


if __name__ == "__main__":
    main()
