"""Trains a fixed set of settings of a search space to the end, every validation kept, for `tuning.py` to search in.

    python perf/record.py small pipeline two_stage

What is recorded of ``perf/recorded/NAME.yaml`` is written beside it, see `recording.py`. Setting 0 is the row's own,
the others are points of a scrambled Sobol sequence over the space. Each is trained by a job's own Runner, on one
thread, in a process of its own that is forked with everything imported. What is recorded already is not trained again;
one commit and machine give the same values again. Some settings are trained with a second seed, too: how far the two
lie apart is the noise of the space.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import yaml
from evaluation import machine, processor
from numpy.typing import NDArray
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from recording import FOLDER, Recording, Validation

from benchmark.data.synthesize import synthesize
from benchmark.run.options import Resources
from benchmark.run.plan import Request
from benchmark.run.prepare import prepare
from benchmark.run.state import Planned
from benchmark.statistics.matches import Matches, match
from benchmark.tuning.search.space import Space
from benchmark.tuning.study import Study, read_study

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = 81
SEED = 0  # of the Sobol sequence
AGAIN = 12  # every so many settings one is trained with a second seed
_ONE_THREAD = Resources((), threads=1)


@dataclass(frozen=True)
class Settings:
    """The points of a space that are trained.

    Attributes:
        params: Parameters as Optuna holds them, by number.
        distributions: What they are drawn from, by parameter.
    """

    params: Sequence[Mapping[str, Any]]
    distributions: Mapping[str, BaseDistribution]

    def places(self) -> NDArray[np.float64]:
        """Where the settings lie, (S, P): each parameter in 0..1 over its range; choices are 1 apart."""
        columns = [
            _places([params[name] for params in self.params], distribution)
            for name, distribution in self.distributions.items()
        ]
        return np.concatenate(columns, axis=1)


def _places(values: Sequence[Any], distribution: BaseDistribution) -> NDArray[np.float64]:
    if isinstance(distribution, CategoricalDistribution):
        # Two ones in different columns are the root of 2 apart.
        return np.array([[c == v for c in distribution.choices] for v in values]) / np.sqrt(2)
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    ends = np.array([distribution.low, distribution.high], np.float64)
    points = np.array(values, np.float64)
    if distribution.log:
        ends, points = np.log(ends), np.log(points)
    return ((points - ends[0]) / (ends[1] - ends[0]))[:, None]


def drawn(space: Space, count: int) -> Settings:
    """The row's own setting, and points of a scrambled Sobol sequence; choices are drawn at random."""
    sampler = optuna.samplers.QMCSampler(
        scramble=True, seed=SEED, warn_independent_sampling=False, warn_asynchronous_seeding=False
    )
    study = optuna.create_study(sampler=sampler)
    study.enqueue_trial(space.published())
    params = []
    for _ in range(count):
        trial = study.ask()
        params.append(space.suggest(trial))
        study.tell(trial, 0.0)
    return Settings(params, trial.distributions)


def study_of(asked: Mapping[str, Any], folder: Path, train_seed: int) -> Study:
    """The space as a study, over synthetic images in ``folder``."""
    content = {key: asked[key] for key in ("row", "search")} | {
        "experiment": str(ROOT / asked["experiment"]),
        "n_trials": 1,
        "train_seed": train_seed,
        "sampler": "RandomSampler",
        "pruner": "NopPruner",
    }
    file = folder / f"recorded-{train_seed}.yaml"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    data = synthesize(folder / "data", **asked["data"])
    changes = {"train_cfg.max_epochs": asked["epochs"], **asked.get("set", {})}
    return read_study(Request(file, folder / "results", data_root=data, overrides=changes))


def trained(study: Study, number: int, params: Mapping[str, Any]) -> list[Validation]:
    """Trains a setting in a process of its own; its validations in order.

    A training whose loss is no number ends with a line without scores.
    """
    run = study.plan_trial("recorded", number, params)
    prepare(run)
    return _apart(_train, run)


