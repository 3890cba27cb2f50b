"""Images a second of training, stock mmdet's on the same device being 1; and where the milliseconds go.

    python perf/throughput.py                                       (RetinaNet R50 at 320 pixels; under 3 minutes)
    python perf/throughput.py --size 1333 --iterations 20           (on a GPU)
    python perf/throughput.py --experiment experiments/leaderboard.yaml --rows r50_fpn_3x --under full
    python perf/throughput.py --profile

Each side is a process that trains the same config on the same synthetic images, from random weights, and they take
turns: a host that grows slower does so for all of them. Stock does what mmdet's ``tools/train.py`` does, in float32.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from evaluation import machine
from overhead import synthetic

from benchmark.config.faster import as_options
from benchmark.experiment.experiment import load_experiment
from benchmark.run.devices import visible_gpus
from benchmark.run.plan import Request, choose_rows, make_plan
from benchmark.run.prepare import prepare

TURNS = Path(__file__).with_name("turns.py")
CONFIG = "mmdet::retinanet/retinanet_r50_fpn_1x_coco.py"
EPOCHS = 10_000  # never comes to an end
QUIET = {
    "train_cfg": {
        "_delete_": True,
        "type": "EpochBasedTrainLoop",
        "max_epochs": EPOCHS,
        "val_interval": EPOCHS,
    },
    "+default_hooks.checkpoint.interval": EPOCHS,
    "+default_hooks.checkpoint.by_epoch": True,
}
WAYS: dict[str, dict[str, Any]] = {
    "stock": {},
    "fp32": {"precision": "fp32"},
    "bf16": {"precision": "bf16"},
    "amp": {"precision": "amp"},
    "compile": {"compile": True},
    "bf16+compile": {"precision": "bf16", "compile": True},
    "amp+compile": {"precision": "amp", "compile": True},
}
ON_CPU, ON_GPU = (
    ("stock", "fp32", "bf16"),
    ("stock", "fp32", "amp", "bf16", "compile", "amp+compile"),
)


@dataclass
class Side:
    """Processes that train in turns, several side by side where they share a device.

    Attributes:
        name: What to call it.
        processes: They wait for their turn.
        batch: Images an iteration of each of them.
        log: What the first of them prints.
        turns: What each turn came to, a mapping a process.
    """

    name: str
    processes: list[subprocess.Popen[str]]
    batch: int
    log: Path
    turns: list[list[dict[str, Any]]] = field(default_factory=list)

    def answer(self) -> list[dict[str, Any]]:
        """What the processes say next.

        Raises:
            SystemExit: One of them has ended.
        """
        lines = [process.stdout.readline() for process in self.processes if process.stdout]
        if not all(lines):
            sys.exit(f"{self.name}: {self.log.read_text()[-3000:]}")
        return [json.loads(line) for line in lines]

    def go(self) -> None:
        """Has all processes take a turn at once."""
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        self.turns.append(self.answer())

    def losses(self) -> list[float]:
        """Of every iteration of the first process."""
        return [loss for turn in self.turns for loss in turn[0]["losses"]]

    def seconds(self, clock: str) -> list[float]:
        """Of each turn after the first, in which memory is allocated and what is compiled is compiled."""
        return [max(one[clock] for one in turn) for turn in self.turns[1:]]


def experiment_of(options: argparse.Namespace, scratch: Path) -> tuple[Path, str]:
    """The experiment and the profile that are timed: one detector at one size unless a file is given."""
    if options.experiment:
        return Path(options.experiment), str(options.under)
    limits = {"longest_side": options.size, "epochs": 1, "images": options.images, "val_images": 8}
    part = scratch / "configs" / "profiles" / "timed.py"
    part.parent.mkdir(parents=True)
    part.write_text(f"shrink = {dict(limits, pretrained=False)}\n")
    content = {
        "title": "timed",
        "profile": "timed",
        "rows": [{"name": "retinanet_r50", "config": CONFIG}],
    }
    path = scratch / "timed.yaml"
    path.write_text(yaml.safe_dump(content))
    return path, "timed"


def started(
    options: argparse.Namespace, row: str, name: str, where: tuple[Path, str, Path, Path]
) -> Side:
    """A side that is ready for its first turn."""
    experiment, profile, data, scratch = where
    way, _, times = name.partition(" x ")
    workers = (
        {}
        if options.workers is None
        else {
            "train_dataloader.num_workers": options.workers,
            "train_dataloader.persistent_workers": options.workers > 0,
        }
    )
    own = {**QUIET, **workers, **WAYS[way]}
    seeds = tuple(range(int(times or 1)))
    results = scratch / f"{row}-{name.replace(' ', '')}"
    request = Request(experiment, results, profile, data, (row,), seeds, own)
    runs = make_plan(request).runs
    for run in runs:
        prepare(run)
    folders = [run.folder.path for run in runs]
    side = "stock" if way == "stock" else "ours"
    processes = [_process(options, side, folder) for folder in folders]
    batch = runs[0].config["train_dataloader"]["batch_size"]
    made = Side(name, processes, batch, folders[0] / "turns.log")
    made.answer()
    return made


def _process(options: argparse.Namespace, side: str, folder: Path) -> subprocess.Popen[str]:
    asked = ["--iterations", str(options.iterations), "--threads", str(options.threads)]
    asked += ["--profile"] if options.profile else []
    environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads)}
    log = (folder / "turns.log").open("w")
    return subprocess.Popen(
        [sys.executable, str(TURNS), side, str(folder), *asked],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, env=environment,
    )  # fmt: skip


def time_row(options: argparse.Namespace, row: str, where: tuple[Path, str, Path, Path]) -> None:
    """Times the sides of a row in turns, and prints what they came to."""
    sides: list[Side] = []
    try:
        for name in options.sides:
            sides.append(started(options, row, name, where))
        for _ in range(options.turns + 1):
            for side in sides:
                side.go()
    finally:
        for side in sides:
            for process in side.processes:
                process.kill()
                process.wait()
    report(options, row, sides)


def report(options: argparse.Namespace, row: str, sides: Sequence[Side]) -> None:
    """Prints a line a side: images a second, their ratio to the first side's with its range over the turns."""
    clock = options.clock
    base = sides[0]
    print(f"\n{row}, batches of {base.batch}:")
    for side in sides:
        images = side.batch * options.iterations * len(side.processes)
        speed = images / statistics.median(side.seconds(clock))
        own = len(side.processes) * base.batch / side.batch
        ratios = [
            own * a / b for a, b in zip(base.seconds(clock), side.seconds(clock), strict=True)
        ]
        gib = sum(one["gib"] for one in side.turns[-1])
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        ratio = statistics.median(ratios)
        print(f"{side.name:14} {speed:8.2f} images/s  x {ratio:.2f} ({spread})  {gib:6.2f} GiB")
    for side in sides[1:]:
        apart, count = _apart(base, side), len(side.losses())
        print(
            f"{side.name}: losses of {count} iterations differ from {base.name}'s by {apart:.1e} of them"
        )
    if options.profile:
        for side in sides:
            print(f"\n{side.name}, an iteration:", *side.turns[-1][0]["profile"], sep="\n")


