"""What a reader must know of how the numbers of a row came about."""

from __future__ import annotations

from benchmark.leaderboard.results import RowResult
from benchmark.run import accumulation
from benchmark.run.record import State
from benchmark.run.spec import which

_FITTED = (
    "its boxes are fused as study '{study}' found best for {images}: its score on them is too high"
)


def row_notes(result: RowResult) -> tuple[str, ...]:
    """A sentence for each thing that is to be known of how the boxes of a row came about.

    A study over a fused row is judged by the boxes that the row is shown with.
    """
    row = result.row
    notes = (note for record in result.complete for note in record.notes)
    told = dict.fromkeys([*notes, *_in_parts(result)])
    if row.study is None or not row.recipe.is_tuned:
        return tuple(told)
    images = "the images of all folds" if result.folds else "the validation images"
    return (*told, _FITTED.format(study=row.study, images=images))


def _in_parts(result: RowResult) -> tuple[str, ...]:
    """Which of its runs were trained on parts of batches, and how: others of the row may have been on whole ones."""
    folds = result.folds or (None,) * len(result.seeds)
    runs = zip(result.seeds, folds, result.records, strict=True)
    return accumulation.told(
        [
            (which(seed, fold), record.accumulation)
            for seed, fold, record in runs
            if record is not None and record.state is State.COMPLETE
        ]
    )
