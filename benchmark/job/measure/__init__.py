"""What is measured once a run is complete: cost, kinds of error, and what intervals and the gallery are made from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from benchmark.job.measure import flops, latency
from benchmark.job.measure.samples import sample_images
from benchmark.job.metric import HotCocoMetric
from benchmark.run.folder import RunFolder
from benchmark.run.journal import now
from benchmark.run.record import Measured, Numbers, ValImages
from benchmark.run.samples import ImageSample

_LONGEST_REASON = 300


@dataclass(frozen=True)
class Findings:
    """What was found out about a run beyond its scores.

    Attributes:
        found: By name of a measurement.
        missing: By name of a measurement that failed: the error in one line.
        samples: The sample images that were wanted.
        val_images: The images of the last validation, None before it.
    """

    found: dict[str, Measured] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    samples: list[ImageSample] = field(default_factory=list)
    val_images: ValImages | None = None


def measure(
    runner: Any, metric: HotCocoMetric, folder: RunFolder, cost: bool, images: int
) -> Findings:
    """Measures a complete run, and writes ``matches.npz``, ``bootstrap.npy`` and ``samples.json``.

    A measurement that fails costs its number, not the run.

    Args:
        runner: mmengine's runner after the last validation.
        metric: Its metric, which holds that validation.
        folder: The run.
        cost: Measure latency and FLOPs, too.
        images: Number of sample images wanted.
    """
    for file in (folder.matches_file, folder.bootstrap_file, folder.samples_file):
        file.unlink(missing_ok=True)  # of an attempt before
    steps: dict[str, Callable[[], Any]] = {}
    if cost:
        # FLOPs after the latency: a trace that fails leaves its hooks in the model.
        steps["latency_ms"] = lambda: _cost(latency.measure, runner)
        steps["flops"] = lambda: _cost(flops.flops, runner)
    steps["tide"] = lambda: _tide(metric)
    steps["bootstrap"] = lambda: _keep_bootstrap(metric, folder)
    steps["samples"] = lambda: _keep_samples(metric, folder, images)
    missing: dict[str, str] = {}
    values = {key: _attempted(key, step, missing) for key, step in steps.items()}
    samples = values.pop("samples") or []
    found = {key: value for key, value in values.items() if value is not None}
    return Findings(found, missing, samples, _images(metric))


def _attempted(key: str, step: Callable[[], Any], missing: dict[str, str]) -> Any:
    """What a step returns; None if it fails, and the reason in ``missing`` and in the log."""
    try:
        return step()
    except Exception as error:
        first, *_ = str(error).strip().splitlines() or [""]
        missing[key] = f"{type(error).__name__}: {first}".strip(": ")[:_LONGEST_REASON]
        print(f"{now()} {key} not measured: {missing[key]}", flush=True)
        return None


def _cost(measure_one: Callable[[Any, Any], Any], runner: Any) -> Any:
    """Measures the model on the validation's images, in its precision: mixed where that is."""
    from mmengine.runner.amp import autocast

    with autocast(enabled=runner.val_loop.fp16):
        return measure_one(runner.model, runner.val_dataloader.dataset)


def _tide(metric: HotCocoMetric) -> Numbers:
    from benchmark.statistics.tide import error_shares

    return error_shares(*_evaluated(metric))


def _keep_bootstrap(metric: HotCocoMetric, folder: RunFolder) -> None:
    from benchmark.statistics.draws import write_draws
    from benchmark.statistics.matches import match
    from benchmark.statistics.resample import bootstrap

    matches = match(*_evaluated(metric))
    draws = bootstrap(matches)
    matches.save(folder.matches_file)
    write_draws(folder.bootstrap_file, draws)


def _evaluated(metric: HotCocoMetric) -> tuple[Any, Any, Any, list[str]]:
    """Ground truth, detections, ids of the images and classes of the last validation."""
    last: Any = metric.last
    return metric.ground_truth, last.detections, last.image_ids, list(last.per_class)


def _keep_samples(metric: HotCocoMetric, folder: RunFolder, images: int) -> list[ImageSample]:
    """The images that are wanted; a fixed number of them goes into the folder."""
    from benchmark.run.samples import COUNT, write_samples

    last: Any = metric.last
    pictures = folder.read_spec().dataset.val.images
    most = max(COUNT, images)
    found = list(sample_images(metric.annotations, pictures, last.detections, most, last.image_ids))
    write_samples(folder.samples_file, found[:COUNT])
    return found[:images]


def _images(metric: HotCocoMetric) -> ValImages:
    """How many images were evaluated, and what tells them from others."""
    last: Any = metric.last
    ids = last.image_ids.astype("<i8")  # the same bytes on every machine
    return ValImages(len(ids), hashlib.sha256(ids.tobytes()).hexdigest())
