"""A run as a tracker shows it: the points of its journal, sample images, and its record."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import partial
from itertools import islice
from pathlib import Path

from benchmark.experiment.experiment import Tracking
from benchmark.run.record import RunRecord, Tracked
from benchmark.run.samples import ImageSample
from benchmark.run.spec import RunSpec
from benchmark.tracking.base import Subject, Tracker
from benchmark.tracking.guarded import Guarded
from benchmark.writing.addresses import public

_STEPS = ("iter", "epoch")
_NOT_PLOTTED = frozenset({"kind", "per_class", "elapsed_s", *_STEPS})


class RunTracker:
    """Tracks a run, or goes on with it; never raises, prompts or waits for the network longer than said."""

    def __init__(
        self, spec: RunSpec, config: Mapping[str, object], folder: Path, tracking: Tracking
    ) -> None:
        self._guarded = Guarded(_subject(spec, config, folder), tracking)
        self._max_images = tracking.images
        self._steps: dict[str, float] = {}

    @property
    def tracked(self) -> Tracked:
        """Where the run is tracked; waits at most 16 s for a connection."""
        return self._guarded.tracked

    def log(self, point: Mapping[str, object]) -> None:
        """Shows a line of ``metrics.jsonl`` against its own ``iter`` and ``epoch``.

        Numbers of a point of kind ``train`` or ``val`` become ``train/loss``, ``val/mAP50`` and so
        on, and the APs of each class ``val/AP50/<class>`` and ``val/AP/<class>``. Values that are
        None, and points of other kinds, are left out.
        """
        if point.get("kind") in ("train", "val"):
            self._guarded.do(partial(self._log, dict(point)))

    def images(self, samples: Iterable[ImageSample]) -> None:
        """Shows images with their boxes; where tracking is off the iterable is not even read."""
        self._guarded.do(partial(self._images, samples))

    def finish(self, record: RunRecord) -> None:
        """Ends it with the record as its summary; what was not uploaded after 20 s stays on disk.

        Where the server has gone it is 3 s.
        """
        self._guarded.finish(lambda: _plain(record.to_json()), record.state)

    def abandon(self) -> None:
        """Leaves an interrupted run, so that the next attempt goes on with it."""
        self._guarded.abandon()

    def _log(self, point: Mapping[str, object], tracker: Tracker) -> None:
        self._steps = _numbers({step: point.get(step) for step in _STEPS})
        tracker.log(_plotted(point), self._steps)

    def _images(self, samples: Iterable[ImageSample], tracker: Tracker) -> None:
        shown = list(islice(samples, self._max_images))
        if shown:
            tracker.images("val/images", shown, self._steps)


def _subject(spec: RunSpec, config: Mapping[str, object], folder: Path) -> Subject:
    own = spec.which if spec.trial is None else f"trial {spec.trial}"
    return Subject(
        kind="run",
        id=spec.ids[0],
        name=f"{spec.row} {own}",
        group=spec.experiment,
        tags=_tags(spec),
        config=_config(spec, config),
        folder=folder,
        class_names=spec.dataset.classes,
    )


def _tags(spec: RunSpec) -> tuple[str, ...]:
    trial = [] if spec.trial is None else ["trial", spec.row]
    names = [spec.profile, *spec.names.values(), *trial]
    return tuple(dict.fromkeys(name for name in names if name))


def _config(spec: RunSpec, config: Mapping[str, object]) -> dict[str, object]:
    asked = spec.to_json()
    asked["dataset"] = {
        "name": spec.dataset.name,
        "classes": list(spec.dataset.classes),
        "train_sha256": spec.dataset.train.sha256,
        "val_sha256": spec.dataset.val.sha256,
        **({} if spec.fold is None else {"fold": spec.fold}),
    }
    return {**_plain(config), **_plain(asked)}


def _plain(values: Mapping[str, object]) -> dict[str, object]:
    """Values that JSON has; what it has not is written out as text."""
    return {str(key): _plain_value(value) for key, value in values.items()}


def _plain_value(value: object) -> object:
    if isinstance(value, Mapping):
        return _plain(value)
    if isinstance(value, list | tuple | set):
        return [_plain_value(item) for item in value]
    if isinstance(value, str):
        return public(value)
    return json.loads(json.dumps(value, default=str))


def _plotted(point: Mapping[str, object]) -> dict[str, float]:
    values = {key: value for key, value in point.items() if key not in _NOT_PLOTTED}
    by_class = point.get("per_class")
    for name, found in by_class.items() if isinstance(by_class, Mapping) else ():
        values |= {f"AP50/{name}": found.get("mAP50"), f"AP/{name}": found.get("mAP")}
    return {f"{point['kind']}/{key}": value for key, value in _numbers(values).items()}


def _numbers(values: Mapping[str, object]) -> dict[str, float]:
    """Those of the values that are numbers; yes and no are 1 and 0."""
    numbers = {key: value for key, value in values.items() if isinstance(value, int | float)}
    return {k: float(v) if isinstance(v, bool) else v for k, v in numbers.items()}
