"""A run: what was asked (`RunSpec`), what happened (`RunRecord`), and the folder that it is."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from benchmark.dataset import Dataset, Split
from benchmark.errors import UserError
from benchmark.files import read_json, write_json

SCHEMA_VERSION = 1

# Keys of a config that do not change what is measured: where things lie, who watches, how many hands work.
NOT_IDENTITY = frozenset(
    {
        "ann_file",
        "backend_args",
        "data_prefix",
        "data_root",
        "launcher",
        "log_level",
        "num_workers",
        "persistent_workers",
        "resume",
        "seed",
        "vis_backends",
        "visualizer",
        "work_dir",
    }
)


class State(str, Enum):
    """How a run ended, or that it has not.

    ``lost`` and those above it are never written to a record: a folder without ``record.json`` is
    unfinished, and the next sweep continues it.
    """

    COMPLETE = "complete"
    FAILED = "failed"
    PRUNED = "pruned"
    LOST = "lost"  # started, no record, and no job holds its folder: killed, or its machine is gone
    RUNNING = "running"  # a job holds its folder
    WAITING = "waiting"  # never started


class FailureKind(str, Enum):
    """Why a run failed."""

    OOM = "oom"
    DIVERGED = "diverged"
    DATA = "data"
    ERROR = "error"


@dataclass(frozen=True)
class RunSpec:
    """What was asked: one row, one seed, one dataset, one profile.

    Attributes:
        run_id: Readable prefix and 8 hex digits, see `run_id`.
        experiment: Name of the experiment, or of the study; the W&B group.
        row: Name of the row within the experiment.
        labels: The row's cells in the table, by column title.
        parts: Part names by kind: backbone, neck, head, schedule.
        seed: Random seed of the training.
        dataset: Where the data is, its classes and hashes.
        profile: Name of the profile part.
        overrides: Key paths of the composed config and their values, applied last.
        command_line: Those of them that were given with ``--set``, and not by the row.
        gpus: Number of processes (one a GPU) that train together.
        study: Id of the study that the run is a trial of, None outside of one.
        trial: Number of that trial.
        params: The trial's parameters by name; what they set is among ``overrides``.
        schema_version: Version of ``spec.json``.
    """

    run_id: str
    experiment: str
    row: str
    labels: Mapping[str, str]
    parts: Mapping[str, str]
    seed: int
    dataset: Dataset
    profile: str
    overrides: Mapping[str, Any] = field(default_factory=dict)
    gpus: int = 1
    study: str | None = None
    trial: int | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    command_line: Mapping[str, Any] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION

    def to_json(self) -> dict[str, Any]:
        """The plain values that ``spec.json`` holds."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self), default=str))
        return plain

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> RunSpec:
        """Reads back what `to_json` made."""
        plain = _known(cls, value)
        data = plain.pop("dataset")
        splits = (_split_items(data[name]) for name in ("train", "val"))
        return cls(dataset=_dataset(data["name"], tuple(data["classes"]), *splits), **plain)


