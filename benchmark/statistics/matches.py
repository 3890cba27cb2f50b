"""Which detections found an object: what an evaluation at IoU 0.5 comes to, matched once."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.files import read_bytes, replacing
from benchmark.statistics.evaluation import Detections, GroundTruth
from benchmark.statistics.ids import places, sorted_ids


@dataclass(frozen=True)
class Matches:
    """One evaluation at IoU 0.5: all object sizes, at most 100 detections an image and class.

    Detections that count for nothing (on a crowd, or past the hundredth) are left out. The others
    are sorted by class, then by score, highest first; equal scores are in pycocotools' order.
    I images, K classes, N detections.

    Attributes:
        image_ids: The evaluated images, sorted, shape (I,), int64.
        files: ``file_name`` of each image, I of them.
        classes: Names in label order, K of them.
        objects: Objects to find in each image of each class, crowds left out, (I, K), int32.
        label: Position of each detection's class in ``classes``, shape (N,), int16.
        image: Position of each detection's image in ``image_ids``, shape (N,), int32.
        score: Shape (N,), float64.
        hit: Whether the detection found an object that none before it had, shape (N,), bool.
    """

    image_ids: NDArray[np.int64]
    files: tuple[str, ...]
    classes: tuple[str, ...]
    objects: NDArray[np.int32]
    label: NDArray[np.int16]
    image: NDArray[np.int32]
    score: NDArray[np.float64]
    hit: NDArray[np.bool_]

    def save(self, path: Path) -> None:
        """Writes a compressed ``.npz``, atomically; the same matches give the same bytes."""
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(
                file,
                image_ids=self.image_ids,
                files=np.array(self.files, np.str_),
                classes=np.array(self.classes, np.str_),
                objects=self.objects,
                label=self.label,
                image=self.image,
                score=self.score,
                hit=self.hit,
            )

    @classmethod
    def load(cls, path: Path) -> Matches:
        """Reads what `save` wrote.

        Raises:
            OSError: The file is missing or cannot be read.
            ValueError: It is not an ``.npz``, or one of something else, or what it holds does not fit together.
        """
        content = read_bytes(path)
        try:
            stored = _arrays(content)
        except Exception as error:  # whatever zipfile and numpy make of a damaged file
            raise ValueError(f"damaged ({type(error).__name__}: {error})") from None
        for name, (kind, rank) in _ARRAYS.items():
            array = stored[name]
            if not np.issubdtype(array.dtype, kind) or array.ndim != rank:
                raise ValueError(f"damaged ({name}: holds {array.ndim} axes of {array.dtype})")
        matches = cls(
            np.asarray(stored["image_ids"], np.int64),
            tuple(map(str, stored["files"])),
            tuple(map(str, stored["classes"])),
            np.asarray(stored["objects"], np.int32),
            np.asarray(stored["label"], np.int16),
            np.asarray(stored["image"], np.int32),
            np.asarray(stored["score"], np.float64),
            np.asarray(stored["hit"], np.bool_),
        )
        if wrong := matches._misfit():
            raise ValueError(f"damaged ({wrong})")
        return matches

    def _misfit(self) -> str:
        """What in it does not fit together; empty if all does."""
        images, classes, number = len(self.image_ids), len(self.classes), len(self.label)
        lengths = {"image": len(self.image), "score": len(self.score), "hit": len(self.hit)}
        checks = {
            "image_ids: not sorted, or twice": bool((np.diff(self.image_ids) > 0).all()),
            "files: not one an image": len(self.files) == images,
            "objects: not of the images and classes": self.objects.shape == (images, classes),
            "objects: below 0": bool((self.objects >= 0).all()),
            "label: no class": _within(self.label, classes),
            "image: no image": _within(self.image, images),
            "score: not finite": bool(np.isfinite(self.score).all()),
            **{f"{k}: not one a label": length == number for k, length in lengths.items()},
        }
        return next((wrong for wrong, well in checks.items() if not well), "")


# Types, and the number of axes.
_ARRAYS: dict[str, tuple[type[np.generic], int]] = {
    "image_ids": (np.int64, 1),
    "files": (np.str_, 1),
    "classes": (np.str_, 1),
    "objects": (np.int32, 2),
    "label": (np.int16, 1),
    "image": (np.int32, 1),
    "score": (np.float64, 1),
    "hit": (np.bool_, 1),
}
_MOST_BYTES = 4 << 30


def _arrays(content: bytes) -> dict[str, NDArray[np.generic]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > _MOST_BYTES:
        raise ValueError(f"unpacks to {size >> 30} GiB")
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        return {name: stored[name] for name in _ARRAYS}


def _within(numbers: NDArray[np.signedinteger], count: int) -> bool:
    return bool(((numbers >= 0) & (numbers < count)).all())


def match(
    truth: GroundTruth, detections: Detections, image_ids: Iterable[int], classes: Sequence[str]
) -> Matches:
    """Matches detections to objects as pycocotools does, at IoU 0.5, on some images.

    ``classes`` are in label order; one that the annotations do not have counts as a class without objects.

    Raises:
        ValueError: The annotations have none of the classes, or lack one of the images.
    """
    images = sorted_ids(image_ids)
    position, hit = _hits(truth, detections, images, classes)
    label = places(detections.category_ids[position], _categories(truth, classes))
    image = np.searchsorted(images, detections.image_ids[position])
    score = detections.scores[position]
    # pycocotools sorts an image's detections by score, then those of all images; both are stable.
    order = np.lexsort((position, image, -score, label))
    return Matches(
        image_ids=images,
        files=tuple(truth.files[number] for number in images.tolist()),
        classes=tuple(classes),
        objects=_objects(truth, images, classes),
        label=label[order].astype(np.int16),
        image=image[order].astype(np.int32),
        score=score[order],
        hit=hit[order],
    )


def _hits(
    truth: GroundTruth, detections: Detections, images: NDArray[np.int64], classes: Sequence[str]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Positions in ``detections`` of those that count, and whether each found an object."""
    run = truth.matching(detections, images.tolist(), classes)
    # Eight times faster than `eval_imgs`, which builds a dictionary an image and class.
    status = run.image_diagnostics(iou_thr=0.5)["dt_status"]
    numbers = np.fromiter(status.keys(), np.int64, len(status))
    hit = np.array([value == "tp" for value in status.values()], np.bool_)
    return numbers - 1, hit  # hotcoco numbers the boxes from 1 in the order given


def _objects(
    truth: GroundTruth, images: NDArray[np.int64], classes: Sequence[str]
) -> NDArray[np.int32]:
    image_ids, category_ids = truth.objects
    image = places(image_ids, images)
    label = places(category_ids, _categories(truth, classes))
    counted = (image >= 0) & (label >= 0)
    objects = np.zeros((len(images), len(classes)), np.int32)
    np.add.at(objects, (image[counted], label[counted]), 1)
    return objects


def _categories(truth: GroundTruth, classes: Sequence[str]) -> NDArray[np.int64]:
    """Category id of each class; the lowest number there is for one that the file lacks."""
    absent = np.iinfo(np.int64).min
    return np.array([truth.category_ids.get(name, absent) for name in classes], np.int64)
