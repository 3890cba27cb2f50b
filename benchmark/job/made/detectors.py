"""Boxes of detectors that are not trained: of weights that are given, and of other rows' checkpoints, augmented."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from benchmark.data.dataset import Split
from benchmark.experiment.rows.augmented import Views
from benchmark.files import is_file
from benchmark.job.building import make_ready, read_content
from benchmark.job.evaluating import Detector, Pictured, Place, Told, detector_of
from benchmark.job.made.base import Made, Making
from benchmark.run import checkpoints
from benchmark.run.journal import now
from benchmark.statistics.evaluation import Detections

_TOLD_EACH = 200  # images between two lines of the log


def evaluated(making: Making) -> Made:
    """The boxes that a model finds with the weights that it is given; they are kept as those of a training are."""
    spec, folder = making.spec, making.folder
    kept = folder.checkpoints / checkpoints.FINAL
    with _at_work(making) as place:
        content = read_content(spec, folder, making.inputs)
        detector = Detector(content, spec, place)
        if is_file(kept) and "val" not in making.splits:
            detector.load(kept)  # the run is complete, and what it was given may be gone
        else:
            detector.runner.belong_to(spec.ids, None)
            detector.runner.take_given(content["load_from"], spec.dataset.classes)
            detector.runner.keep_weights(kept, spec.dataset.classes)
        return Made(_found(making, detector), detector.runner)


def augmented(making: Making) -> Made:
    """The boxes that the source run's model finds in several views of each image."""
    source, _ = making.sources[0]
    views = Views.model_validate(making.spec.making["tta"])
    with _at_work(making) as place:
        detector = detector_of(source, place, views)
        return Made(_found(making, detector))


@contextmanager
def _at_work(making: Making) -> Iterator[Place]:
    """Where a detector may work: weights are loaded as data, and what it writes is removed afterwards."""
    from benchmark.job.on_disk import loading

    make_ready(making.options.resources, making.options.cache)
    folder = making.folder.path / "mmengine"
    folder.mkdir(exist_ok=True)
    try:
        with loading(making.options.trust_checkpoints), making.inputs.noting_weights():
            yield Place(folder, making.options.resources)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _found(making: Making, detector: Detector) -> Mapping[str, Detections]:
    """The boxes in the images of each split that is asked for."""
    ids = [making.category_ids[name] for name in making.spec.dataset.classes]
    found = {}
    for name in making.splits:
        listed = making.annotations[name]
        split: Split = getattr(making.spec.dataset, name)
        chosen = [key for key in listed.images.ids.tolist() if key in making.image_ids[name]]
        pictured = Pictured(listed, split.images, chosen)
        found[name] = detector.find(pictured, ids, _told(making, name))
    return found


def _told(making: Making, split: str) -> Told:
    """What hears of the progress: it writes the log, and ends the job if that is asked for."""
    from benchmark.job.leaving import leave_if_asked

    def told(done: int, total: int) -> None:
        leave_if_asked(making.folder.stop_file)
        if done == total or done % _TOLD_EACH == 0:
            print(f"{now()} {split}: {done} of {total} images", flush=True)

    return told
