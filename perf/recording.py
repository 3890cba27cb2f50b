"""Recorded search spaces: what settings of a row came to, validation by validation. `record.py` writes them.

``NAME.yaml`` says what is recorded and how, ``NAME.csv`` has a line a validation, ``NAME_images.csv.gz`` one a
validation and image. Files are replaced whole, so that a kill leaves those of the setting before.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmark.files import replacing, write_text

FOLDER = Path(__file__).resolve().parent / "recorded"
_MEASURED = ("epoch", "mAP50", "mAP", "seconds")
_HEADER = (
    "# A recorded search space: python perf/record.py {name} writes what stands from 'commit' on.\n"
)


@dataclass(frozen=True)
class Validation:
    """One validation of a training.

    Attributes:
        epoch: Epochs that were trained; of the one in which the loss was no number, that one.
        map50: mAP50 as a fraction; None where the loss was no number.
        map: mAP as a fraction; None where the loss was no number.
        seconds: CPU seconds until then, of the training with all that it builds.
        images: By image id the image's own score, see `record.image_scores`.
    """

    epoch: int
    map50: float | None
    map: float | None
    seconds: float
    images: Mapping[int, float]


class Recording:
    """A recorded space, as far as it is recorded.

    Args:
        name: Its name.
        folder: Where its files are.

    Attributes:
        name: Its name.
        asked: What ``NAME.yaml`` holds.
        lines: Lines of ``NAME.csv``, by column, in the order of the settings.
        images: Lines of ``NAME_images.csv.gz``.
    """

    def __init__(self, name: str, folder: Path = FOLDER) -> None:
        self.name = name
        self._yaml, self._csv = folder / f"{name}.yaml", folder / f"{name}.csv"
        self._gz = folder / f"{name}_images.csv.gz"
        self.asked: dict[str, Any] = yaml.safe_load(self._yaml.read_text(encoding="utf-8"))
        self.lines = _read(self._csv.read_text(encoding="utf-8")) if self._csv.exists() else []
        self.images = _read(gzip.decompress(self._gz.read_bytes()).decode()) if self.lines else []

    def params(self) -> dict[int, dict[str, str]]:
        """The parameters of each setting that is recorded, as they are written, by its number."""
        return {
            int(line["setting"]): {name: line[name] for name in self.asked["search"]}
            for line in self.lines
        }

    def final(self) -> dict[int, float]:
        """mAP50 of the last validation of each setting, by its number; 0 where the loss was no number."""
        return {int(line["setting"]): float(line["mAP50"] or 0) for line in self.lines}

    def add(self, setting: int, params: Mapping[str, Any], done: Sequence[Validation]) -> None:
        """Adds a setting and writes the files."""
        common = {"setting": str(setting), **{name: str(value) for name, value in params.items()}}
        for one in done:
            measured = (one.epoch, _digits(one.map50), _digits(one.map), f"{one.seconds:.2f}")
            self.lines.append(common | dict(zip(_MEASURED, map(str, measured), strict=True)))
            of_image = {"setting": str(setting), "epoch": str(one.epoch)}
            self.images += [
                of_image | {"image": str(image), "score": f"{score:.3f}"}
                for image, score in one.images.items()
            ]
        with replacing(self._gz) as temporary:
            temporary.write_bytes(gzip.compress(_written(self.images).encode(), mtime=0))
        write_text(self._csv, _written(self.lines))

    def note(self, **facts: object) -> None:
        """Writes facts into ``NAME.yaml``."""
        self.asked |= facts
        text = yaml.safe_dump(self.asked, sort_keys=False, width=110, default_flow_style=None)
        write_text(self._yaml, _HEADER.format(name=self.name) + text)


def _digits(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"


def _read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def _written(lines: Sequence[Mapping[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()
