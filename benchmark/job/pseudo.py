"""Boxes of another run as a training set: predicted once, written beside the run, and read with the training split.

``pseudo.json`` holds them in COCO's form. The training reads one file that has the labels, too, and not two data sets
that are joined: hooks that switch pipelines, samplers that ask for classes and what repeats or mixes a data set work on
one as ever.
"""

from __future__ import annotations

import gc
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import numpy as np

from benchmark.config.tree import Config, leaves, replaced
from benchmark.data.annotations import Annotations, read_annotations
from benchmark.data.keep import ImageFilter, kept_images
from benchmark.errors import UserError, few
from benchmark.files import JsonObject, read_json, sha256_file, write_text
from benchmark.job.base import RunJob, source_of
from benchmark.job.inputs import NotAsAsked
from benchmark.job.several import rank
from benchmark.run import checkpoints
from benchmark.run.folder import RunFolder
from benchmark.run.journal import now
from benchmark.run.spec import PseudoLabels, RunSpec
from benchmark.statistics.evaluation import Detections

_WAIT_S = 0.5
_NAMED = 30  # classes that a note counts


@dataclass(frozen=True)
class Learnt:
    """What a training learns of another run's boxes.

    Attributes:
        content: The config, with the boxes among the images that it trains on.
        note: How many boxes they are, of each class, in a sentence.
        made_from: When the run that predicted them had ended, by its id.
    """

    content: Config
    note: str
    made_from: Mapping[str, str]


def with_pseudo(job: RunJob, asked: PseudoLabels, content: Config) -> Learnt:
    """Has the boxes predicted, unless that is done, and puts them beside the labels that a config trains on.

    The first process of several does it, and the others wait for it.

    Args:
        job: A training that has read its config.
        asked: Which boxes it learns.
        content: The config's plain values.

    Raises:
        NotAsAsked: The run that is to predict them is not complete.
        UserError: No box has the score that is asked for, or the run has neither weights nor boxes of the images.
        Stopped: The job is asked to end.
    """
    folder = job.folder
    source, record = source_of(folder, job.spec.made_from[0])
    origin = _origin(record.run_id, record.finished_at, asked)
    if rank() == 0 and not _is_made(folder, origin):
        if checkpoints.saved(folder.checkpoints):
            # They were trained on the boxes of before.
            checkpoints.remove_all_but_final(folder.checkpoints)
        _predict(job, asked, source, origin)
    _wait(folder, lambda: _is_made(folder, origin))
    leaf = next(leaves(content["train_dataloader"], ("train_dataloader",)))
    changed = {**leaf.node, **_joined(folder, leaf.node)}
    job.inputs.note_made(folder.pseudo_file)
    made = {record.run_id: record.finished_at}
    return Learnt(replaced(content, leaf.path, changed), _note(folder, record.run_id, asked), made)


def _wait(folder: RunFolder, until: Callable[[], bool]) -> None:
    """Waits for what the first process makes: they have not joined yet, so that it cannot be asked.

    Where that is asked to end, it ends the others with it.

    Raises:
        NotAsAsked: That process has failed.
    """
    while not until():
        if folder.finished:
            raise NotAsAsked("the boxes to learn were not made: see the record")
        time.sleep(_WAIT_S)


def _origin(run_id: str, finished_at: str, asked: PseudoLabels) -> JsonObject:
    """What the boxes depend on; it stands in the file."""
    return {
        "run": run_id,
        "finished_at": finished_at,
        "score": asked.score,
        "images": str(asked.images.images),
        "sha256": asked.images.sha256,
    }


def _is_made(folder: RunFolder, origin: JsonObject) -> bool:
    try:
        made = read_json(folder.pseudo_file)["info"]
    except (OSError, ValueError, LookupError, TypeError):
        return False
    return bool({key: made.get(key) for key in origin} == origin)


def _predict(job: RunJob, asked: PseudoLabels, source: RunFolder, origin: JsonObject) -> None:
    listed = asked.images.read()
    found = _test_boxes(job.spec, asked, source)
    if found is None:
        print(f"{now()} predicting on {len(listed.images.ids)} images", flush=True)
        found = _by_the_model(job, asked, source, listed)
    sure = found.chosen(found.scores >= asked.score)
    if not len(sure):
        best = f"the highest is {found.scores.max():.3f}" if len(found) else "it finds none at all"
        raise UserError(
            f"pseudo: no box of run {origin['run']} has a score of {asked.score:g} or more; {best}: lower 'score', or "
            "leave 'pseudo' out"
        )
    content = _coco(sure, listed, read_annotations(job.spec.dataset.train.annotations))
    about = {**origin, "image_count": len(listed.images.ids)}
    write_text(job.folder.pseudo_file, json.dumps({"info": about, **content}, allow_nan=False))


