"""TPE with Hyperband against TPE and random search without pruning, for the same number of epochs.

    python perf/tuning.py --seeds 5 --epochs 90

All search the space of ``experiments/tune/small.yaml`` on the synthetic images, begin with the row's own
setting, and train for real. A trial counts while the epochs of all trials that had ended, its own included, are
within the budget. Each side's best trial is trained once more with a seed of its own, since the best of a search
is the highest of many noisy values, of more of them where trials are pruned.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import yaml
from evaluation import machine
from optuna.trial import FrozenTrial, TrialState
from overhead import detboard

from benchmark.data.synthesize import synthesize

STUDY = Path(__file__).resolve().parents[1] / "experiments" / "tune" / "small.yaml"
METHODS: dict[str, dict[str, Any]] = {
    "TPE, Hyperband": {},
    "TPE, no pruning": {"pruner": "NopPruner"},
    "random, no pruning": {"sampler": "RandomSampler", "pruner": "NopPruner"},
}
FULL = 9  # epochs of a trial that is not pruned, unless said otherwise
CHUNK = 6  # trials a command


@dataclass(frozen=True)
class Effort:
    """What a study may cost.

    Attributes:
        epochs: Budget of the study.
        full: Epochs of a trial that is not pruned.
        slots: Number of trials at a time.
    """

    epochs: float
    full: int
    slots: int

    @property
    def trials(self) -> int:
        """Number of trials a command: no more than the budget holds."""
        return min(CHUNK, math.ceil(self.epochs / self.full))

    @property
    def length(self) -> list[str]:
        """What a study sets beside its parameters; its runs' own overrides hold it, too."""
        return ["--set", f"train_cfg.max_epochs={self.full}"]


@dataclass(frozen=True)
class Search:
    """One study, cut at the budget.

    Attributes:
        best: Highest mAP50 of a complete trial after each that ended, with the epochs spent until then.
        again: mAP50 of the best trial's setting, trained with another seed.
        trials: Number of trials that ended within the budget.
        pruned: How many of them were pruned.
        spared: Share of the epochs of these trials, trained in full, that pruning spared.
        own: mAP50 of the row's own setting.
    """

    best: list[tuple[float, float]]
    again: float
    trials: int
    pruned: int
    spared: float
    own: float

    @property
    def final(self) -> float:
        """The best mAP50 within the budget."""
        return self.best[-1][1]

    def epochs_to(self, value: float) -> float | None:
        """Epochs until a complete trial was at least as good; None if none was within the budget."""
        return next((epochs for epochs, best in self.best if best >= value), None)


def search(folder: Path, data: Path, method: str, seed: int, effort: Effort) -> Search:
    """Runs one study until its budget is spent, and its best trial once more."""
    name = f"{method.lower().replace(', ', '-').replace(' ', '-')}-{seed}"
    content = {**yaml.safe_load(STUDY.read_text()), **METHODS[method], "name": name, "seed": seed}
    content["experiment"] = str((STUDY.parent / content["experiment"]).resolve())
    content["train_seed"] = 100 + seed
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump(content))
    results = folder / "results"
    common = ["--data-root", str(data), "--results", str(results), "--wandb", "off"]
    common += ["--slots", str(effort.slots)]
    found: list[FrozenTrial] = []
    while _epochs(found) < effort.epochs:
        detboard("tune", str(file), *common, *effort.length, "--trials", str(effort.trials))
        url = f"sqlite:///{results / 'studies.db'}"
        found = optuna.load_study(study_name=name, storage=url).get_trials()
    kept = _within(found, effort.epochs)
    return _told(kept, _again(kept, content, common, results))


def _within(trials: Sequence[FrozenTrial], epochs: float) -> list[FrozenTrial]:
    kept: list[FrozenTrial] = []
    for trial in sorted(trials, key=lambda trial: trial.datetime_complete):
        if _epochs([*kept, trial]) > epochs + 1e-6:
            break
        kept.append(trial)
    return kept


def _epochs(trials: Sequence[FrozenTrial]) -> float:
    return sum(float(trial.user_attrs.get("epochs", 0)) for trial in trials)