def _known(kind: type[RunSpec] | type[RunRecord], value: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that this version knows: a later one may have written more."""
    names = kind.__dataclass_fields__.keys()
    if value.keys() <= names:
        return dict(value)
    return {key: item for key, item in value.items() if key in names}


def _split_items(value: Mapping[str, str]) -> tuple[str, str, str]:
    return value["annotations"], value["images"], value["sha256"]


@lru_cache(maxsize=16)  # thousands of runs share a dataset
def _dataset(
    name: str, classes: tuple[str, ...], train: tuple[str, str, str], val: tuple[str, str, str]
) -> Dataset:
    return Dataset(name, classes, _split(*train), _split(*val))


def _split(annotations: str, images: str, sha256: str) -> Split:
    return Split(Path(annotations), Path(images), sha256)


@dataclass(frozen=True)
class RunRecord:
    """What happened, written once and never edited.

    Attributes:
        run_id: The run's id.
        row: Name of the row.
        seed: Random seed.
        profile: Name of the profile.
        state: ``complete``, ``failed`` or ``pruned``.
        metrics: ``mAP50``, ``mAP``, ``mAP75``, ``mAP_s``, ``mAP_m``, ``mAP_l`` as fractions in 0..1 at full
            precision (None where the data has no such object), and ``per_class``: a mapping from class name to
            ``{"mAP50": float | None, "mAP": float | None}``. Empty for a run that failed before its first validation.
        no_predictions: The model predicted nothing at all at its last evaluation.
        params: Number of parameters of the model, None if it was never built.
        train_seconds: Wall-clock seconds spent training and validating, over all attempts, less what a kill undid.
        peak_memory_gib: Peak memory: of the GPU where there is one, else resident memory of the process.
        started_at: ISO 8601 time in UTC at which the first attempt started.
        finished_at: ISO 8601 time in UTC.
        provenance: Git commit and dirty flag, versions, device, hashes, see `benchmark.provenance`.
        failure: ``{"kind", "message", "log_tail"}`` of a failed run, else None.
        wandb: ``{"mode", "url"}`` of the W&B run; ``url`` is None offline.
        latency_ms: ``{"median", "p95", "images", "device"}`` of the predict path at batch 1, the first two in
            milliseconds an image, see `benchmark.latency.measure`. None where it was not asked for, where the run
            is not complete, and where the measurement failed: ``missing`` then says why.
        best: For each score in ``metrics`` (without ``per_class``) the highest value of any validation of this run,
            each on its own: they may stem from different validations. A score that had a value in none is left
            out; None without a validation.
        flops: ``{"value": int, "input": [3, H, W]}``: multiply-adds of one forward pass and the size in pixels of
            the image that they are counted for, see `benchmark.complexity.flops`. None as ``latency_ms``.
        tide: How much mAP50, as a fraction, each kind of error costs: ``Cls``, ``Loc``, ``Both``, ``Dupe``, ``Bkg``
            and ``Miss``, see `benchmark.statistics.errors.error_shares`. None where the run is not complete, and
            where it could not be computed.
        missing: What of a complete run was asked for and could not be had: of ``latency_ms``, ``flops``, ``tide``,
            ``bootstrap`` (``matches.npz`` and ``bootstrap.npy``) and ``samples`` (``samples.json``), each with the
            error in one line. None if nothing.
        val_images: ``{"count", "sha256"}`` of the images of the last validation: how many, and the hash of their
            sorted ids, by which runs are told apart that were not evaluated on the same ones. None without one.
        schema_version: Version of ``record.json``.
    """

    run_id: str
    row: str
    seed: int
    profile: str
    state: State
    metrics: Mapping[str, Any]
    no_predictions: bool
    params: int | None
    train_seconds: float
    peak_memory_gib: float | None
    started_at: str
    finished_at: str
    provenance: Mapping[str, Any]
    failure: Mapping[str, str] | None = None
    wandb: Mapping[str, Any] | None = None
    latency_ms: Mapping[str, Any] | None = None
    best: Mapping[str, float] | None = None
    flops: Mapping[str, Any] | None = None
    tide: Mapping[str, float] | None = None
    missing: Mapping[str, str] | None = None
    val_images: Mapping[str, Any] | None = None
    schema_version: int = SCHEMA_VERSION

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> RunRecord:
        """Reads back what ``record.json`` holds."""
        return cls(**{**_known(cls, value), "state": State(value["state"])})

    def metric(self, name: str) -> float | None:
        """A metric of the last validation, None where there is none: a model that predicts nothing scores 0."""
        value = self.metrics.get(name, 0.0 if self.no_predictions else None)
        return None if value is None else float(value)

    @property
    def failure_kind(self) -> str:
        """Kind of the failure; empty where there is none."""
        return (self.failure or {}).get("kind", "")

    @property
    def cause(self) -> str:
        """First line of the failure's message; empty where there is none."""
        lines = (self.failure or {}).get("message", "").strip().splitlines()
        return lines[0] if lines else ""


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


def identity(
    config: Mapping[str, Any] | str, dataset: Dataset, seed: int, profile: str, gpus: int = 1
) -> str:
    """The 8 hex digits that change when anything changes that the result depends on.

    Args:
        config: The composed config, from a plan or loaded from a run's ``config.py``; or its `essence`, where
            that is known: computing it takes far longer than the rest.
        dataset: The dataset; only the hashes of its annotation files count, not where they lie.
        seed: Random seed.
        profile: Name of the profile.
        gpus: Number of processes that train together: the batch grows with it.
    """
    around = json.dumps([SCHEMA_VERSION, dataset.hashes, seed, profile, gpus])
    same = config if isinstance(config, str) else essence(config)
    return hashlib.sha256(f"{around}\n{same}".encode()).hexdigest()[:8]


def essence(config: Mapping[str, Any]) -> str:
    """What of a config changes the result, as JSON: the same for all seeds of a row."""
    return json.dumps(_essence(config), sort_keys=True, default=str)


def _essence(value: Any) -> Any:
    if isinstance(value, dict):  # not Mapping: a check of an abstract class is ten times slower
        return {str(k): _essence(v) for k, v in value.items() if k not in NOT_IDENTITY}
    if isinstance(value, list | tuple):
        return [_essence(item) for item in value]
    return value


def run_id(row: str, seed: int, profile: str, digest: str) -> str:
    """A readable id that is a safe folder name and W&B id: ``retinanet_r50-s0-smoke-1a2b3c4d``."""
    prefix = re.sub(r"[^A-Za-z0-9_.]+", "_", row).strip("_.")[:60] or "row"
    return f"{prefix}-s{seed}-{profile}-{digest}"
