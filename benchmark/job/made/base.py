"""The contract of what makes boxes without a training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from benchmark.data.annotations import Annotations
from benchmark.data.keep import ImageFilter
from benchmark.data.selection import Selection, image_rows
from benchmark.job.inputs import Inputs
from benchmark.run.folder import RunFolder
from benchmark.run.options import JobOptions
from benchmark.run.record import RunRecord
from benchmark.run.spec import RunSpec
from benchmark.statistics.evaluation import Detections

if TYPE_CHECKING:  # boxes from a file need no model
    from mmengine.runner import Runner


@dataclass(frozen=True)
class Making:
    """What boxes are made from.

    Attributes:
        spec: What was asked; its ``making`` is what the recipe says.
        folder: The run.
        annotations: By split what its boxes are of: ``val`` and, where there is a test split, ``test``. Of a test split
            whose objects are kept secret they list images alone, and perhaps no categories.
        image_ids: By split the images that count; boxes of others are left out.
        sources: The runs that it is made from, as in the spec, and their records; all are complete.
        inputs: Holds files that are read against what was asked.
        options: How the job is run.
        splits: Those of the splits whose boxes are wanted; a complete run may lack those of the test split alone.
    """

    spec: RunSpec
    folder: RunFolder
    annotations: Mapping[str, Annotations]
    image_ids: Mapping[str, frozenset[int]]
    sources: tuple[tuple[RunFolder, RunRecord], ...]
    inputs: Inputs
    options: JobOptions
    splits: tuple[str, ...] = ("val",)

    @cached_property
    def category_ids(self) -> Mapping[str, int]:
        """Category ids by class name, as the validation annotations have them."""
        return {name: number for number, name in self.annotations["val"].categories}


@dataclass(frozen=True)
class Made:
    """What was made.

    Attributes:
        boxes: By split; ids are those of its annotation file. Where those of a test split are not known, it lacks them.
        runner: Whose model has made the boxes, with a validation loop; None where there is no model at hand.
        notes: What is to be known of how they were made, a sentence each; it stands in the record.
    """

    boxes: Mapping[str, Detections]
    runner: Runner | None = None
    notes: tuple[str, ...] = ()


def judged_ids(annotations: Annotations, making: Mapping[str, object]) -> frozenset[int]:
    """The images that trainings of the experiment are evaluated on: a profile may take some of them only.

    Args:
        annotations: Those of the validation.
        making: `RunSpec.making`.
    """
    indices = making.get("indices")
    chosen = tuple(indices) if isinstance(indices, list | tuple) else indices
    taken = chosen if isinstance(chosen, int | tuple) else None
    rows = image_rows(annotations, Selection(False, ImageFilter(), taken))
    return frozenset(annotations.images.ids[rows].tolist())


Maker = Callable[[Making], Made]
"""Makes the boxes of a run; an error that it raises ends the run as failed."""
