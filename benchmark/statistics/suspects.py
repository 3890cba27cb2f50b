"""Labels that may be wrong: objects that a detector is sure of, and that the annotations do not bear out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from benchmark.statistics.evaluation import Detections, GroundTruth
from benchmark.statistics.matches import Matches

Kind = Literal["unlabelled", "class", "box"]
KINDS: tuple[Kind, ...] = get_args(Kind)

# As in TIDE (Bolya et al. 2020) and in hotcoco's diagnostics: below the first, a box is on no object.
_BACKGROUND, _FOREGROUND = 0.1, 0.5
_OF_HOTCOCO: dict[str, Kind] = {"missing_annotation": "unlabelled", "wrong_label": "class"}
_IN_A_CROWD = 0.5  # of a box, from which on it is taken for one of the crowd


@dataclass(frozen=True)
class Suspect:
    """A detection that no label bears out.

    Attributes:
        kind: ``unlabelled``: where nothing is labelled (an IoU below 0.1 with every label of the image); ``class``: on
            an object that nothing else has found, labelled as another class (IoU from 0.5 on); ``box``: at an object
            of its class that no other sure box has found, whose label lies otherwise (IoU from 0.1 to 0.5).
        detection: Its position among the detections.
        thing: Position of the label among the annotations; None where nothing is labelled.
        iou: With that label; 0 where nothing is labelled.
        score: Of the detection.
    """

    kind: Kind
    detection: int
    thing: int | None
    iou: float
    score: float


@dataclass(frozen=True)
class Sureness:
    """From which score on a detector's boxes are taken to say something.

    Attributes:
        score: The score at which F1 at IoU 0.5, over all classes together, is highest.
        precision: Of the boxes from there on.
        recall: Likewise.
    """

    score: float
    precision: float
    recall: float


def sureness(matches: Matches) -> Sureness | None:
    """The score from which on a detector's boxes count as sure; None for one that has found no object."""
    order = np.argsort(-matches.score, kind="stable")
    scores, hits = matches.score[order], np.cumsum(matches.hit[order])
    objects = int(matches.objects.sum())
    if not len(hits) or not hits[-1] or not objects:
        return None
    counts = np.arange(1, len(hits) + 1)
    f1 = 2 * hits / (counts + objects)
    # Boxes of one score are taken all or none.
    last = np.append(scores[1:] != scores[:-1], True)
    best = int(np.argmax(np.where(last, f1, -1)))
    return Sureness(
        float(scores[best]), float(hits[best] / counts[best]), float(hits[best] / objects)
    )


def suspects(
    truth: GroundTruth,
    detections: Detections,
    image_ids: Iterable[int],
    classes: Sequence[str],
    score: float,
) -> list[Suspect]:
    """The labels that a detector's sure boxes speak against, the surest first; each label and each place once.

    Those of the first two kinds are the candidates of hotcoco's ``image_diagnostics`` over the sure boxes alone,
    without what lies in a crowd.

    Args:
        truth: The annotations.
        detections: The boxes.
        image_ids: The images that were evaluated.
        classes: Names in label order.
        score: From which on a box is sure.
    """
    # All others are left out before: among a detector's least sure boxes there is one of nearly every class on every
    # object, and a label that one of those finds would never be a suspect.
    sure = np.flatnonzero(detections.scores >= score)
    chosen = detections.chosen(detections.scores >= score)
    run = truth.matching(chosen, image_ids, classes)
    found = run.image_diagnostics(iou_thr=_FOREGROUND, score_thr=-1.0)
    known = [
        Suspect(
            _OF_HOTCOCO[one["type"]],
            one["dt_id"] - 1,
            None if one["gt_id"] is None else one["gt_id"] - 1,
            float(one["iou"]),
            float(one["dt_score"]),
        )
        for one in found["label_errors"]
    ]
    places = _Places(truth, chosen)
    mine = [one for one in known if one.thing is not None or not places.in_crowd(one.detection)]
    false = {key - 1 for key, status in found["dt_status"].items() if status == "fp"}
    unfound = sorted(key - 1 for key, status in found["gt_status"].items() if status == "fn")
    mine += places.beside(sorted(false - {one.detection for one in known}), unfound)
    kept = places.each_once(sorted(mine, key=lambda one: (-one.score, one.detection)))
    return [replace(one, detection=int(sure[one.detection])) for one in kept]


class _Places:
    """Where detections and labels lie."""

    def __init__(self, truth: GroundTruth, detections: Detections) -> None:
        self.things = truth.things
        self._found = detections

    def in_crowd(self, detection: int) -> bool:
        """Whether half of a detection lies in a region of many objects, which has no labels of each."""
        things = self.things
        crowds = things.crowd & (things.image_ids == self._found.image_ids[detection])
        box = self._found.boxes[detection]
        shared = _shared(box, things.boxes[crowds])
        return bool((shared >= _IN_A_CROWD * box[2] * box[3]).any()) if len(shared) else False

    def beside(self, detections: Sequence[int], things: Sequence[int]) -> list[Suspect]:
        """Detections at a label of their class that they meet, and not by half."""
        of_image: dict[tuple[int, int], list[int]] = {}
        for thing in things:
            of_image.setdefault(self._label(thing), []).append(thing)
        made = [self._beside(one, of_image.get(self._class(one), [])) for one in detections]
        return [one for one in made if one is not None]

    def _beside(self, detection: int, things: list[int]) -> Suspect | None:
        if not things:
            return None
        ious = _ious(self._found.boxes[detection], self.things.boxes[things])
        best = int(np.argmax(ious))
        if not _BACKGROUND <= ious[best] < _FOREGROUND:
            return None
        score = float(self._found.scores[detection])
        return Suspect("box", detection, things[best], float(ious[best]), score)

    def each_once(self, ordered: Sequence[Suspect]) -> list[Suspect]:
        """Without those whose label, or whose place where nothing is labelled, one before them has."""
        kept: list[Suspect] = []
        labels: set[int] = set()
        places: dict[int, list[int]] = {}
        for one in ordered:
            there = places.setdefault(int(self._found.image_ids[one.detection]), [])
            if one.thing is None:
                again = self._overlaps(one.detection, there)
                there.append(one.detection)
            else:
                again = one.thing in labels
                labels.add(one.thing)
            kept += [] if again else [one]
        return kept

    def _overlaps(self, detection: int, others: Sequence[int]) -> bool:
        boxes = self._found.boxes
        ious = _ious(boxes[detection], boxes[list(others)])
        return bool((ious >= _FOREGROUND).any())

    def _class(self, detection: int) -> tuple[int, int]:
        found = self._found
        return int(found.image_ids[detection]), int(found.category_ids[detection])

    def _label(self, thing: int) -> tuple[int, int]:
        return int(self.things.image_ids[thing]), int(self.things.category_ids[thing])


def _shared(box: NDArray[np.float64], boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Square pixels that a box of shape (4,), xywh, has in common with each of (N, 4)."""
    low = np.maximum(box[:2], boxes[:, :2])
    high = np.minimum(box[:2] + box[2:], boxes[:, :2] + boxes[:, 2:])
    sides = np.maximum(high - low, 0)
    shared: NDArray[np.float64] = sides[:, 0] * sides[:, 1]
    return shared


def _ious(box: NDArray[np.float64], boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of a box of shape (4,), xywh, with each of (N, 4); 0 with one without area."""
    shared = _shared(box, boxes)
    union = box[2] * box[3] + boxes[:, 2] * boxes[:, 3] - shared
    ious: NDArray[np.float64] = np.zeros_like(shared)
    np.divide(shared, union, out=ious, where=union > 0)
    return ious
