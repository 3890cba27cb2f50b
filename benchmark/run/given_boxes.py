"""Boxes from files that a row names, held against the data of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import cast

from benchmark.data.annotations import read_annotations
from benchmark.data.boxes.base import Hints, ImageNaming, Numbering, Target
from benchmark.data.boxes.read import Read, read_boxes
from benchmark.data.dataset import Dataset, Split
from benchmark.data.findings import Findings
from benchmark.errors import UserError, attempt
from benchmark.run.spec import RunSpec
from benchmark.run.state import Planned

_RECIPE = "predictions"


def read_given(
    spec: RunSpec, splits: Iterable[str] = ("val", "test"), aside: Path | None = None
) -> Mapping[str, Read]:
    """The boxes of a run that is given them, by those of the splits of which it is given any.

    Of a divided data set those of val are on all of the images that were divided.

    Args:
        spec: What was asked.
        splits: Those whose boxes are wanted.
        aside: Annotations of a validation split that counts for nothing, of which the boxes must not be either.

    Raises:
        UserError: With everything that is wrong with the files.
    """
    problems: list[str] = []
    files = {split: Path(path) for split, path in _files(spec).items() if split in splits}
    read = {
        split: attempt(problems, _read, spec, split, path, aside) for split, path in files.items()
    }
    if problems:
        raise UserError(problems)
    return {split: boxes for split, boxes in read.items() if boxes is not None}


def check_given(runs: Iterable[Planned], aside: Path | None = None) -> Findings:
    """What is wrong, and what is odd, with the files that runs are given; each is read once.

    Args:
        runs: The runs.
        aside: See `read_given`.
    """
    found = Findings()
    seen = set()
    for run in runs:
        spec = run.spec
        key = (spec.row, *_files(spec).values())  # each fold of a run has the same
        if spec.recipe != _RECIPE or key in seen:
            continue
        seen.add(key)
        wrong: list[str] = []
        read = attempt(wrong, read_given, spec, aside=aside) or {}
        found.errors.extend(f"row '{spec.row}': {problem}" for problem in wrong)
        found.warnings.extend(
            f"row '{spec.row}': {note}" for boxes in read.values() for note in boxes.notes
        )
    return found


def _files(spec: RunSpec) -> Mapping[str, str]:
    files = spec.making.get("files")
    return files if isinstance(files, dict) else {}


def _read(spec: RunSpec, split: str, path: Path, aside: Path | None = None) -> Read:
    splits = _splits(spec.dataset)
    if split not in splits:
        raise UserError(f"predictions.{split}: the data has no such split; leave {path} out")

    def others() -> list[Target]:
        known = [
            target_of(name, one, spec.dataset) for name, one in splits.items() if name != split
        ]
        left = (
            attempt([], read_annotations, aside) if aside else None
        )  # damaged, it counts for nothing, too
        return [*known, *([] if left is None else [Target.of("val", left)])]

    numbering = cast(Numbering | None, spec.making.get("categories"))
    naming = cast(ImageNaming | None, spec.making.get("images named by"))
    target = target_of(split, splits[split], spec.dataset)
    return read_boxes(path, target, others, Hints(numbering, naming, lambda: _of_val(spec, split)))


def _of_val(spec: RunSpec, split: str) -> Numbering | None:
    """What category numbers are in the file of val, for one of test that does not tell."""
    val = _files(spec).get("val")
    read = attempt([], _read, spec, "val", Path(val)) if val and split != "val" else None
    return read.numbering if read else None


def _splits(dataset: Dataset) -> Mapping[str, Split]:
    """The splits that boxes may be of; of a divided data set the whole that was divided stands for val."""
    test = {} if dataset.test is None else {"test": dataset.test}
    if dataset.fold is not None:
        return {"val": dataset.fold.whole, **test}
    return {"val": dataset.val, **test, "train": dataset.train}


def target_of(name: str, split: Split, dataset: Dataset) -> Target:
    """The images and classes of a split; of one that lists no categories those of val, in the same order.

    Raises:
        UserError: It cannot be read.
    """
    return Target.of(name, dataset.with_categories(split.read()))
