"""What the numbers of a table are worth: the interval of each row, and its rank among the others."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.report.table import RowResult
from benchmark.run import RunFolder, RunRecord
from benchmark.statistics import RESAMPLES
from benchmark.statistics.intervals import Sample, interval
from benchmark.statistics.ranks import ranks


def _header() -> bytes:
    file = io.BytesIO()
    np.save(file, np.zeros(RESAMPLES))
    return file.getvalue()[: -8 * RESAMPLES]


_HEADER = _header()


def judged(rows: Sequence[RowResult], results: Path) -> tuple[tuple[RowResult, ...], int | None]:
    """Gives every complete row its interval and its rank.

    Args:
        rows: The rows of a table, all in one setting.
        results: The results folder, whose run folders hold the bootstrap draws.

    Returns:
        The rows, and the number of images that they were evaluated on, None if that is not known.
    """
    images = _images(rows)
    found = [_sample(result, results, images) for result in rows]
    samples = [sample if isinstance(sample, Sample) else None for sample in found]
    why = [sample if isinstance(sample, str) else "" for sample in found]
    places = ranks(samples)
    judged_rows = (
        replace(
            result,
            interval=interval(sample) if sample else None,
            rank=place,
            unpaired=reason or _no_interval(sample),
        )
        for result, sample, place, reason in zip(rows, samples, places, why, strict=True)
    )
    return tuple(judged_rows), images["count"] if images else None


def read_draws(path: Path) -> NDArray[np.float64] | None:
    """Reads ``bootstrap.npy``, shape (resamples,); None if it is missing or has another shape.

    numpy's own reader takes three times as long, which tells with ten thousand runs.
    """
    try:
        content = path.read_bytes()
    except OSError:
        return None
    if len(content) != len(_HEADER) + 8 * RESAMPLES or not content.startswith(_HEADER):
        return None
    return np.frombuffer(content, np.float64, offset=len(_HEADER))


def _images(rows: Sequence[RowResult]) -> dict[str, int] | None:
    """The images that most runs were evaluated on: their number and hash."""
    known = [r.val_images for row in rows for r in row.complete if r.val_images]
    if not known:
        return None
    ((sha256, _),) = Counter(images["sha256"] for images in known).most_common(1)
    return next(dict(images) for images in known if images["sha256"] == sha256)


def _sample(result: RowResult, results: Path, images: dict[str, int] | None) -> Sample | str | None:
    """What is known of a row's mAP50; why nothing is, where it is complete; else None."""
    if not result.complete:
        return None
    if "bootstrap" in result.missing:
        return result.missing["bootstrap"]
    if any(dict(record.val_images or {}) != images for record in result.complete):
        return "not evaluated on the images of the other rows"
    found = [_draws(record, results) for record in result.complete]
    draws = [drawn for drawn in found if drawn is not None]
    if len(draws) < len(found):
        return "a run folder has no bootstrap.npy"
    values = np.array([record.metric("mAP50") for record in result.complete], np.float64)
    assert images is not None
    return Sample(values, np.mean(draws, axis=0), images["count"])


def _draws(record: RunRecord, results: Path) -> NDArray[np.float64] | None:
    return read_draws(RunFolder(results / "runs" / record.run_id).bootstrap_file)


def _no_interval(sample: Sample | None) -> str:
    return "one image has no interval" if sample and sample.images < 2 else ""
