"""Times ``detboard report`` over many finished runs, and over a half and a quarter of them.

    python perf/report.py --rows 1000 --seeds 10 --repeat 3

The runs are those of ``perf/startup.py``, with what else a report reads: the draws of the bootstrap and the curves
of the training. All numbers in them are made up, from a seeded generator.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from evaluation import machine
from startup import entry_point, seconds_of, write_experiment, write_runs

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


def first(command: list[str], results: Path, repeat: int) -> list[float]:
    """Seconds of each report that finds nothing written yet."""
    seconds = []
    for _ in range(repeat):
        for path in results.glob(f"{NAME}*"):
            path.unlink()
        seconds.append(seconds_of(command))
    return seconds


def measure(folder: Path, data: Path, rows: int, options: argparse.Namespace) -> None:
    count, command = make(folder, data, rows, options.seeds)
    anew = first(command, folder / "results", options.repeat)
    again = [seconds_of(command) for _ in range(options.repeat)]
    for name, seconds in (("written", anew), ("up to date", again)):
        middle = statistics.median(seconds)
        spread = f"{min(seconds):.3f} to {max(seconds):.3f}"
        each = f"{1e3 * middle / count:8.3f} ms a record"
        print(f"{count:6} records, {name:10} {middle:8.3f} s  ({spread}) {each}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="detboard report over many finished runs")
    parser.add_argument("--rows", type=int, default=1000, help="of the largest; at least 4")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    if options.rows < 4 or min(options.seeds, options.repeat) < 1:
        parser.error("--rows: give a number from 4; --seeds and --repeat: from 1")
    print(f"median of {options.repeat}, and the range; {machine()}", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = synthesize(folder / "data", train=4, val=4, size=112)
        for part in (4, 2, 1):
            measure(folder, data, options.rows // part, options)


if __name__ == "__main__":
    main()
