"""Labels of the validation images that a finished row speaks against: which, and in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap

from benchmark.data.annotations import Annotations, read_annotations
from benchmark.errors import UserError, printable, why
from benchmark.files import read_json
from benchmark.run.folder import RunFolder
from benchmark.run.state import Planned
from benchmark.statistics.evaluation import Detections, GroundTruth
from benchmark.statistics.matches import Matches
from benchmark.statistics.suspects import Kind, Sureness, Suspect, sureness, suspects
from benchmark.writing.words import counted, cut_short

_WIDTH = 80
_LISTED = 20
_LONGEST_NAME = 60

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class SuspectLabel:
    """A label that may be wrong, or may be missing.

    Attributes:
        kind: See `benchmark.statistics.suspects.Suspect`.
        score: Of the box that the row found.
        found: Its class.
        found_xywh: Where it is, in pixels of the image.
        label: Class of the label; empty where nothing is labelled.
        label_xywh: Where that is; None where nothing is labelled.
        annotation_id: Of the label; None where nothing is labelled.
        iou: Of both.
        image_id: Of the image.
        file: Its ``file_name``.
        annotations: The annotation file.
        images: The folder of the images.
    """

    kind: Kind
    score: float
    found: str
    found_xywh: Box
    label: str
    label_xywh: Box | None
    annotation_id: int | None
    iou: float
    image_id: int
    file: str
    annotations: Path
    images: Path


@dataclass(frozen=True)
class Listing:
    """The suspect labels of a row.

    Attributes:
        row: Its name.
        seed: Whose boxes are taken.
        map50: mAP50 of each of its runs; there is one, or one a fold.
        sure: From which score on boxes count, of each run; None for one that finds nothing.
        images: How many images were looked at.
        labels: The suspects, the surest first.
    """

    row: str
    seed: int
    map50: tuple[float, ...]
    sure: tuple[Sureness | None, ...]
    images: int
    labels: tuple[SuspectLabel, ...]


def suspect_labels(runs: Sequence[Planned]) -> Listing:
    """The suspect labels by the boxes of a row's complete runs: one, or those of one seed in all folds.

    Raises:
        UserError: A file of a run cannot be read, or the annotations have entries that are wrong.
    """
    found = [_of_run(run) for run in runs]
    labels = [label for _, _, own in found for label in own]
    spec = runs[0].spec
    return Listing(
        spec.row,
        spec.seed,
        tuple((run.record and run.record.score("mAP50")) or 0.0 for run in runs),
        tuple(sure for sure, _, _ in found),
        sum(images for _, images, _ in found),
        tuple(sorted(labels, key=lambda label: -label.score)),
    )


def _of_run(run: Planned) -> tuple[Sureness | None, int, list[SuspectLabel]]:
    matches, detections = _matches(run.folder), _detections(run.folder)
    sure = sureness(matches)
    split = run.spec.dataset.val
    annotations = read_annotations(split.annotations)
    if sure is None:
        return None, len(matches.image_ids), []
    truth = GroundTruth(annotations.to_coco())
    try:
        found = suspects(truth, detections, matches.image_ids.tolist(), matches.classes, sure.score)
    except ValueError as error:
        raise UserError(f"{run.folder.predictions_file}: boxes of other data: {error}") from None
    labels = [_label(one, annotations, detections, split.images) for one in found]
    return sure, len(matches.image_ids), labels


def _matches(folder: RunFolder) -> Matches:
    path = folder.matches_file
    if not path.exists():
        raise UserError(
            f"{path}: is missing: the run has no validation, as one with train_on: all, or is of an earlier version"
        )
    try:
        return Matches.load(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read: {why(error)}") from None


def _detections(folder: RunFolder) -> Detections:
    path = folder.predictions_file
    try:
        return Detections.from_coco(read_json(path))
    except (OSError, ValueError, TypeError, LookupError) as error:
        raise UserError(f"{path}: cannot be read as COCO results: {why(error)}") from None


def _label(
    one: Suspect, annotations: Annotations, detections: Detections, images: Path
) -> SuspectLabel:
    names, boxes = dict(annotations.categories), annotations.boxes
    image = int(detections.image_ids[one.detection])
    row = int((annotations.images.ids == image).argmax())
    thing = one.thing
    return SuspectLabel(
        kind=one.kind,
        score=one.score,
        found=names[int(detections.category_ids[one.detection])],
        found_xywh=_box(detections.boxes[one.detection].tolist()),
        label="" if thing is None else names[int(boxes.category_ids[thing])],
        label_xywh=None if thing is None else _box(boxes.xywh[thing].tolist()),
        annotation_id=None if thing is None else int(boxes.ids[thing]),
        iou=one.iou,
        image_id=image,
        file=annotations.images.files[row],
        annotations=annotations.path,
        images=images,
    )


def _box(values: Sequence[float]) -> Box:
    left, top, width, height = values
    return left, top, width, height


# What is said of them


def listing_text(listing: Listing, limit: int = _LISTED) -> str:
    """The first suspects, and what they are and are not, in lines of 80 columns."""
    lines = [*wrap(_head(listing), _WIDTH), ""]
    for rank, label in enumerate(listing.labels[:limit], 1):
        begin = f"{rank:>4}  {label.score:.2f}  "
        after = " " * len(begin)
        lines += wrap(said_of(label), _WIDTH, initial_indent=begin, subsequent_indent=after)
    if more := len(listing.labels) - limit:
        lines += [f"      and {more} more"] if more > 0 else []
    return "\n".join([*lines, *([""] if listing.labels else []), *wrap(_ABOUT, _WIDTH)]) + "\n"


_ABOUT = (
    "A suspect is a box that the row is sure of and that no label bears out. It is not an error: the row may be "
    "wrong, and a row that has learnt the same slips from its training images repeats them. Look at each before "
    "you change a label; labels that are changed make other validation data, on which every row is measured anew."
)


def _head(listing: Listing) -> str:
    sure = [one for one in listing.sure if one is not None]
    score = "/".join(f"{value:.4f}" for value in listing.map50)
    begin = f"Row '{listing.row}', seed {listing.seed} (mAP50 {score}, {counted(listing.images, 'image')}): "
    if not sure:
        return begin + "it finds no object, so that its boxes say nothing about labels."
    least = "/".join(f"{one.score:.2f}" for one in sure)
    right = "/".join(f"{one.precision:.0%}" for one in sure)
    poor = any(one.precision < 0.5 for one in sure)
    little = " It is wrong more often than right: it says little about labels." if poor else ""
    return (
        f"{begin}{counted(len(listing.labels), 'suspect label')}, the surest first, by its boxes with a score of at "
        f"least {least}, where its F1 is highest; {right} of these find an object.{little}"
    )


def said_of(label: SuspectLabel) -> str:
    """A suspect in words: what the row sees, what the label says, and where."""
    where = f"in {_short(label.file)} at {_place(label.found_xywh)}"
    found = _short(label.found)
    if label.label_xywh is None:
        return f"{found}, where nothing is labelled: {where}"
    there = f"annotation {label.annotation_id}"
    if label.kind == "class":
        return f"{found}, labelled {_short(label.label)} (IoU {label.iou:.2f}, {there}): {where}"
    return f"{found}, whose label lies at {_place(label.label_xywh)} (IoU {label.iou:.2f}, {there}): {where}"


def _short(name: str) -> str:
    return cut_short(printable(name), _LONGEST_NAME)


def _place(xywh: Box) -> str:
    left, top, width, height = (round(value) for value in xywh)
    return f"{left},{top} ({width}x{height})"
