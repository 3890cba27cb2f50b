"""Times ``detboard report`` and ``plan`` over many finished runs, and over a half and a quarter of them.

    python perf/report.py --rows 1000 --seeds 10 --repeat 3
    python perf/report.py --rows 5000 --seeds 1 --parts 1
    python perf/report.py --rows 2000 --seeds 10 --parts 1

The runs are those of ``perf/startup.py``, with what else a report reads: the draws of the bootstrap and the curves
of the training. All numbers in them are made up, from a seeded generator.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from evaluation import machine
from startup import entry_point, write_experiment, write_runs

from benchmark.data.synthesize import synthesize
from benchmark.run.folder import RunFolder
from benchmark.run.plan import Request
from benchmark.run.record import RunRecord
from benchmark.statistics import RESAMPLES
from benchmark.statistics.draws import write_draws

EPOCHS = 12  # of the 1x schedule
NAME = "many"  # of the experiment


def fill(folder: RunFolder, random: np.random.Generator) -> None:
    """Gives a finished run numbers of its own, and the files that a sweep's job leaves beside its record."""
    map50 = float(random.uniform(0.2, 0.6))
    record = folder.read_record().to_json()
    costs: dict[str, Any] = {
        "flops": {"value": int(random.uniform(5e10, 5e11)), "input": [3, 800, 1216]},
        "latency_ms": {"median": 40 * map50, "p95": 50 * map50, "images": 50, "device": "none"},
        "tide": dict.fromkeys(("Cls", "Loc", "Both", "Dupe", "Bkg", "Miss"), map50 / 10),
        "train_seconds": float(random.uniform(1e3, 1e5)),
        "val_images": {"count": 5000, "sha256": "0" * 64},
    }
    metrics = {**record["metrics"], "mAP50": map50, "mAP": map50 / 2}
    folder.write_record(RunRecord.from_json({**record, "metrics": metrics, **costs}))
    write_draws(folder.bootstrap_file, map50 + random.normal(0, 0.01, RESAMPLES))
    curve = map50 * (1 - np.exp(-np.arange(1, EPOCHS + 1) / 4))
    lines = [point for k, value in enumerate(curve.tolist()) for point in points(k + 1, value)]
    folder.metrics_file.write_text("\n".join(map(json.dumps, lines)) + "\n", encoding="utf-8")


def points(epoch: int, map50: float) -> list[dict[str, Any]]:
    """The lines of ``metrics.jsonl`` of one epoch: twenty training steps and a validation."""
    steps = [
        {"kind": "train", "iter": 20 * epoch + k, "epoch": epoch - 1 + k / 20, "loss": 2 / epoch}
        for k in range(20)
    ]
    val = {"mAP50": map50, "mAP": map50 / 2, "per_class": {}, "no_predictions": False}
    return [*steps, {"kind": "val", "iter": 20 * epoch, "epoch": float(epoch), **val}]


def make(folder: Path, data: Path, rows: int, seeds: int) -> tuple[int, list[str]]:
    """Makes the runs that are not there yet; the number of all, and the command that reports on them."""
    experiment = write_experiment(folder / f"{NAME}.yaml", rows, seeds)
    request = Request(path=experiment, results=folder / "results", data_root=data)
    count = write_runs(request)
    random = np.random.default_rng(rows)
    for path in sorted(request.results.glob("runs/*/record.json")):
        if not (run := RunFolder(path.parent)).bootstrap_file.exists():
            fill(run, random)
    return count, [*entry_point(), "report", str(experiment), "--results", str(request.results)]


@dataclass(frozen=True)
class Cost:
    """What a process took: seconds, those of a CPU, and the most memory that it held, in MiB."""

    seconds: float
    cpu_s: float
    peak_mib: float


def cost_of(command: list[str]) -> Cost:
    """Runs a command to its end; ends with what it said if it fails."""
    own = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()
    with subprocess.Popen(
        command, env=own, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdout is not None
        said = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)}\n{said.decode()}")
    seconds = time.perf_counter() - start
    return Cost(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def first(command: list[str], results: Path, repeat: int) -> list[Cost]:
    """The cost of each report that finds nothing written yet."""
    costs = []
    for _ in range(repeat):
        for path in results.glob(f"{NAME}*"):
            path.unlink()
        costs.append(cost_of(command))
    return costs


def measure(folder: Path, data: Path, rows: int, options: argparse.Namespace) -> None:
    count, command = make(folder, data, rows, options.seeds)
    time.sleep(2.5)  # what changed a moment ago is read each time
    at = command.index("report")
    planning = [*command[:at], "plan", *command[at + 1 :], "--data-root", str(data)]
    anew = first(command, folder / "results", options.repeat)
    again = [cost_of(command) for _ in range(options.repeat)]
    planned = [cost_of(planning) for _ in range(options.repeat)]
    for name, costs in (("written", anew), ("up to date", again), ("planned", planned)):
        seconds = [cost.seconds for cost in costs]
        middle = statistics.median(seconds)
        spread = f"{min(seconds):.3f} to {max(seconds):.3f}"
        each = f"{1e3 * middle / count:8.3f} ms a record"
        cpu, peak = statistics.median(c.cpu_s for c in costs), max(c.peak_mib for c in costs)
        more = f"CPU {cpu:6.2f} s, {peak:4.0f} MiB"
        print(
            f"{count:6} records, {name:10} {middle:8.3f} s  ({spread}) {each}, {more}", flush=True
        )


def main() -> None:
    parser = argparse.ArgumentParser(description="detboard report over many finished runs")
    parser.add_argument("--rows", type=int, default=1000, help="of the largest; at least 4")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--parts", type=int, nargs="+", default=[4, 2, 1], help="parts of the rows")
    options = parser.parse_args()
    if options.rows < 4 or min(options.seeds, options.repeat, *options.parts) < 1:
        parser.error("--rows: give a number from 4; --seeds and --repeat: from 1")
    print(f"median of {options.repeat}, and the range; {machine()}", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = synthesize(folder / "data", train=4, val=4, size=112)
        for part in options.parts:
            measure(folder, data, options.rows // part, options)


if __name__ == "__main__":
    main()