def _complete(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    return [trial for trial in trials if trial.state is TrialState.COMPLETE]


def _again(
    kept: Sequence[FrozenTrial], content: dict[str, Any], common: list[str], results: Path
) -> float:
    """Trains the best trial's setting, as its run's own overrides say it, with another seed."""
    best = max(_complete(kept), key=lambda trial: trial.value)
    spec = json.loads((results / "runs" / best.user_attrs["run_id"] / "spec.json").read_text())
    changes = [
        part for key, value in spec["overrides"].items() for part in ("--set", f"{key}={value}")
    ]
    seed = str(content["train_seed"] + 1000)
    row = ["--rows", content["row"], "--seeds", seed]
    detboard("sweep", content["experiment"], *common, *row, *changes)
    (record,) = results.glob(f"runs/{content['row']}-s{seed}-*/record.json")
    value = json.loads(record.read_text())["metrics"]["mAP50"]
    record.parent.rename(record.parent.with_name(f"done-{content['name']}"))
    return float(value)


def _told(kept: Sequence[FrozenTrial], again: float) -> Search:
    best = [
        (_epochs(kept[: end + 1]), max(trial.value for trial in done))
        for end in range(len(kept))
        if (done := _complete(kept[: end + 1]))
    ]
    own = next(trial.value for trial in kept if trial.user_attrs.get("published"))
    pruned = [trial for trial in kept if trial.state is TrialState.PRUNED]
    spared = sum(t.user_attrs["planned_epochs"] - t.user_attrs["epochs"] for t in pruned)
    return Search(best, again, len(kept), len(pruned), spared / (_epochs(kept) + spared), own)


def report(found: dict[str, list[Search]], epochs: float) -> None:
    """Prints each side's median and range, and what pruning saved at equal best value."""
    print(f"{'within ' + format(epochs, 'g') + ' epochs':30s} {'median':>8s}   range")
    for method, searches in found.items():
        _line(f"{method}: best mAP50", [s.final for s in searches])
        _line("  the same trained again", [s.again for s in searches])
        _line("  the row's own setting", [s.own for s in searches])
        _line("  trials", [s.trials for s in searches], 1)
        _line("  of which pruned", [s.pruned for s in searches], 1)
        _line("  epochs spared by that", [s.spared for s in searches])
    ours, *others = found.values()
    for name, theirs in zip(list(found)[1:], others, strict=True):
        pairs = [
            (one.epochs_to(other.final), other.epochs_to(other.final))
            for one, other in zip(ours, theirs, strict=True)
        ]
        saved = [1 - mine / its for mine, its in pairs if mine is not None and its is not None]
        print(f"best of ({name}) reached by TPE, Hyperband: {len(saved)} of {len(pairs)} seeds")
        if saved:
            _line("  epochs saved until there", saved)


def _line(name: str, values: Sequence[float], digits: int = 4) -> None:
    spread = f"{min(values):.{digits}f} to {max(values):.{digits}f}"
    print(f"{name:30s} {statistics.median(values):8.{digits}f}   {spread}")


def main() -> None:
    parser = argparse.ArgumentParser(description="TPE with Hyperband against less")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=float, default=90, help="budget of each study")
    parser.add_argument(
        "--full", type=int, default=FULL, help="epochs of a trial that is not pruned"
    )
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--size", type=int, help="longest side of the images in pixels")
    parser.add_argument("--train", type=int, help="number of training images")
    parser.add_argument("--val", type=int, help="number of validation images")
    options = parser.parse_args()
    if min(options.seeds, options.full, options.slots) < 1 or options.epochs < options.full:
        parser.error(
            "--seeds, --full and --slots: give a number from 1; --epochs: at least those of one trial"
        )
    print(f"{options.seeds} seeds, {options.slots} at a time; {machine()}", flush=True)
    effort = Effort(options.epochs, options.full, options.slots)
    found: dict[str, list[Search]] = {method: [] for method in METHODS}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        chosen = {"train": options.train, "val": options.val, "size": options.size}
        given = {key: value for key, value in chosen.items() if value is not None}
        data = synthesize(folder / "data", **given)
        for seed in range(options.seeds):
            for method in METHODS:
                made = search(folder, data, method, seed, effort)
                found[method].append(made)
                print(
                    f"  seed {seed}, {method}: {made.final:.4f}, again {made.again:.4f}", flush=True
                )
    report(found, options.epochs)


if __name__ == "__main__":
    main()