def _test_boxes(spec: RunSpec, asked: PseudoLabels, source: RunFolder) -> Detections | None:
    """The boxes that the source has kept of the test split, where that is what is asked for; else None."""
    if asked.images != spec.dataset.test or not source.test_predictions_file.exists():
        return None
    tested = source.tested_if_any()
    if tested is None or tested.sha256 != asked.images.sha256:
        return None
    return Detections.from_coco(read_json(source.test_predictions_file))


def _by_the_model(
    job: RunJob, asked: PseudoLabels, source: RunFolder, listed: Annotations
) -> Detections:
    """The boxes that the source's model finds; what is left of it is removed before the training begins."""
    if not (source.checkpoints / checkpoints.FINAL).exists():
        raise UserError(
            f"pseudo: run {source.path.name} has no weights of its own that could look at other images: name another "
            "row in 'from', or 'images: test', of which it has boxes"
        )
    from benchmark.job.evaluating import Pictured, Place, predict_images
    from benchmark.job.leaving import leave_if_asked

    work = job.folder.path / "mmengine"
    work.mkdir(exist_ok=True)
    # Whatever the file of the images lists, the boxes are to be labels beside those of the training split.
    train = read_annotations(job.spec.dataset.train.annotations)
    pictured = Pictured(replace(listed, categories=train.categories), asked.images.images)
    place = Place(work, job.options.resources)
    stop = job.folder.stop_file
    found = predict_images(source, pictured, place, told=lambda *_: leave_if_asked(stop))
    gc.collect()
    return found


def _coco(found: Detections, listed: Annotations, train: Annotations) -> JsonObject:
    """Boxes as an annotation file: the images that have some, and the categories of the training split."""
    images = listed.images
    rows = [row for row, held in enumerate(np.isin(images.ids, found.image_ids)) if held]
    columns = (images.ids.tolist(), images.files, images.width.tolist(), images.height.tolist())
    keys = ("id", "file_name", "width", "height")
    return {
        "images": [{key: c[row] for key, c in zip(keys, columns, strict=True)} for row in rows],
        "annotations": [
            {"id": number, **box, "area": box["bbox"][2] * box["bbox"][3], "iscrowd": 0}
            for number, box in enumerate(found.to_coco(), 1)
        ],
        "categories": [category._asdict() for category in train.categories],
    }


# Beside the labels


def _joined(folder: RunFolder, leaf: Config) -> Config:
    """What a data set of a config says so that it reads the boxes, too."""
    labels, pseudo = Path(leaf["ann_file"]), folder.pseudo_file
    digest = hashlib.sha256(f"{sha256_file(labels)}{sha256_file(pseudo)}".encode()).hexdigest()
    path = folder.path / f"pseudo-train-{digest[:12]}.json"
    if not path.exists() and rank() == 0:
        write_text(path, json.dumps(_together(read_json(labels), read_json(pseudo))))
    _wait(folder, path.exists)
    return {"ann_file": str(path), **_indices(leaf, read_annotations(labels), path)}


def _together(labels: JsonObject, pseudo: JsonObject) -> JsonObject:
    """The labels with the boxes behind them, under ids that are free; the paths of their images are absolute."""
    images, boxes = labels["images"], labels["annotations"]
    free_image, free_box = _free(images), _free(boxes)
    ids = {image["id"]: next(free_image) for image in pseudo["images"]}
    folder = Path(pseudo["info"]["images"])
    more = [
        {**image, "id": ids[image["id"]], "file_name": str(folder / image["file_name"])}
        for image in pseudo["images"]
    ]
    found = [
        {**box, "id": next(free_box), "image_id": ids[box["image_id"]]}
        for box in pseudo["annotations"]
    ]
    return {**labels, "images": [*images, *more], "annotations": [*boxes, *found]}


def _free(entries: list[JsonObject]) -> Iterator[int]:
    taken = {entry["id"] for entry in entries}
    return (number for number in count(1) if number not in taken)


def _indices(leaf: Config, labels: Annotations, path: Path) -> Config:
    """A profile that takes some of the images takes as many of those with boxes: they stand behind the others."""
    chosen = leaf.get("indices")
    if chosen is None:
        return {}
    kept = ImageFilter.of(leaf)
    own, all_kept = len(kept_images(labels, kept)), len(kept_images(read_annotations(path), kept))
    first = list(range(min(chosen, own))) if isinstance(chosen, int) else list(chosen)
    return {"indices": [*first, *range(own, min(own + len(first), all_kept))]}


def _note(folder: RunFolder, run_id: str, asked: PseudoLabels) -> str:
    made = read_annotations(folder.pseudo_file)
    counts = sorted(made.boxes_per_class.items(), key=lambda item: -item[1])
    named = few((f"{name} {number}" for name, number in counts if number), _NAMED)
    of_images = read_json(folder.pseudo_file)["info"]["image_count"]
    return (
        f"learnt {len(made.boxes.ids)} boxes that run {run_id} predicts with a score from {asked.score:g} on, in "
        f"{len(made.images.ids)} of {of_images} images: {named} ({folder.pseudo_file.name}, SHA-256 "
        f"{made.sha256[:12]}…)"
    )
