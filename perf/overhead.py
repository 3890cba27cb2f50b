"""Times short runs through ``detboard sweep`` against one stock ``tools/train.py`` process each.

    python perf/overhead.py --runs 5

Both train the same configs (a tiny detector, a seed each) on the same synthetic images with the
same number of threads. Stock runs mmdet's own script; it evaluates with pycocotools and tracks
nothing, where ``detboard sweep`` tracks each run offline unless ``--wandb off`` is given.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from evaluation import machine

from benchmark.run.devices import cpu_count
from benchmark.run.folder import RunFolder
from benchmark.run.record import State

EXPERIMENT = Path(__file__).resolve().parents[1] / "tests" / "tiny" / "tiny.yaml"
ROW = "plain"


@dataclass(frozen=True)
class Step:
    """One run of the sweep, in seconds since the sweep's process was started.

    Attributes:
        prepared: When the driver had written ``spec.json``.
        recorded: When the job had written ``record.json``.
        work_s: Seconds from the start of training to the record, by the job's own clock.
    """

    prepared: float
    recorded: float
    work_s: float


def detboard(verb: str, *arguments: str) -> str:
    """Runs a command to its end; returns what it printed, and ends this script if it failed."""
    return run([sys.executable, "-m", "benchmark", verb, *arguments])


def run(command: Sequence[str], fine: Sequence[int] = (0,)) -> str:
    """Runs a command with all CPUs; a status that is not ``fine`` ends this script with its output."""
    # Without bytecode on disk, every process would compile all that it imports.
    unwanted = ("WANDB_MODE", "WANDB_DIR", "WANDB_API_KEY", "PYTHONDONTWRITEBYTECODE")
    own = {key: value for key, value in os.environ.items() if key not in unwanted}
    environment = {**own, "OMP_NUM_THREADS": str(cpu_count())}
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment
    )
    if done.returncode not in fine:
        sys.exit(f"{' '.join(command)}\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done.stdout


def synthetic(folder: Path, train: int, val: int, size: int) -> Path:
    """Draws a synthetic data set in ``folder``: numbers of images, longest side in pixels."""
    numbers = {"--train": train, "--val": val, "--size": size}
    options = [text for name, value in numbers.items() for text in (name, str(value))]
    detboard("data", "synthesize", str(folder), *options)
    return folder


def time_stock(data: Path, scratch: Path, seeds: Sequence[int]) -> list[float]:
    """Seconds of each stock process, from its start to its end."""
    return [_time_stock(data, scratch / f"stock-{seed}", seed) for seed in seeds]


def _time_stock(data: Path, work: Path, seed: int) -> float:
    import mmdet  # only here: it is slow to import, and all that is needed is its path

    script = Path(mmdet.__file__).parent / ".mim" / "tools" / "train.py"
    chosen = ["--rows", ROW, "--seeds", str(seed), "--data-root", str(data)]
    config = work.with_suffix(".py")
    text = detboard("config", str(EXPERIMENT), *chosen, "--results", str(work))
    config.write_text(text, encoding="utf-8")
    start = time.perf_counter()
    run([sys.executable, "-m", "benchmark.ops", str(script), str(config), "--work-dir", str(work)])
    return time.perf_counter() - start


def time_sweep(
    data: Path, results: Path, seeds: Sequence[int], wandb: str, launcher: str = "local"
) -> list[Step | float]:
    """The sweep's runs in the order in which they ended, then the seconds of the whole process."""
    asked = ["--seeds", ",".join(map(str, seeds)), "--rows", ROW, "--data-root", str(data)]
    how = ["--results", str(results), "--launcher", launcher, "--slots", "1", "--wandb", wandb]
    # The files' times come from this clock, not from the monotonic one.
    start = time.time()
    detboard("sweep", str(EXPERIMENT), *asked, *how)
    total = time.time() - start
    folders = [RunFolder(path) for path in results.glob(f"runs/{ROW}-s*")]
    steps = sorted((_step(folder, start) for folder in folders), key=lambda step: step.recorded)
    if len(steps) != len(seeds):
        sys.exit(f"{len(steps)} runs in {results}; {len(seeds)} were asked for")
    return [*steps, total]


def _step(folder: RunFolder, start: float) -> Step:
    record = folder.read_record()
    if record.state is not State.COMPLETE:
        sys.exit(f"{record.run_id} is {record.state.value}: {record.failure}")
    prepared, recorded = (
        path.stat().st_mtime - start for path in (folder.spec_file, folder.record_file)
    )
    return Step(prepared, recorded, record.train_seconds)


def report(stock: Sequence[float], steps: Sequence[Step], total: float) -> None:
    """Prints the table."""
    per_run = statistics.median(stock)
    print(f"stock, median of {len(stock)}       {per_run:8.2f} s a run  ({_spread(stock)})")
    print(f"detboard, {len(steps)} runs         {total:8.2f} s  ({total / len(steps):.2f} a run)")
    print(f"  until the first record  {steps[0].recorded:8.2f} s")
    print(f"  after the last record   {total - steps[-1].recorded:8.2f} s")
    work = [step.work_s for step in steps]
    print(f"  work, median            {statistics.median(work):8.2f} s a run  ({_spread(work)})")
    _report_later(list(pairwise(steps)), per_run)
    stock_s = per_run * len(steps)
    print(
        f"stock / detboard, {len(steps)} runs {stock_s / total:8.2f}   ({stock_s:.1f} s / {total:.1f} s)"
    )


def _report_later(pairs: Sequence[tuple[Step, Step]], stock_s: float) -> None:
    """What a run after the first takes, and how much of that is not work."""
    if not pairs:
        return
    later = [after.recorded - before.recorded for before, after in pairs]
    between = [after.prepared - before.recorded for before, after in pairs]
    added = [after.recorded - before.recorded - after.work_s for before, after in pairs]
    print(f"  each later run, median  {statistics.median(later):8.2f} s  ({_spread(later)})")
    print(f"  overhead of that        {statistics.median(added):8.2f} s  ({_spread(added)})")
    print(f"    between two jobs      {statistics.median(between):8.2f} s  ({_spread(between)})")
    print(f"stock / later run         {stock_s / statistics.median(later):8.2f}")


def _spread(values: Sequence[float]) -> str:
    return f"{min(values):.2f} to {max(values):.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description="short runs, against stock tools/train.py")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--stock", type=int, help="runs that stock does as well; all by default")
    parser.add_argument("--wandb", choices=("off", "offline"), default="offline")
    options = parser.parse_args()
    if options.runs < 1 or (options.stock is not None and options.stock < 1):
        parser.error("--runs and --stock: give a number from 1")
    seeds = range(options.runs)
    print(f"{options.runs} runs, W&B {options.wandb}; {machine()}", flush=True)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        data = synthetic(scratch / "data", train=24, val=12, size=112)
        stock = time_stock(data, scratch, seeds[: options.stock])
        *steps, total = time_sweep(data, scratch / "results", seeds, options.wandb)
    report(stock, steps, total)


if __name__ == "__main__":
    main()
