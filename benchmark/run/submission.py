"""The boxes of a row on the test split, as a file to hand in."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.data.boxes.base import Target
from benchmark.data.boxes.read import FORMATS
from benchmark.data.dataset import Split
from benchmark.errors import UserError, fault_of, few, not_read, not_written
from benchmark.files import is_file, parse_json, read_bytes, write_text
from benchmark.run.given_boxes import target_of
from benchmark.run.plan import Plan, Request, find_dataset, test_left_aside
from benchmark.run.record import State
from benchmark.run.state import Planned
from benchmark.run.tested import is_tested
from benchmark.writing.words import counted

if TYPE_CHECKING:
    from benchmark.statistics.evaluation import Detections


@dataclass(frozen=True)
class Handed:
    """The boxes of a run, to be handed in.

    Attributes:
        run: The run.
        target: The images and classes that they are of.
        found: The boxes.
    """

    run: Planned
    target: Target
    found: Detections

    def write(self, path: Path, name: str) -> None:
        """Writes them in a format of `benchmark.data.boxes.read.FORMATS`, atomically, image by image.

        Raises:
            UserError, MachineError: The file cannot be written.
        """
        import numpy as np

        from benchmark.statistics.ids import places

        if os.path.lexists(path) and not is_file(path):
            raise UserError(f"{path}: is there, and is no file: name another")
        order = np.argsort(places(self.found.image_ids, self.target.ids), kind="stable")
        try:
            write_text(path, FORMATS[name].text(self.found.chosen(order), self.target))
        except OSError as error:
            raise not_written(path, error) from None

    @property
    def told(self) -> str:
        """How many boxes in how many of the images."""
        import numpy as np

        images = len(np.unique(self.found.image_ids))
        boxes = counted(len(self.found), "box", "boxes")
        return f"{boxes} in {images:,} of {counted(len(self.target.ids), 'image')}"


def test_split(made: Plan, request: Request) -> Split:
    """The test split of a plan's data.

    Raises:
        UserError: The data is not here, or has none.
    """
    dataset = made.dataset
    if dataset.is_absent:
        dataset = find_dataset(made.experiment, replace(request, needs_data=True))
    if dataset.test is None:
        raise UserError(
            f"{dataset.name} has no test split, of which boxes could be handed in: put test.json beside train.json, or "
            "name it as 'test' under 'dataset' in the experiment file"
            + (f"; {aside}" if (aside := test_left_aside(made.experiment, request)) else "")
        )
    return dataset.test


def run_of(made: Plan, seed: int | None, fold: int | None) -> Planned:
    """The run of a plan over one row whose boxes are handed in: the first that is complete, unless a seed is named.

    Raises:
        UserError: There is none with the seed and the fold, or folds leave it open.
    """
    runs = [run for run in made.runs if seed in (None, run.spec.seed)]
    if not runs:
        known = few(dict.fromkeys(str(run.spec.seed) for run in made.runs))
        raise UserError(f"--seed {seed}: the row has no run of this seed; it has {known}")
    folds = list(dict.fromkeys(run.spec.fold for run in runs))
    if fold is None and folds != [None]:
        raise UserError(
            f"the row has a run for each of {len(folds)} folds, trained on others of the images: say with --fold which"
        )
    of_fold = [run for run in runs if run.spec.fold == fold]
    if not of_fold:
        known = few(str(number) for number in folds if number is not None)
        raise UserError(f"--fold {fold}: there is no such fold; there are {known or 'none'}")
    return next((run for run in of_fold if run.state is State.COMPLETE), of_fold[0])


def handed(run: Planned, split: Split, command: str) -> Handed:
    """The boxes that a run has kept of the test split.

    Args:
        run: The run.
        split: The test split as it is now.
        command: What makes them where they are not there.

    Raises:
        UserError: They are not there, or are of another test split.
    """
    told = f"runs/{run.spec.run_id}"
    tested = run.folder.tested_if_any()
    if run.state is not State.COMPLETE:
        raise UserError(f"{told} is {run.state.value}: '{command}' makes it")
    if tested is not None and tested.problem:
        raise UserError(f"{told} has no boxes of the test split: {tested.problem}")
    if tested is None or not is_tested(tested, split):
        other = "of another test split than there is now" if tested else "not there"
        raise UserError(f"{told}: its boxes of the test split are {other}: '{command}' makes them")
    target = target_of("test", split, run.spec.dataset)
    if faults := split.read().images.faults:
        raise UserError(f"{split.annotations}: images with a field missing or wrong: {few(faults)}")
    return Handed(run, target, _kept(run.folder.test_predictions_file))


def _kept(path: Path) -> Detections:
    from benchmark.statistics.evaluation import Detections

    try:
        return Detections.from_coco(parse_json(read_bytes(path)))
    except FileNotFoundError:
        raise UserError(
            f"{path}: is missing: remove test.json beside it, and the next sweep makes both"
        ) from None
    except OSError as error:
        raise not_read(path, error) from fault_of(error)
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: damaged ({error}): remove test.json beside it, and the next sweep makes both"
        ) from None
