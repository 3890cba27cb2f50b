"""The folder that a run is."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from benchmark.errors import UserError, shown, why
from benchmark.files import is_file, read_json, write_json
from benchmark.run.record import RunRecord
from benchmark.run.spec import RunSpec
from benchmark.run.tested import Tested


class Damaged(UserError):
    """A file of a run cannot be read; it costs that run, and the rest goes on."""


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
        tested_file: What the run came to on the test split.
        test_predictions_file: Its boxes there.
        test_matches_file: Which of them found an object.
        test_bootstrap_file: mAP50 of resampled test images.
        log_file: Everything that the job printed.
        checkpoints: Folder of the checkpoints.
        stop_file: Made by whoever wants the job to end early.
        lock_file: Held by the job while it lives.
        asked_by: Holds an empty file for each experiment that asked for the run beside the one in its spec.
        pseudo_file: Boxes of another run that it learns from.
        loaded_file: What of a checkpoint the training started from.
        accumulation_file: That its batches go through the model in parts, see `benchmark.run.accumulation`.
        memory_file: What memory it takes, see `benchmark.run.memory`.
        company_file: How many other runs have shared its device, see `benchmark.run.company`.
        job_file: Where the job is to be found, see `benchmark.run.address`.
        store_file: Where the folder is mirrored, and what of that was brought home.
        starts_file: When its jobs on a cluster began, see `benchmark.run.starts`.
        lease_file: Renewed by its job on a cluster while that lives, see `benchmark.run.lease`.
    """

    spec_file = _In("spec.json")
    config_file = _In("config.py")
    metrics_file = _In("metrics.jsonl")
    predictions_file = _In("predictions.json")
    matches_file = _In("matches.npz")
    bootstrap_file = _In("bootstrap.npy")
    samples_file = _In("samples.json")
    record_file = _In("record.json")
    tested_file = _In("test.json")
    test_predictions_file = _In("predictions-test.json")
    test_matches_file = _In("matches-test.npz")
    test_bootstrap_file = _In("bootstrap-test.npy")
    log_file = _In("log.txt")
    checkpoints = _In("checkpoints")
    stop_file = _In("stop")
    lock_file = _In("job.lock")
    asked_by = _In("asked_by")
    pseudo_file = _In("pseudo.json")
    loaded_file = _In("loaded.json")
    accumulation_file = _In("accumulation.json")
    memory_file = _In("memory.json")
    company_file = _In("company.json")
    job_file = _In("job.json")
    starts_file = _In("starts.jsonl")
    store_file = _In("store.json")
    lease_file = _In("lease.json")

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def finished(self) -> bool:
        """Whether the run has a record, which need not be one that can be read."""
        return os.path.lexists(self.record_file)

    def note_asker(self, experiment: str) -> None:
        """Remembers that an experiment asked for the run, whoever started it."""
        self.asked_by.mkdir(exist_ok=True)
        (self.asked_by / experiment).touch()

    def read_spec(self) -> RunSpec:
        """What was asked.

        Raises:
            FileNotFoundError: There is no such run.
            Damaged: The file cannot be read, or is another run's.
        """
        spec = _read(self.spec_file, RunSpec.from_json)
        self._check_own(self.spec_file, spec.run_id)
        return spec

    def check_spec(self) -> None:
        """Sees to it that a run that has ended says what it is of.

        Raises:
            Damaged: It has a record, and no spec.
        """
        if self.finished and not os.path.lexists(self.spec_file):
            raise Damaged(f"{self.spec_file}: is missing; {_then(self.spec_file)}")

    def read_record(self) -> RunRecord:
        """What happened.

        Raises:
            FileNotFoundError: The run has not ended.
            Damaged: The file cannot be read, or is another run's.
        """
        record = _read(self.record_file, RunRecord.from_json)
        self._check_own(self.record_file, record.run_id)
        return record

    def record_if_ended(self) -> RunRecord | None:
        """What happened, None if the run has not ended.

        Raises:
            Damaged: The file cannot be read, or is another run's.
        """
        with suppress(FileNotFoundError, NotADirectoryError):
            return self.read_record() if self.finished else None
        return None

    def tested_if_any(self) -> Tested | None:
        """What the run came to on the test split; None if nothing says so that can be read: it is then made again."""
        if not os.path.lexists(self.tested_file):
            return None  # as most have none, and asking is quicker than to fail
        with suppress(FileNotFoundError, NotADirectoryError, Damaged):
            tested = _read(self.tested_file, Tested.from_json)
            return tested if tested.run_id == self.path.name else None
        return None

    def check_fits(self, record: RunRecord, spec: RunSpec) -> None:
        """Sees to it that a record is of what was asked.

        Raises:
            Damaged: It says something else.
        """
        for field in ("row", "seed", "profile"):
            has, asked = getattr(record, field), getattr(spec, field)
            if has != asked:
                raise _damaged(
                    self.record_file, f"{field}: is {shown(has)}, of the run {shown(asked)}"
                )

    def check_kinds(self) -> None:
        """Sees to it that a job can work in the folder: files are files, and folders are folders.

        Raises:
            Damaged: Something lies in the place of one.
        """
        try:
            wrong = self.wrong_kinds()
        except OSError as error:
            raise Damaged(f"{self.path}: cannot be read: {why(error)}; mend that") from None
        if wrong:
            names = ", ".join(path.name for path in wrong)
            raise Damaged(f"{self.path}: something else lies in the place of {names}; {_THEN}")

    def wrong_kinds(self) -> list[Path]:
        """What lies in the place of a file and is none, or of a folder; sorted.

        Raises:
            OSError: The folder is none, or cannot be read.
        """
        try:
            found = sorted(Path(entry) for entry in os.scandir(self.path))
        except FileNotFoundError:
            return []
        return [
            path
            for path in found
            if (path.name in _FILES and not is_file(path))
            or (path.name in _FOLDERS and not path.is_dir())
        ]

    def _check_own(self, path: Path, run_id: str) -> None:
        if run_id != self.path.name:
            raise Damaged(
                f"{path}: is the {path.stem} of another run, {run_id} (run_id); {_then(path)}"
            )

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

    def write_tested(self, tested: Tested) -> None:
        """Writes ``test.json`` atomically: the last thing of an evaluation on the test split.

        Raises:
            ValueError: A number is NaN or infinite.
        """
        write_json(self.tested_file, tested.to_json())


_FOLDERS = {"checkpoints", "asked_by", "mmengine"}
_FILES = {place.name for place in vars(RunFolder).values() if isinstance(place, _In)} - _FOLDERS
_FILES.add("job.lock.holder")  # see `benchmark.locks`

_Read = TypeVar("_Read")
_THEN = "move its folder away, or 'detboard sweep --retry damaged' runs it again"


def _read(path: Path, from_json: Callable[[object], _Read]) -> _Read:
    try:
        return from_json(read_json(path))
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise Damaged(
            f"{path}: cannot be read: {why(error)}; mend that, or {_then(path)}"
        ) from None
    except ValueError as error:
        raise _damaged(path, str(error)) from None


def _damaged(path: Path, what: str) -> Damaged:
    return Damaged(f"{path}: damaged, or not of this program ({what}); {_then(path)}")


def _then(path: Path) -> str:
    """What to do: a run whose spec alone is damaged is finished or not by its record, and its spec written again."""
    spec = path.name == "spec.json"
    return "move its folder away, and the next sweep runs it again" if spec else _THEN
