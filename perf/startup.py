"""Times the command line: ``detboard --help``, and a sweep of finished runs with nothing to do.

    python perf/startup.py --rows 100 --seeds 10 --repeat 7

The runs are folders that the project's own functions write, each with ``spec.json``, ``config.py``
and ``record.json``, over rows that all differ. Their records hold made-up numbers: nothing is
trained, and they live in a temporary folder only.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from evaluation import machine, processor

from benchmark.config.compose import config_roots
from benchmark.data.synthesize import synthesize
from benchmark.experiment.rows.base import part_names
from benchmark.experiment.rows.parts import PART_KINDS
from benchmark.run.checkout import read_checkout
from benchmark.run.journal import now
from benchmark.run.plan import Request, make_plan
from benchmark.run.prepare import prepare
from benchmark.run.provenance import versions
from benchmark.run.record import Hashes, Metrics, Provenance, RunRecord, State, Tracked
from benchmark.run.state import Planned


def write_experiment(path: Path, rows: int, seeds: int) -> Path:
    """Rows of the shipped parts, over and over in new combinations, each with a rate of its own."""
    roots = config_roots(path)
    combinations = itertools.product(*(part_names(kind, roots) for kind in PART_KINDS))
    chosen = itertools.islice(itertools.cycle(combinations), rows)
    listed = [
        {
            "name": f"row{number}",
            "parts": dict(zip(PART_KINDS, parts, strict=True)),
            "set": {"optim_wrapper.optimizer.lr": (number + 1) * 1e-4},
        }
        for number, parts in enumerate(chosen)
    ]
    content = {"name": "many", "title": "Many runs", "seeds": list(range(seeds)), "rows": listed}
    path.write_text(json.dumps(content), encoding="utf-8")  # JSON is YAML, too
    return path


def write_runs(request: Request) -> int:
    """Writes the folder of every run of an experiment that is not there as a finished run leaves it; their number."""
    runs = make_plan(request).runs
    provenance = _provenance()
    for run in (run for run in runs if run.record is None):
        prepare(run)
        run.folder.write_record(_record(run, provenance))
    return len(runs)


def _provenance() -> Provenance:
    """As long as a real one, without the import of torch that naming the device takes."""
    checkout = read_checkout([], Path("results"))
    return Provenance(
        git=checkout.state([]) if checkout else None,
        versions=versions(),
        device=processor(),
        host="none",
        threads=1,
        hashes=Hashes("0" * 64, "0" * 64, "0" * 64),
        seed=0,
    )


def _record(run: Planned, provenance: Provenance) -> RunRecord:
    value = {"mAP50": 0.5, "mAP": 0.25}
    sizes = dict.fromkeys(("mAP75", "mAP_s", "mAP_m", "mAP_l"), 0.25)
    return RunRecord(
        run_id=run.spec.run_id,
        row=run.spec.row,
        seed=run.spec.seed,
        profile=run.spec.profile,
        state=State.COMPLETE,
        metrics=Metrics({**value, **sizes}, dict.fromkeys(run.spec.dataset.classes, value)),
        no_predictions=False,
        params=1_000_000,
        train_seconds=1.0,
        peak_memory_gib=1.0,
        started_at=now(),
        finished_at=now(),
        provenance=provenance,
        tracking=Tracked("wandb", "off"),
    )


def timed(command: Sequence[str], repeat: int) -> list[float]:
    """Seconds of each of ``repeat`` processes, after one that is not counted."""
    return [seconds_of(command) for _ in range(repeat + 1)][1:]


def seconds_of(command: Sequence[str]) -> float:
    # The process that is not counted leaves bytecode on disk, as an install with pip does.
    own = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=own, timeout=120
    )
    seconds = time.perf_counter() - start
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return seconds


def entry_point() -> list[str]:
    """The installed ``detboard``, which is what a user types; the module where it is not installed."""
    script = Path(sys.executable).parent / "detboard"
    return [str(script)] if script.exists() else [sys.executable, "-m", "benchmark"]


def time_sweep(folder: Path, rows: int, seeds: int, repeat: int) -> tuple[int, list[float]]:
    """Number of finished runs, and the seconds of sweeps over them."""
    data = synthesize(folder / "data", train=4, val=4, size=112)
    experiment = write_experiment(folder / "many.yaml", rows, seeds)
    request = Request(path=experiment, results=folder / "results", data_root=data)
    count = write_runs(request)
    options = ["--data-root", str(data), "--results", str(request.results)]
    # The run that is not counted writes the table; those after it have nothing to do at all.
    return count, timed([*entry_point(), "sweep", str(experiment), *options], repeat)


def main() -> None:
    parser = argparse.ArgumentParser(description="the command line's start, and an idle sweep")
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--repeat", type=int, default=7)
    options = parser.parse_args()
    if min(options.rows, options.seeds, options.repeat) < 1:
        parser.error("--rows, --seeds and --repeat: give a number from 1")
    print(f"median of {options.repeat}, and the range; {machine()}", flush=True)
    empty = timed([sys.executable, "-c", "pass"], options.repeat)
    report("python -c pass", empty, empty)
    report("detboard --help", timed([*entry_point(), "--help"], options.repeat), empty)
    with tempfile.TemporaryDirectory() as name:
        sizes = options.rows, options.seeds, options.repeat
        count, seconds = time_sweep(Path(name), *sizes)
    report(f"sweep, {count} finished runs", seconds, empty)


def report(name: str, seconds: Sequence[float], empty: Sequence[float]) -> None:
    middle = statistics.median(seconds)
    ratio = middle / statistics.median(empty)
    spread = f"{min(seconds):.3f} to {max(seconds):.3f}"
    print(f"{name:28} {middle:7.3f} s  ({spread})  {ratio:6.1f} x an empty python", flush=True)


if __name__ == "__main__":
    main()