def _apart(work: Callable[[Planned], list[Validation]], run: Planned) -> list[Validation]:
    fork = multiprocessing.get_context("fork")
    receiving, sending = fork.Pipe(duplex=False)
    process = fork.Process(target=lambda: sending.send(_logged(work, run)))
    process.start()
    sending.close()
    try:
        found: list[Validation] = receiving.recv()
    except EOFError:
        log = run.folder.log_file.read_text(encoding="utf-8", errors="replace")
        sys.exit(f"{run.spec.run_id} has not come to its end:\n{log[-4000:]}")
    finally:
        process.join()
    return found


def _logged(work: Callable[[Planned], list[Validation]], run: Planned) -> list[Validation]:
    with run.folder.log_file.open("w", encoding="utf-8") as log:
        for stream in (1, 2):
            os.dup2(log.fileno(), stream)
        try:
            return work(run)
        except Exception:
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)


def _train(run: Planned) -> list[Validation]:
    """Trains as a job does, without checkpoints; its processor time is that of this process."""
    from benchmark.job.building import build_runner, config_of, make_ready, read_content
    from benchmark.job.inputs import Inputs
    from benchmark.job.metric import HotCocoMetric
    from benchmark.job.training import Diverged, JournalHook, MemoryHook
    from benchmark.run.journal import Journal

    make_ready(_ONE_THREAD)
    spec = run.folder.read_spec()
    content = read_content(spec, run.folder, Inputs(spec, run.folder))
    content["default_hooks"]["checkpoint"] = None  # nothing goes on from one
    runner = build_runner(config_of(run.folder, content), run.folder, _ONE_THREAD)
    metrics = runner.val_loop.evaluator.metrics
    metric = next(metric for metric in metrics if isinstance(metric, HotCocoMetric))
    done: list[Validation] = []
    runner.register_hook(
        JournalHook(Journal(run.folder.metrics_file), metric, interval=50, memory=MemoryHook())
    )
    runner.register_hook(_keeping(metric, done))
    try:
        runner.train()
    except Diverged:
        done.append(Validation(runner.epoch + 1, None, None, time.process_time(), {}))
    return done


def _keeping(metric: Any, done: list[Validation]) -> Any:
    """A hook that keeps each validation."""
    from mmengine.hooks import Hook

    class Keeping(Hook):  # type: ignore[misc]
        def after_val_epoch(self, runner: Any, metrics: object = None) -> None:
            last, seconds = metric.last, time.process_time()
            classes = list(metric.dataset_meta["classes"])
            found = match(metric.ground_truth, last.detections, last.image_ids, classes)
            scores = dict(zip(found.image_ids.tolist(), image_scores(found).tolist(), strict=True))
            values = (last.scores["mAP50"], last.scores["mAP"])
            done.append(Validation(runner.epoch, *values, seconds, scores))

    return Keeping()


def image_scores(found: Matches) -> NDArray[np.float64]:
    """Average precision at IoU 0.5 within each image, the mean of the classes that it has objects of; shape (I,).

    The area under the curve of precision over recall, the former made to fall only, as VOC has it since 2010. An image
    without objects has 0, and boxes of classes that an image has no object of count for nothing.
    """
    scores = np.zeros(len(found.image_ids))
    for image, objects in enumerate(found.objects):
        mine = found.image == image
        there = np.flatnonzero(objects)
        areas = [_area(found.hit[mine & (found.label == kind)], objects[kind]) for kind in there]
        scores[image] = np.mean(areas) if areas else 0.0
    return scores


def _area(hit: NDArray[np.bool_], objects: int) -> float:
    """Average precision of boxes in the order of their scores."""
    precision = np.cumsum(hit) / np.arange(1, len(hit) + 1)
    highest = np.maximum.accumulate(precision[::-1])[::-1]
    return float(highest[hit].sum() / objects)


def predictability(settings: Settings, final: Mapping[int, float]) -> float:
    """Rank correlation of the recorded settings' last mAP50 with that of the nearest other recorded one."""
    from scipy.stats import spearmanr

    numbers = sorted(final)
    places = settings.places()[numbers]
    apart = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    values = np.array([final[number] for number in numbers])
    return float(spearmanr(values, values[apart.argmin(axis=1)]).statistic)


