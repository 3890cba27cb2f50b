"""What the numbers of a table are worth whose rows have a run for each fold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from benchmark.leaderboard.results import OTHER_IMAGES, RowResult
from benchmark.run.record import RunRecord, ValImages
from benchmark.statistics.folds import interval, ranks


def judged_by_fold(rows: Sequence[RowResult]) -> tuple[tuple[RowResult, ...], int | None]:
    """Gives every row of which all folds are complete its interval and its rank.

    Args:
        rows: The rows of a table, all with the same folds.

    Returns:
        The rows, and the number of images of all folds, None if that is not known.
    """
    images = _images(rows)
    why = [_unpaired(result, images) for result in rows]
    samples = [
        None if told or not result.complete else _values(result)
        for result, told in zip(rows, why, strict=True)
    ]
    places = ranks(samples)
    judged_rows = (
        replace(
            result,
            interval=None if sample is None else interval(sample),
            rank=place,
            unpaired=told,
        )
        for result, sample, place, told in zip(rows, samples, places, why, strict=True)
    )
    whole = bool(images) and all(images)
    return tuple(judged_rows), sum(one.count for one in images if one) if whole else None


def _images(rows: Sequence[RowResult]) -> list[ValImages | None]:
    """The images that most runs of each fold were evaluated on; empty before a row has a run of every fold."""
    complete = [result.by_fold for result in rows if result.complete]
    return [
        _most([record for of_row in of_fold for record in of_row])
        for of_fold in zip(*complete, strict=True)
    ]


def _most(records: Sequence[RunRecord]) -> ValImages | None:
    known = {record.val_images.sha256: record.val_images for record in records if record.val_images}
    times = Counter(record.val_images.sha256 for record in records if record.val_images)
    return known[times.most_common(1)[0][0]] if times else None


def _unpaired(result: RowResult, images: Sequence[ValImages | None]) -> str:
    """Why a row has no interval although all of its folds are complete; empty if it has, or they are not."""
    records = result.complete
    if scoreless := next((r.scoreless for r in records if r.scoreless), ""):
        return scoreless
    if any(not record.val_images for record in records):
        return "its record does not say which images it was evaluated on"
    of_folds = zip(result.by_fold, images, strict=True) if records else ()
    if any(record.val_images != fold for of_fold, fold in of_folds for record in of_fold):
        return OTHER_IMAGES
    return ""


def _values(result: RowResult) -> NDArray[np.float64]:
    """mAP50 of each fold, means over its seeds."""
    return np.array(
        [np.mean([record.score("mAP50") for record in of_fold]) for of_fold in result.by_fold]
    )
