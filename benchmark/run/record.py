"""What happened in a run: ``record.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from benchmark.run.fields import known_fields
from benchmark.run.spec import SCHEMA_VERSION


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
class Tracked:
    """Where a run was tracked.

    Attributes:
        name: The tracker, an entry of `benchmark.tracking.TRACKERS`.
        mode: ``online``, ``offline`` or ``off``.
        url: Address of what it shows of the run; None unless it is online.
    """

    name: str
    mode: str
    url: str | None = None


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
        provenance: Git commit and dirty flag, versions, device, hashes, see `benchmark.run.provenance`.
        failure: ``{"kind", "message", "log_tail"}`` of a failed run, else None.
        tracking: Where the run was tracked; None where it failed before that.
        latency_ms: ``{"median", "p95", "images", "device"}`` of the predict path at batch 1, the first two in
            milliseconds an image, see `benchmark.job.measure.latency.measure`. None where it was not asked for, where
            the run is not complete, and where the measurement failed: ``missing`` then says why.
        best: For each score in ``metrics`` (without ``per_class``) the highest value of any validation of this run,
            each on its own: they may stem from different validations. A score that had a value in none is left
            out; None without a validation.
        flops: ``{"value": int, "input": [3, H, W]}``: multiply-adds of one forward pass and the size in pixels of
            the image that they are counted for, see `benchmark.job.measure.flops.flops`. None as ``latency_ms``.
        tide: How much mAP50, as a fraction, each kind of error costs: ``Cls``, ``Loc``, ``Both``, ``Dupe``, ``Bkg``
            and ``Miss``, see `benchmark.statistics.tide.error_shares`. None where the run is not complete, and
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
    tracking: Tracked | None = None
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
        typed = {"state": State(value["state"]), "tracking": _tracked(value)}
        return cls(**{**known_fields(cls, value), **typed})

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


def _tracked(value: Mapping[str, Any]) -> Tracked | None:
    """Records of version 0.1 hold ``{"mode", "url"}`` of a W&B run, as ``wandb``."""
    if found := value.get("tracking"):
        return Tracked(**known_fields(Tracked, found))
    if found := value.get("wandb"):
        return Tracked("wandb", found["mode"], found.get("url"))
    return None