def commit() -> str:
    """The commit of this checkout, short."""
    asked = ["git", "-C", str(ROOT), "rev-parse", "--short=9", "HEAD"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()


def preload() -> None:
    """Imports here what the trainings need, which are forked from here."""
    from benchmark.job.building import make_ready

    make_ready(_ONE_THREAD)
    import mmdet.models  # noqa: F401

    import benchmark.job.training  # noqa: F401


def record(recording: Recording, count: int, folder: Path) -> None:
    """Records the settings below ``count`` that are not recorded yet, then the second seeds."""
    study = study_of(recording.asked, folder, recording.asked["train_seed"])
    settings = drawn(study.space, count)
    _require_same(recording, settings)
    recording.note(commit=commit(), machine=processor(), threads=1)
    for number, params in enumerate(settings.params):
        if number not in recording.params():
            recording.add(number, params, trained(study, number, params))
            _say(recording, number, count)
    _record_again(recording, settings, folder)
    _conclude(recording, settings)


def _require_same(recording: Recording, settings: Settings) -> None:
    """Ends the script where what is recorded is of other settings, or comes from another commit or machine."""
    drawn_now = [{k: str(v) for k, v in params.items()} for params in settings.params]
    known = {n: params for n, params in recording.params().items() if n < len(drawn_now)}
    problems = [f"setting {n}" for n, params in known.items() if params != drawn_now[n]]
    here = {"commit": commit(), "machine": processor()}
    problems += [key for key, value in here.items() if known and recording.asked[key] != value]
    if problems:
        told = f"{recording.name}: what is recorded differs from here in {', '.join(problems)}"
        sys.exit(f"{told}; remove {recording.name}.csv to record it anew")


def _say(recording: Recording, number: int, count: int) -> None:
    line = recording.lines[-1]
    value = line["mAP50"] or "no number"
    print(f"{recording.name} {number} of {count}: {value}, {line['seconds']} s", flush=True)


def _record_again(recording: Recording, settings: Settings, folder: Path) -> None:
    """Trains some of the settings with the next seed, and notes their last mAP50."""
    seed = recording.asked["train_seed"] + 1
    known: dict[int, float] = recording.asked.get("again", {}).get("mAP50", {})
    missing = [n for n in range(0, len(settings.params), AGAIN) if n not in known]
    study = study_of(recording.asked, folder, seed) if missing else None
    for number in missing:
        last = trained(study, number, settings.params[number])[-1]
        known = {**known, number: round(last.map50 or 0.0, 6)}
        recording.note(again={"train_seed": seed, "mAP50": known})
        print(f"{recording.name} {number} again: {known[number]:.6f}", flush=True)


def _conclude(recording: Recording, settings: Settings) -> None:
    """Notes and prints what the space is like."""
    final, again = recording.final(), recording.asked["again"]["mAP50"]
    apart = [abs(final[number] - value) for number, value in again.items()]
    facts = {
        "settings": len(final),
        "own": final[0],
        "best": max(final.values()),
        "median": round(statistics.median(final.values()), 6),
        "noise": round(statistics.median(apart), 6),
        "nearest": round(predictability(settings, final), 3),
    }
    recording.note(**facts)
    print(f"{recording.name}: {', '.join(f'{k} {v}' for k, v in facts.items())}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="records search spaces")
    parser.add_argument(
        "names", nargs="+", help="spaces, as NAME.yaml in the folder describes them"
    )
    parser.add_argument("--settings", type=int, default=SETTINGS, help="how many, the row's first")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    options = parser.parse_args()
    if options.settings < 3:
        parser.error("--settings: give a number from 3")
    print(f"{options.settings} settings of {', '.join(options.names)}; {machine()}", flush=True)
    preload()
    for name in options.names:
        with tempfile.TemporaryDirectory() as scratch:
            record(Recording(name, options.folder), options.settings, Path(scratch))


if __name__ == "__main__":
    main()
