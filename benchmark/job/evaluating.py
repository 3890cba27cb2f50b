"""From a run's config and weights to boxes on any images: what is evaluated without being trained."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.config.config_file import plain
from benchmark.config.imports import importing_from
from benchmark.config.shrink.weights import load_nothing
from benchmark.config.tree import Config, leaves
from benchmark.config.unvalidated import as_if_validated
from benchmark.config.views import augmented
from benchmark.data.annotations import Annotations, read_annotations
from benchmark.errors import UserError, few
from benchmark.experiment.rows.augmented import Views
from benchmark.files import JsonObject, is_file, write_text
from benchmark.job.building import build_runner
from benchmark.job.inputs import Inputs
from benchmark.run import checkpoints
from benchmark.run.folder import RunFolder
from benchmark.run.options import Resources
from benchmark.run.spec import RunSpec
from benchmark.statistics.evaluation import Detections

if TYPE_CHECKING:
    from torch.utils.data import DataLoader

    from benchmark.job.training import JobRunner

Told = Callable[[int, int], None]
"""Hears how many images are done, and of how many."""

# What only a training needs.
_OF_TRAINING = ("train_dataloader", "train_cfg", "optim_wrapper", "param_scheduler", "load_from")
_OF_TEST = ("test_dataloader", "test_cfg", "test_evaluator")
# What a loader may say that leaves images out, joins them otherwise than one after the other, or outlives one pass.
_PARTIAL = ("batch_sampler", "drop_last", "num_batch_per_epoch", "persistent_workers")


@dataclass(frozen=True)
class Place:
    """Where a detector is at work.

    Attributes:
        folder: Takes temporary files: a folder of the caller's.
        resources: Threads and GPUs; it is one process, whatever they say.
    """

    folder: Path
    resources: Resources


@dataclass(frozen=True)
class Pictured:
    """Images that boxes are to be found in.

    Attributes:
        listed: Their ids, names and sizes; what else is in it is not looked at.
        folder: What the names are relative to.
        image_ids: Those of them to look at, in this order; None for all.
    """

    listed: Annotations
    folder: Path
    image_ids: Sequence[int] | None = None

    def entries(self) -> list[JsonObject]:
        """The images as an annotation file lists them."""
        images = self.listed.images
        columns = (images.ids.tolist(), images.files, images.width.tolist(), images.height.tolist())
        rows = {
            key: {"id": key, "file_name": name, "width": width, "height": height}
            for key, name, width, height in zip(*columns, strict=True)
        }
        return [*rows.values()] if self.image_ids is None else [rows[key] for key in self.image_ids]


class Detector:
    """A run's model with its weights, which finds boxes in images as the run's validation does.

    The images go through the pipeline of the run's validation, in its batches and in its precision. With views they
    are augmented, see `benchmark.config.views.augmented`.

    Args:
        content: The plain values of the run's ``config.py``; the modules that it names are imported.
        spec: What was asked of the run.
        place: Where it works.
        views: The views of each image; None for the image itself.

    Raises:
        UserError: The views do not go with the run.
        Exception: The model cannot be built.
    """

    def __init__(
        self, content: Config, spec: RunSpec, place: Place, views: Views | None = None
    ) -> None:
        self._place = place
        self._classes = spec.dataset.classes
        self._loader: Config = content["val_dataloader"]
        self._pipeline = augmented(content, views, spec.overrides) if views else None
        self.runner = _runner(content, place)
        self._half = bool(content["val_cfg"].get("fp16"))
        self._model = self.runner.model
        if views:
            from benchmark.job.augmenting import with_views

            self._model = with_views(self.runner.model, content)

    def load(self, path: Path) -> None:
        """Takes the weights of a checkpoint of this very model.

        Raises:
            UserError: It is not whole, or of another model.
            NotTrusted: It would run code, and is not trusted.
        """
        from benchmark.job.resuming import difference
        from benchmark.job.weights import load_checkpoint

        if not is_file(path):
            raise UserError(f"{path}: is gone: the run has to be made again ('detboard runs rm')")
        if not checkpoints.is_whole(path):
            raise UserError(f"{path}: is damaged: the run has to be made again")
        state = load_checkpoint(path)["state_dict"]
        if told := difference(state, self.runner.bare_model.state_dict()):
            raise UserError(f"{path}: {told}")
        self.runner.take_weights(path)

    def find(
        self, pictured: Pictured, category_ids: Sequence[int], told: Told | None = None
    ) -> Detections:
        """The boxes in images, in pixels of the original image.

        Args:
            pictured: The images.
            category_ids: The category id of each label, in the order of the run's classes.
            told: Hears of the progress.
        """
        import numpy as np

        from benchmark.job.metric import detections_of, predicted_of

        if len(category_ids) != len(self._classes):
            raise ValueError(f"{len(category_ids)} categories for {len(self._classes)} classes")
        ids, known = np.array(category_ids, np.int64), np.ones(len(category_ids), np.bool_)
        images = pictured.entries()
        parts: list[Detections] = []
        for sample in self._samples(images, pictured.folder) if images else ():
            parts.append(detections_of(predicted_of(sample), known, ids))
            if told is not None:
                told(len(parts), len(images))
        return Detections.concatenate(parts)

    def _samples(self, images: Sequence[JsonObject], folder: Path) -> Iterator[JsonObject]:
        """What the model says of each image, in their order."""
        from mmengine.runner.amp import autocast

        from benchmark.job.measure.latency import predicting

        file = self._place.folder / "images.json"
        write_text(file, json.dumps({"images": images, "annotations": [], "categories": []}))
        loader = self._loader_of(file, folder)
        file.unlink()  # it was read
        with predicting(self._model), autocast(enabled=self._half):
            for batch in loader:
                yield from (sample.to_dict() for sample in self._model.test_step(batch))

    def _loader_of(self, file: Path, folder: Path) -> DataLoader[object]:
        from mmengine.config import ConfigDict

        wanted = loader_of(self._loader, file, folder)
        if self._pipeline:
            wanted["dataset"]["pipeline"] = self._pipeline
        with redirect_stdout(io.StringIO()):  # pycocotools says how long it reads
            made: DataLoader[object] = self.runner.build_dataloader(ConfigDict(wanted))
        return made


def loader_of(validation: Config, listing: Path, folder: Path) -> Config:
    """The loader of a run's validation for other images, each of them once and in their order.

    Args:
        validation: A ``val_dataloader`` in plain values, which stays as it is.
        listing: A COCO file that lists the images; none of its boxes is looked at.
        folder: What their names are relative to.
    """
    leaf = next(leaves(validation["dataset"])).node
    dataset = {
        **{key: value for key, value in leaf.items() if key != "indices"},
        "ann_file": str(listing),
        "data_root": "",
        "data_prefix": {"img": f"{folder}/"},
        "test_mode": True,
    }
    kept = {key: value for key, value in validation.items() if key not in _PARTIAL}
    return {**kept, "dataset": dataset, "sampler": {"type": "DefaultSampler", "shuffle": False}}


def _runner(content: Config, place: Place) -> JobRunner:
    """A runner that is not going to train, with its model on the device."""
    from mmengine.config import Config as MmengineConfig

    model = plain(content["model"])
    load_nothing(model)
    unused = dict.fromkeys((*_OF_TRAINING, *_OF_TEST))
    # Hooks act on trainings, and on what those hold beside the model: averages, which a checkpoint has in its place.
    made = {
        **content,
        **unused,
        "model": model,
        "custom_hooks": [],
        "resume": False,
        "log_level": "WARNING",
    }
    folder = RunFolder(place.folder)
    config = MmengineConfig(made, format_python_code=False)
    return build_runner(config, folder, replace(place.resources, processes=1))


def read_run(folder: RunFolder) -> tuple[RunSpec, Config]:
    """What was asked of a run, and the plain values of its ``config.py``; the modules that it names are imported.

    Raises:
        UserError: The run has no folder here, or its files cannot be read.
        NotAsAsked: The config, or a module, is not what the run was made with.
        Exception: Whatever a module raises.
    """
    from mmengine.config import Config as MmengineConfig

    spec = folder.read_spec()
    inputs = Inputs(spec, folder)
    inputs.check_config()
    with importing_from(spec.imports_from):
        read = MmengineConfig.fromfile(str(folder.config_file), lazy_import=False)
    content: Config = read.to_dict()
    inputs.check_modules(content)
    return spec, content if spec.validates else as_if_validated(content)


def detector_of(folder: RunFolder, place: Place, views: Views | None = None) -> Detector:
    """The detector that a complete run ended with.

    Raises:
        UserError: Its weights or its config are not here, or the views do not go with it.
        Exception: As `read_run` and `Detector` do.
    """
    spec, content = read_run(folder)
    detector = Detector(content, spec, place, views)
    detector.load(folder.checkpoints / checkpoints.FINAL)
    return detector


def predict_images(
    run: RunFolder,
    pictured: Pictured,
    place: Place,
    views: Views | None = None,
    told: Told | None = None,
) -> Detections:
    """The boxes that a complete run finds in images, whether or not the data that it was made with is here.

    To be called where checkpoints are loaded as data, see `benchmark.job.on_disk.loading`.

    Args:
        run: Its folder, with ``checkpoints/final.pth``.
        pictured: The images; category ids are those that they list, by the names of the classes, else those of the
            run's validation, else 1, 2, ... in label order.
        place: Where the detector works.
        views: For test-time augmentation, the views of each image.
        told: Hears of the progress.

    Raises:
        UserError: As `detector_of` does, or a class of the run is not among the categories of the images.
    """
    spec = run.read_spec()
    ids = category_ids(spec, pictured.listed)
    return detector_of(run, place, views).find(pictured, ids, told)


def category_ids(spec: RunSpec, listed: Annotations) -> list[int]:
    """The category id of each class of a run, in label order: see `predict_images`."""
    ids = {name: key for key, name in listed.categories}
    val = spec.dataset.val.annotations
    if not ids and is_file(val):
        ids = {name: key for key, name in read_annotations(val).categories}
    if not ids:
        return list(range(1, len(spec.dataset.classes) + 1))
    if lost := [name for name in spec.dataset.classes if name not in ids]:
        raise UserError(
            f"{listed.path}: its categories lack {few(lost)}, which run {spec.run_id} finds; there are {few(ids)}"
        )
    return [ids[name] for name in spec.dataset.classes]
