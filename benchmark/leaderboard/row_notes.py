"""What a reader must know of the numbers of rows that are not trained here."""

from __future__ import annotations

from benchmark.leaderboard.results import RowResult

_FITTED = (
    "its boxes are fused as study '{study}' found best for {images}: its score on them is too high"
)


def row_notes(result: RowResult) -> tuple[str, ...]:
    """A sentence for each thing that is to be known of how the boxes of a row came about.

    A study over a fused row is judged by the boxes that the row is shown with.
    """
    row = result.row
    told = dict.fromkeys(note for record in result.complete for note in record.notes)
    if row.study is None or not row.recipe.is_tuned:
        return tuple(told)
    images = "the images of all folds" if result.folds else "the validation images"
    return (*told, _FITTED.format(study=row.study, images=images))
