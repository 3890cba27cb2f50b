"""The folder that a run is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from benchmark.errors import UserError
from benchmark.files import JsonObject, read_json, write_json
from benchmark.run.record import RunRecord
from benchmark.run.spec import RunSpec


class _In:
    """A path inside the folder, put together when it is asked for.

    A report makes ten thousand folders, and asks each for two paths.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, folder: RunFolder, _kind: type[RunFolder]) -> Path:
        return folder.path / self.name


class RunFolder:
    """The paths of a run; the folder is the run.

    Attributes:
        spec_file: What was asked.
        config_file: The whole mmdet config.
        metrics_file: Every logged training step and validation.
        predictions_file: Boxes of the last evaluation.
        matches_file: Which of them found an object.
        bootstrap_file: mAP50 of resampled images.
        samples_file: A few images with their boxes.
        record_file: What happened.
        log_file: Everything that the job printed.
        checkpoints: Folder of the checkpoints.
        stop_file: Made by whoever wants the job to end early.
        lock_file: Held by the job while it lives.
        asked_by: Holds an empty file for each experiment that asked for the run beside the one in its spec.
        job_file: Where the job is to be found, see `benchmark.run.address`.
    """

    spec_file = _In("spec.json")
    config_file = _In("config.py")
    metrics_file = _In("metrics.jsonl")
    predictions_file = _In("predictions.json")
    matches_file = _In("matches.npz")
    bootstrap_file = _In("bootstrap.npy")
    samples_file = _In("samples.json")
    record_file = _In("record.json")
    log_file = _In("log.txt")
    checkpoints = _In("checkpoints")
    stop_file = _In("stop")
    lock_file = _In("job.lock")
    asked_by = _In("asked_by")
    job_file = _In("job.json")

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def finished(self) -> bool:
        """Whether the run has a record."""
        return self.record_file.exists()

    def note_asker(self, experiment: str) -> None:
        """Remembers that an experiment asked for the run, whoever started it."""
        self.asked_by.mkdir(exist_ok=True)
        (self.asked_by / experiment).touch()

    def read_spec(self) -> RunSpec:
        """What was asked.

        Raises:
            UserError: The file is damaged, or not of a run.
        """
        return _read(self.spec_file, RunSpec.from_json)

    def read_record(self) -> RunRecord:
        """What happened.

        Raises:
            UserError: The file is damaged, or is another run's.
        """
        record = _read(self.record_file, RunRecord.from_json)
        if record.run_id != self.path.name:
            raise UserError(
                f"{self.record_file}: is the record of another run, {record.run_id}; "
                "move its folder away, and the next sweep runs it again"
            )
        return record

    def write_spec(self, spec: RunSpec) -> None:
        """Writes ``spec.json`` atomically."""
        write_json(self.spec_file, spec.to_json())

    def write_record(self, record: RunRecord) -> None:
        """Writes ``record.json`` atomically: the last thing that a job does.

        Raises:
            UserError: The run is complete, and has no mAP50.
            ValueError: A number of the record is NaN or infinite.
        """
        record.require_scores()
        write_json(self.record_file, record.to_json())


_Read = TypeVar("_Read")


def _read(path: Path, from_json: Callable[[JsonObject], _Read]) -> _Read:
    try:
        return from_json(read_json(path))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path}: damaged, or not of this program ({type(error).__name__}: {error}); "
            "move its folder away, and the next sweep runs it again"
        ) from None
