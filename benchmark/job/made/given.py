"""Boxes from files that a row names."""

from __future__ import annotations

from benchmark.job.made.base import Made, Making
from benchmark.run.given_boxes import read_given


def given_boxes(making: Making) -> Made:
    """The boxes of the run's files for the splits that are wanted.

    Raises:
        UserError: With everything that is wrong with the files.
    """
    read = read_given(making.spec, making.splits)
    notes = dict.fromkeys(note for boxes in read.values() for note in boxes.notes)
    return Made({split: boxes.detections for split, boxes in read.items()}, notes=tuple(notes))
