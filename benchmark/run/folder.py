"""The folder that a run is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from benchmark.errors import UserError
from benchmark.files import read_json, write_json
from benchmark.run.record import RunRecord
from benchmark.run.spec import RunSpec


class RunFolder:
    """The paths of a run; the folder is the run.

    They are put together when they are asked for: a report makes ten thousand folders, and asks each for two.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def spec_file(self) -> Path:
        """What was asked."""
        return self.path / "spec.json"

    @property
    def config_file(self) -> Path:
        """The whole mmdet config."""
        return self.path / "config.py"

    @property
    def metrics_file(self) -> Path:
        """Every logged training step and validation."""
        return self.path / "metrics.jsonl"

    @property
    def predictions_file(self) -> Path:
        """The last evaluation's boxes."""
        return self.path / "predictions.json"

    @property
    def matches_file(self) -> Path:
        """Which of them found an object."""
        return self.path / "matches.npz"

    @property
    def bootstrap_file(self) -> Path:
        """mAP50 of resampled images."""
        return self.path / "bootstrap.npy"

    @property
    def samples_file(self) -> Path:
        """A few images with their boxes."""
        return self.path / "samples.json"

    @property
    def record_file(self) -> Path:
        """What happened."""
        return self.path / "record.json"

    @property
    def log_file(self) -> Path:
        """Everything that the job printed."""
        return self.path / "log.txt"

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def stop_file(self) -> Path:
        """Made by whoever wants the job to end early."""
        return self.path / "stop"

    @property
    def lock_file(self) -> Path:
        """Held by the job while it lives."""
        return self.path / "job.lock"

    @property
    def finished(self) -> bool:
        """Whether the run has a record."""
        return self.record_file.exists()

    def read_spec(self) -> RunSpec:
        """What was asked.

        Raises:
            UserError: The file is damaged, or not of a run.
        """
        return _read(self.spec_file, RunSpec.from_json)

    def read_record(self) -> RunRecord:
        """What happened.

        Raises:
            UserError: The file is damaged.
        """
        return _read(self.record_file, RunRecord.from_json)

    def write_spec(self, spec: RunSpec) -> None:
        """Writes ``spec.json`` atomically."""
        write_json(self.spec_file, spec.to_json())

    def write_record(self, record: RunRecord) -> None:
        """Writes ``record.json`` atomically: the last thing that a job does."""
        write_json(self.record_file, asdict(record))


_Read = TypeVar("_Read")


def _read(path: Path, from_json: Callable[[Any], _Read]) -> _Read:
    try:
        return from_json(read_json(path))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path}: damaged, or not of this program ({type(error).__name__}: {error}); "
            "move its folder away, and the next sweep runs it again"
        ) from None