def _apart(base: Side, side: Side) -> float:
    """The largest relative difference of their losses, from the same weights and images."""
    pairs = zip(base.losses(), side.losses(), strict=True)
    return max(abs(a - b) / abs(a) for a, b in pairs)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="images a second of training, against stock mmdet")
    parser.add_argument("--experiment", type=Path, help="a file of yours, in place of a RetinaNet")
    parser.add_argument("--rows", help="names of its rows, as in a,b; all by default")
    parser.add_argument("--under", default="full", help="its profile")
    parser.add_argument(
        "--size", type=int, default=320, help="longest side of the RetinaNet's images"
    )
    parser.add_argument("--images", type=int, default=64, help="synthetic images to train on")
    parser.add_argument("--iterations", type=int, default=2, help="of a turn")
    parser.add_argument("--turns", type=int, default=4, help="after one that does not count")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, help="of the loaders; 0 on a CPU, else the config's")
    parser.add_argument("--sides", help=f"of {', '.join(WAYS)}; with ' x 2' two side by side")
    parser.add_argument("--profile", action="store_true", help="where the milliseconds go")
    options = parser.parse_args()
    if min(options.iterations, options.turns, options.threads, options.images) < 1:
        parser.error("--iterations, --turns, --threads and --images: give a number from 1")
    on_gpu = bool(visible_gpus())
    options.clock = "wall_s" if on_gpu else "cpu_s"
    if options.workers is None and not on_gpu:
        options.workers = 0
    names = options.sides.split(",") if options.sides else (ON_GPU if on_gpu else ON_CPU)
    options.sides = [name.strip() for name in names]
    if unknown := [name for name in options.sides if name.partition(" x ")[0] not in WAYS]:
        parser.error(f"--sides: {', '.join(unknown)}: of {', '.join(WAYS)}")
    if not on_gpu and any("amp" in name for name in options.sides):
        parser.error("--sides: amp needs a GPU, and none is visible")
    return options


def main() -> None:
    options = parse()
    clock = "on the clock" if options.clock == "wall_s" else "of CPU time"
    print(f"{machine()}; {options.threads} threads; seconds {clock}")
    for name in options.sides:
        if told := " ".join(as_options(WAYS[name.partition(" x ")[0]])):
            print(f"  {name}: {told}")
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        experiment, profile = experiment_of(options, scratch)
        data = synthetic(scratch / "data", options.images, 8, max(options.size, 112))
        names = options.rows.split(",") if options.rows else None
        for row in choose_rows(load_experiment(experiment), names):
            time_row(options, row.name, (experiment, profile, data, scratch))


if __name__ == "__main__":
    main()
