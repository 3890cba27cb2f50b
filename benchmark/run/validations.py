"""Which of a run's validations its scores are those of."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.experiment.experiment import Select
from benchmark.run.journal import Point
from benchmark.run.record import Validations
from benchmark.statistics.scores import MAIN, SCORES


def best_of(points: Sequence[Point]) -> Point | None:
    """The validation with the best mAP50, the first of equals; None where none has a value."""
    known = [point for point in points if point.get(MAIN) is not None]
    top = SCORES[MAIN].best(point[MAIN] for point in known) if known else None
    return next((point for point in known if point[MAIN] == top), None)


def chosen(points: Sequence[Point], select: Select) -> Point | None:
    """The validation that is recorded: the last, or the best if there is one; None without a validation."""
    best = best_of(points) if select == "best" else None
    return best or (points[-1] if points else None)


def validations_of(points: Sequence[Point], select: Select) -> Validations | None:
    """What the record says of a run's validations; None without one.

    Args:
        points: The validations of its journal.
        select: Which of them is recorded.
    """
    shown, best = chosen(points, select), best_of(points)
    if shown is None:
        return None
    return Validations(
        select=select,
        count=len(points),
        iter=shown["iter"],
        epoch=shown["epoch"],
        best_iter=best["iter"] if best else None,
        best_epoch=best["epoch"] if best else None,
        best_mAP50=best[MAIN] if best else None,
    )
