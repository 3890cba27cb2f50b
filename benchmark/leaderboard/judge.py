"""What the numbers of a table are worth: the interval of each row, and its rank among the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmark.leaderboard.judge_folds import judged_by_fold
from benchmark.leaderboard.results import OTHER_IMAGES, RowResult
from benchmark.run.folder import RunFolder
from benchmark.run.record import ValImages
from benchmark.statistics.draws import read_draws
from benchmark.statistics.intervals import Sample, interval, usable
from benchmark.statistics.ranks import ranks


@dataclass(frozen=True)
class _Known:
    """What is known of a row's mAP50, or why nothing is."""

    sample: Sample | None = None
    why: str = ""


def judged(rows: Sequence[RowResult], results: Path) -> tuple[tuple[RowResult, ...], int | None]:
    """Gives every complete row its interval and its rank.

    Args:
        rows: The rows of a table, all in one setting.
        results: The results folder, whose run folders hold the bootstrap draws.

    Returns:
        The rows, and the number of images that they were evaluated on, over all folds where there are some; None if
        that is not known.
    """
    if any(result.folds for result in rows):
        return judged_by_fold(rows)
    images = _images(rows)
    found = [_known(result, results / "runs", images) for result in rows]
    samples = [known.sample for known in found]
    places = ranks(samples)
    judged_rows = (
        replace(
            result,
            interval=interval(known.sample) if known.sample else None,
            rank=place,
            unpaired=known.why,
        )
        for result, known, place in zip(rows, found, places, strict=True)
    )
    return tuple(judged_rows), images.count if images else None


def _images(rows: Sequence[RowResult]) -> ValImages | None:
    """The images that most runs were evaluated on: their number and hash."""
    known = [r.val_images for row in rows for r in row.complete if r.val_images]
    if not known:
        return None
    ((sha256, _),) = Counter(images.sha256 for images in known).most_common(1)
    return next(images for images in known if images.sha256 == sha256)


def _known(result: RowResult, runs: Path, images: ValImages | None) -> _Known:
    records = result.complete
    if not records:
        return _Known()
    if scoreless := next((r.scoreless for r in records if r.scoreless), ""):
        return _Known(why=scoreless)
    if "bootstrap" in result.missing:
        return _Known(why=result.missing["bootstrap"])
    if images is None or any(not record.val_images for record in records):
        return _Known(why="its record does not say which images it was evaluated on")
    if any(record.val_images != images for record in records):
        return _Known(why=OTHER_IMAGES)
    draws = [read_draws(RunFolder(runs / r.run_id).bootstrap_file) for r in records]
    whole = [drawn for drawn in draws if drawn is not None]
    if len(whole) < len(draws):
        return _Known(why="a run folder has no bootstrap.npy")
    values = np.array([record.score("mAP50") for record in records], np.float64)
    sample = Sample(values, np.mean(whole, axis=0), images.count)
    return _Known(sample, "" if usable(sample) else _not_usable(sample))


def _not_usable(sample: Sample) -> str:
    return "one image has no interval" if sample.images < 2 else "no image holds an object"
