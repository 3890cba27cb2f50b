"""Makes the boxes of a fused row from those of its source runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.data.dataset import Split
from benchmark.experiment.rows.fuse import Calibration, Method
from benchmark.files import read_json
from benchmark.job.made.base import Made, Making
from benchmark.job.made.fusing.calibrate import Evidence, calibrated
from benchmark.job.made.fusing.fuse import Fused, fuse
from benchmark.job.made.fusing.most import MOST
from benchmark.job.made.fusing.settings import Settings
from benchmark.run.fields import Checked
from benchmark.run.folder import RunFolder
from benchmark.run.spec import RunSpec
from benchmark.run.tested import is_tested
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

    def test_boxes(self, split: Split) -> Detections | None:
        """Its boxes on the test split; None where they will never be known.

        Raises:
            ValueError: They are not known yet.
        """
        tested = self.folder.tested_if_any()
        if not is_tested(tested, split) or tested is None:
            raise ValueError(f"runs/{self.folder.path.name} has no boxes of the test split yet")
        return None if tested.problem else _read(self.folder.test_predictions_file)

    def matches(self) -> Matches:
        """Which of its boxes on its validation images found an object."""
        return Matches.load(self.folder.matches_file)


@dataclass(frozen=True)
class _Detector:
    """The runs of one row and seed: one run, or one a fold."""

    runs: tuple[_Source, ...]
    calibrate: Calibration | None

    @property
    def row(self) -> str:
        return self.runs[0].spec.row

    def val_boxes(self, fold: int | None) -> Detections:
        """Its boxes on the validation images of a fold, or on those of all its runs."""
        found = []
        for run in self._of(fold):
            # By other images than those that the boxes are judged on, where there are any.
            others = [other for other in self.runs if other.spec.fold != run.spec.fold]
            found.append(self._calibrated(run.boxes(), others or [run]))
        return Detections.concatenate(found)

    def test_boxes(self, fold: int | None, split: Split) -> Detections | None:
        """Its boxes on the test split, those of one run; None where they will never be known."""
        (run,) = self._of(fold)
        boxes = run.test_boxes(split)
        return None if boxes is None else self._calibrated(boxes, [run])

    def _of(self, fold: int | None) -> Sequence[_Source]:
        return [run for run in self.runs if fold is None or run.spec.fold == fold]

    def _calibrated(self, boxes: Detections, by: Sequence[_Source]) -> Detections:
        if self.calibrate is None:
            return boxes
        return calibrated(boxes, self.calibrate, Evidence.of([run.matches() for run in by]))


def make(making: Making) -> Made:
    """Fuses the boxes of a run's sources, on each split whose boxes are wanted.

    The rows count in the order in which their runs are named. The runs of one row have the weight of their row each.

    Raises:
        ValueError: The boxes of a source cannot be read, its scores cannot be weighted, or not be calibrated.
    """
    asked = _ASKED(making.spec.making["fuse"])
    detectors = _detectors([folder for folder, _ in making.sources], asked.calibrate)
    rows = list(dict.fromkeys(detector.row for detector in detectors))
    weights = tuple(asked.weights[rows.index(detector.row)] for detector in detectors)
    settings = Settings(asked.method, weights, asked.iou, asked.skip)
    made: dict[str, Detections] = {}
    notes: list[str] = []
    for split in making.splits:
        boxes = _boxes(detectors, making.spec, split)
        if boxes is not None:
            fused = fuse(boxes, settings)
            made[split] = fused.detections
            notes += [*_notes(split, fused), *_nothing_left(split, boxes, fused, asked.skip)]
            counts = " + ".join(str(len(one)) for one in boxes)
            print(f"{split}: {counts} boxes fused to {len(fused.detections)}", flush=True)
    return Made(made, notes=(*notes, *_by_what(detectors)))


def _detectors(folders: Sequence[RunFolder], calibrate: Calibration | None) -> Sequence[_Detector]:
    runs: dict[tuple[str, int], list[_Source]] = {}
    for folder in folders:
        spec = folder.read_spec()
        runs.setdefault((spec.row, spec.seed), []).append(_Source(folder, spec))
    return [_Detector(tuple(of), calibrate) for of in runs.values()]


def _boxes(
    detectors: Sequence[_Detector], spec: RunSpec, split: str
) -> Sequence[Detections] | None:
    """The boxes of each detector on a split; None where those of one will never be known."""
    test = spec.dataset.test
    if split == "val" or test is None:
        return [detector.val_boxes(spec.fold) for detector in detectors]
    found = [detector.test_boxes(spec.fold, test) for detector in detectors]
    known = [boxes for boxes in found if boxes is not None]
    return known if len(known) == len(found) else None


def _read(file: Path) -> Detections:
    try:
        return Detections.from_coco(read_json(file))
    except FileNotFoundError:
        raise ValueError(f"{file}: is missing, and with it boxes to fuse; {_AGAIN}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file}: damaged ({type(error).__name__}: {error}); {_AGAIN}") from None


def _notes(split: str, fused: Fused) -> list[str]:
    """What of the boxes of a split is left out, in sentences."""
    told = []
    if fused.flat:
        told.append(f"{split}: {fused.flat} boxes of source rows without any area were left out")
    if fused.beyond:
        told.append(
            f"{split}: {fused.beyond} fused boxes beyond the best {MOST} of their class in their image were left out, "
            "which no evaluation would count"
        )
    return told


def _nothing_left(split: str, boxes: Sequence[Detections], fused: Fused, skip: float) -> list[str]:
    """That all boxes of a split were skipped, in a sentence where they were."""
    count = sum(map(len, boxes))
    if len(fused.detections) or not count or not skip:
        return []
    return [
        f"{split}: all {count:,} boxes of source rows were left out, with scores below 'skip' ({skip:g})"
    ]


def _by_what(detectors: Sequence[_Detector]) -> list[str]:
    """What the scores were calibrated by, in a sentence where these are the images that judge the run."""
    kind = detectors[0].calibrate
    if kind != "isotonic" or any(run.spec.fold is not None for run in detectors[0].runs):
        return []
    return [
        "val: scores were calibrated (isotonic) by the hits on the validation images: its scores there may be too high"
    ]
