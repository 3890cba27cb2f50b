"""Makes the boxes of a fused row from those of its source runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.files import read_json
from benchmark.job.made.base import Made, Making
from benchmark.job.made.fusing.calibrate import Evidence, calibrated
from benchmark.job.made.fusing.fuse import Fused, fuse
from benchmark.job.made.fusing.most import MOST
from benchmark.job.made.fusing.settings import Calibration, Method, Settings
from benchmark.run.fields import Checked
from benchmark.run.folder import RunFolder
from benchmark.run.spec import RunSpec
from benchmark.statistics.evaluation import Detections
from benchmark.statistics.matches import Matches

_AGAIN = "remove that run with 'detboard runs rm', and sweep its row again"


@dataclass(frozen=True)
class _Asked:
    """What the recipe says, see `benchmark.experiment.rows.fuse.Fusion`; a weight a row."""

    method: Method
    weights: tuple[float, ...]
    iou: float
    skip: float
    calibrate: Calibration | None


_ASKED = Checked(_Asked)


@dataclass(frozen=True)
class _Source:
    """A run whose boxes are fused."""

    folder: RunFolder
    spec: RunSpec

    def boxes(self) -> Detections:
        """Its boxes on its validation images."""
        return _read(self.folder.predictions_file)

    def matches(self) -> Matches:
        """Which of them found an object."""
        return Matches.load(self.folder.matches_file)


@dataclass(frozen=True)
class _Detector:
    """The runs of one row and seed: one run, or one a fold."""

    runs: tuple[_Source, ...]
    calibrate: Calibration | None

    @property
    def row(self) -> str:
        return self.runs[0].spec.row

    def boxes(self, fold: int | None) -> Detections:
        """Its boxes on the validation images of a fold, or on those of all its runs."""
        own = [run for run in self.runs if fold is None or run.spec.fold == fold]
        return Detections.concatenate([self._calibrated(run) for run in own])

    def _calibrated(self, run: _Source) -> Detections:
        if self.calibrate is None:
            return run.boxes()
        # By other images than those that the boxes are judged on, where there are any.
        others = [other for other in self.runs if other.spec.fold != run.spec.fold]
        evidence = Evidence.of([other.matches() for other in others or [run]])
        return calibrated(run.boxes(), self.calibrate, evidence)


def make(making: Making) -> Made:
    """Fuses the boxes of a run's sources.

    The rows count in the order in which their runs are named. The runs of one row have the weight of their row each.

    Raises:
        ValueError: The boxes of a source cannot be read, its scores cannot be weighted, or not be calibrated.
    """
    asked = _ASKED(making.spec.making["fuse"])
    detectors = _detectors([folder for folder, _ in making.sources], asked.calibrate)
    rows = list(dict.fromkeys(detector.row for detector in detectors))
    weights = tuple(asked.weights[rows.index(detector.row)] for detector in detectors)
    settings = Settings(asked.method, weights, asked.iou, asked.skip)
    boxes = [detector.boxes(making.spec.fold) for detector in detectors]
    fused = fuse(boxes, settings)
    _say(boxes, fused)
    return Made({"val": fused.detections})


def _detectors(folders: Sequence[RunFolder], calibrate: Calibration | None) -> Sequence[_Detector]:
    runs: dict[tuple[str, int], list[_Source]] = {}
    for folder in folders:
        spec = folder.read_spec()
        runs.setdefault((spec.row, spec.seed), []).append(_Source(folder, spec))
    return [_Detector(tuple(of), calibrate) for of in runs.values()]


def _read(file: Path) -> Detections:
    try:
        return Detections.from_coco(read_json(file))
    except FileNotFoundError:
        raise ValueError(f"{file}: is missing, and with it boxes to fuse; {_AGAIN}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file}: damaged ({type(error).__name__}: {error}); {_AGAIN}") from None


def _say(boxes: Sequence[Detections], fused: Fused) -> None:
    counts = " + ".join(str(len(one)) for one in boxes)
    print(f"val: {counts} boxes fused to {len(fused.detections)}", flush=True)
    if fused.flat:
        print(f"val: {fused.flat} boxes without any area were left out", flush=True)
    if fused.beyond:
        print(
            f"val: {fused.beyond} fused boxes beyond the best {MOST} of their class in their image were left out, "
            "which an evaluation would not count",
            flush=True,
        )
