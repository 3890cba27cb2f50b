"""Which of a run's validations its scores are those of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from benchmark.experiment.experiment import Select
from benchmark.run.journal import Point
from benchmark.run.record import Metrics, RunRecord, Validations
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


def with_validations(
    record: RunRecord, points: Sequence[Point], select: Select, shown: Point | None = None
) -> RunRecord:
    """The record of a run with what its validations say.

    Args:
        record: The record.
        points: The validations of its journal.
        select: Which of them is recorded.
        shown: What was evaluated in the place of that one; None where nothing was.
    """
    shown = shown or chosen(points, select) or {}
    scores = {key: shown[key] for key in SCORES if key in shown}
    return replace(
        record,
        no_predictions=bool(shown.get("no_predictions", False)),
        metrics=Metrics(scores, shown.get("per_class", {})),
        best=best_scores(points),
        validations=validations_of(points, select),
    )


def best_scores(points: Sequence[Point]) -> dict[str, float] | None:
    """The best value of each score in any validation of a journal; None without a validation that has a value."""
    found = [point for point in points if point["kind"] == "val"]
    values = {key: [point[key] for point in found if point.get(key) is not None] for key in SCORES}
    return {key: SCORES[key].best(known) for key, known in values.items() if known} or None
