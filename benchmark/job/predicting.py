"""The boxes that a run's model finds on any images, by the test pipeline of the run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mmengine import dist
from mmengine.evaluator import Evaluator
from mmengine.hooks import Hook
from mmengine.runner import TestLoop

from benchmark.config.config_file import plain
from benchmark.data.annotations import Annotations
from benchmark.files import write_json
from benchmark.job.evaluating import Pictured, loader_of
from benchmark.job.leaving import leave_if_asked
from benchmark.job.metric import DetectionsMetric
from benchmark.job.several import is_seen
from benchmark.job.training import JobRunner
from benchmark.statistics.evaluation import Detections

_LISTING = "images.json"


@dataclass(frozen=True)
class Unseen:
    """Images that boxes are predicted on.

    Attributes:
        annotations: What lists them; its boxes are not looked at.
        folder: What their names are relative to.
        category_ids: Category id of each class by its name, in label order.
        stop_file: Made by whoever wants the job to end early.
    """

    annotations: Annotations
    folder: Path
    category_ids: Mapping[str, int]
    stop_file: Path


def predict(runner: JobRunner, unseen: Unseen) -> Detections | None:
    """The boxes of a runner's model, with the weights that it has, on every one of some images.

    The images go through the pipeline of the run's validation, in batches of its size and in its precision. The
    processes of a distributed run share them. No hook of the run is called.

    Args:
        runner: Its config has a ``val_dataloader``, or a ``test_dataloader`` in its place.
        unseen: The images.

    Returns:
        All boxes, COCO xywh in pixels of the original images; None in all processes but the first.

    Raises:
        Stopped: ``unseen.stop_file`` asks for it.
    """
    listing = Path(runner.work_dir) / _LISTING
    if dist.is_main_process():
        write_json(listing, _listed(unseen), indent=None)
    dist.barrier()
    is_seen(listing)
    metric = DetectionsMetric(unseen.category_ids)
    own = runner.cfg.get("val_dataloader") or runner.cfg["test_dataloader"]
    loader = loader_of(plain(dict(own)), listing, unseen.folder)
    precision = (runner.cfg.get("val_cfg") or runner.cfg.get("test_cfg") or {}).get("fp16", False)
    with _alone(runner, _LeaveHook(unseen.stop_file)):
        loop = TestLoop(runner, loader, Evaluator([metric]), precision)
        runner._test_loop = loop
        loop.run()
    return metric.found


def _listed(unseen: Unseen) -> Mapping[str, object]:
    """A COCO file of the images alone: mmdet's data set reads no other than these fields."""
    return {
        "images": Pictured(unseen.annotations, unseen.folder).entries(),
        "annotations": [],
        "categories": [{"id": key, "name": name} for name, key in unseen.category_ids.items()],
    }


@contextmanager
def _alone(runner: JobRunner, hook: Hook) -> Iterator[None]:
    """Meanwhile the runner has no other hook, and afterwards its own test loop again."""
    hooks, loop = runner._hooks, runner._test_loop
    runner._hooks = [hook]
    try:
        yield
    finally:
        runner._hooks, runner._test_loop = hooks, loop


class _LeaveHook(Hook):  # type: ignore[misc]
    """Ends a long evaluation early where that is asked for."""

    def __init__(self, stop_file: Path) -> None:
        self._stop_file = stop_file

    def after_test_iter(self, *_args: object, **_kwargs: object) -> None:
        """Raises `Stopped` in all processes if it is."""
        leave_if_asked(self._stop_file)
