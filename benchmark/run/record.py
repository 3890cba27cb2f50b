"""What happened in a run: ``record.json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import Enum
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from benchmark.errors import UserError
from benchmark.experiment.experiment import Select
from benchmark.files import JsonObject
from benchmark.run.accumulation import Accumulation, told
from benchmark.run.fields import (
    Checked,
    Count,
    Flag,
    Fraction,
    Number,
    Positive,
    Seconds,
    Time,
    Whole,
)
from benchmark.run.loaded import Loaded
from benchmark.run.spec import SCHEMA_VERSION
from benchmark.statistics.scores import MAIN

Scores = Mapping[str, Fraction | None]
"""Fractions in 0..1 by key of `benchmark.statistics.scores.SCORES`; None where the data has no such object."""


class State(str, Enum):
    """How a run ended, or that it has not.

    ``interrupted`` and those below it are never written to a record: a folder without ``record.json`` is
    unfinished, and the next sweep continues it, unless it is damaged.
    """

    COMPLETE = "complete"
    FAILED = "failed"
    PRUNED = "pruned"
    INTERRUPTED = "interrupted"  # asked to end, by Ctrl-C for one, and not finished
    LOST = "lost"  # started, no record, and no job holds its folder: killed, or its machine is gone
    RUNNING = "running"  # a job holds its folder
    QUEUED = "queued"  # its job waits in a scheduler's queue
    WAITING = "waiting"  # never started
    DAMAGED = "damaged"  # what its folder holds cannot be read


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
class Metrics:
    """The validation of a run that is recorded, the last or the best, at full precision.

    Attributes:
        scores: Over all classes; empty for a run that failed before its first validation.
        per_class: By class name: ``mAP50`` and ``mAP``.
    """

    scores: Scores = field(default_factory=dict)
    per_class: Mapping[str, Scores] = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        """The scores beside ``per_class``; nothing where there was no validation."""
        return {**self.scores, "per_class": self.per_class} if self.scores else {}


@dataclass(frozen=True)
class Failure:
    """Why a run failed.

    Attributes:
        kind: What kind of failure it is.
        message: Name of the exception's class and its message, the first 2,000 characters.
        log_tail: The end of ``log.txt``.
        again: The next sweep runs it again without being asked: what failed lay outside of the run.
    """

    kind: FailureKind
    message: str
    log_tail: str = ""
    again: Flag = False

    @property
    def cause(self) -> str:
        """First line of the message."""
        return (self.message.strip().splitlines() or [""])[0]


@dataclass(frozen=True)
class Latency:
    """How long the predict path takes at batch 1, see `benchmark.job.measure.latency.measure`.

    Attributes:
        median: Milliseconds an image.
        p95: 95th percentile, milliseconds an image.
        images: Number of timed predictions.
        device: Name of the GPU or CPU.
    """

    median: Positive
    p95: Positive
    images: Count
    device: str


@dataclass(frozen=True)
class Flops:
    """Arithmetic of one forward pass, see `benchmark.job.measure.flops.flops`.

    Attributes:
        value: Multiply-adds.
        input: ``[3, H, W]``, the size in pixels of the image that they are counted for.
    """

    value: Count
    input: list[Count]


@dataclass(frozen=True)
class ValImages:
    """The images of the validation that is recorded: runs that were not evaluated on the same ones are told apart.

    Attributes:
        count: How many.
        sha256: Hash of their sorted ids.
    """

    count: Count
    sha256: str


@dataclass(frozen=True)
class Validations:
    """The validations of a run, and which of them its scores are those of.

    Attributes:
        select: ``last``, or ``best``: by mAP50, on the very images that it is reported on.
        count: How many there were, each iteration once.
        iter: Training iterations done at the one whose scores are recorded.
        epoch: Epochs done at that one.
        best_iter: Training iterations done at the one with the best mAP50, the first of equals; None if none has it.
        best_epoch: Epochs done at that one.
        best_mAP50: Its mAP50, a fraction in 0..1.
    """

    select: Select
    count: Count
    iter: Count
    epoch: Positive
    best_iter: Count | None
    best_epoch: Positive | None
    best_mAP50: Fraction | None  # noqa: N815  (the field's own term)


@dataclass(frozen=True)
class GitState:
    """The checkout that a run was made from.

    Attributes:
        commit: Hash of the commit.
        dirty: Whether the commit does not hold what ran: tracked files had changes that were not committed, or the
            run was composed from files that are in no commit.
        changed: These files, the first 20: relative to the checkout, absolute where they are outside of it.
        others: Commits of other checkouts that hold files that the run was composed from, by their folder.
    """

    commit: str
    dirty: Flag
    changed: Sequence[str] = ()
    others: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Hashes:
    """SHA-256 of what the job read; None of what it did not come to.

    Attributes:
        train: The training annotations.
        val: The validation annotations.
        config: ``config.py``.
        files: Every other file: weights by the path or address in the config, annotations that a part has itself.
    """

    train: str | None = None
    val: str | None = None
    config: str | None = None
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Provenance:
    """What a number depends on beside the config, see `benchmark.run.provenance.collect`.

    Attributes:
        git: The checkout, None outside one.
        versions: Of Python and the packages, by name; None for one that is missing.
        device: Name of the GPU or CPU.
        host: Name of the machine.
        threads: Number of CPU threads that a process computes with.
        beside: How many other runs of its sweep shared its GPU with it, or its CPU, at most: its times are theirs, too.
            None where none did, or it is not known.
        hashes: Of the annotations, the config and the weights.
        seed: Random seed.
    """

    git: GitState | None = None
    versions: Mapping[str, str | None] = field(default_factory=dict)
    device: str | None = None
    host: str | None = None
    threads: Count | None = None
    beside: Count | None = None
    hashes: Hashes = Hashes()
    seed: Whole | None = None

    @property
    def device_words(self) -> str | None:
        """What the run ran on, for whoever compares times: with how many others there were."""
        if self.device is None or not self.beside:
            return self.device
        return f"{self.device}, up to {self.beside + 1} runs at a time"


Numbers = Mapping[str, Number]
"""Numbers by name."""

Measured = Latency | Flops | Numbers
"""What a measurement found."""


def nested(metrics: object) -> object:
    """The fields of `Metrics`: in a file any other key than ``per_class`` is a score's."""
    if not isinstance(metrics, dict):
        return metrics
    scores = {key: value for key, value in metrics.items() if key != "per_class"}
    return {"scores": scores, "per_class": metrics.get("per_class", {})}


def _ended(state: State) -> State:
    if state not in (State.COMPLETE, State.FAILED, State.PRUNED):
        raise ValueError("must be 'complete', 'failed' or 'pruned'")
    return state


@dataclass(frozen=True)
class RunRecord:
    """What happened, written once and never edited.

    Attributes:
        run_id: The run's id.
        row: Name of the row.
        seed: Random seed.
        profile: Name of the profile.
        state: ``complete``, ``failed`` or ``pruned``.
        metrics: Scores of the last validation, or of the best if `validations` says so.
        no_predictions: The model predicted nothing at all at that validation.
        params: Number of parameters of the model, None if it was never built.
        train_seconds: Wall-clock seconds spent training and validating, over all attempts, less what a kill undid.
            None of a run that does not train.
        peak_memory_gib: Peak memory: of the GPU where there is one, else resident memory of the process.
        started_at: ISO 8601 time in UTC at which the first attempt started.
        finished_at: ISO 8601 time in UTC.
        provenance: Git commit, versions, device, hashes.
        failure: Why it failed, None of a run that has not.
        tracking: Where the run was tracked; None where it failed before that.
        latency_ms: Of the predict path at batch 1. None where it was not asked for, where the run is not complete,
            and where the measurement failed: ``missing`` then says why.
        best: By key of a score the best value of any validation of this run, each on its own: they may stem from
            different validations. A score that had a value in none is left out; None without a validation.
        flops: Multiply-adds of one forward pass. None as ``latency_ms``.
        tide: How much mAP50, as a fraction, each kind of error costs, see `benchmark.statistics.tide.error_shares`.
            None where the run is not complete, and where it could not be computed.
        measured: What the other entries of `benchmark.job.measure.MEASUREMENTS` found, by key.
        missing: Why what was asked for of a complete run could not be had, by key of ``MEASUREMENTS``: the error in
            one line. None if nothing is missing.
        val_images: The images of that validation. None without one.
        validations: Which validation the scores are of, and which was the best. None without one, or unrecorded.
        loaded: What of a checkpoint the training started from (``load_from``). None where it started from none.
        accumulation: That batches went through the model in parts for want of memory. None where they went whole.
        notes: How the boxes of a run that does not train were taken up, or what of another run's boxes a training has
            learnt: a sentence each for what is to be known.
        unvalidated: Why there was no validation, so that a complete run has no score; empty if there was one.
        made_from: When the runs that it is made from had ended, by their ids; where one was made again since, so is it.
        schema_version: Version of ``record.json``.
    """

    run_id: str
    row: str
    seed: Whole
    profile: str
    state: Annotated[State, AfterValidator(_ended)]
    metrics: Annotated[Metrics, BeforeValidator(nested)]
    no_predictions: Flag
    params: Count | None
    train_seconds: Seconds | None
    peak_memory_gib: Positive | None
    started_at: Time
    finished_at: Time
    provenance: Provenance
    failure: Failure | None = None
    tracking: Tracked | None = None
    latency_ms: Latency | None = None
    best: Mapping[str, Fraction] | None = None
    flops: Flops | None = None
    tide: Numbers | None = None
    measured: Mapping[str, Numbers] = field(default_factory=dict)
    missing: Mapping[str, str] | None = None
    val_images: ValImages | None = None
    validations: Validations | None = None
    loaded: Loaded | None = None
    accumulation: Accumulation | None = None
    made_from: Mapping[str, str] = field(default_factory=dict)
    unvalidated: str = ""
    notes: tuple[str, ...] = ()
    schema_version: Whole = SCHEMA_VERSION

    @classmethod
    def from_json(cls, value: object) -> RunRecord:
        """Reads back what ``record.json`` holds.

        Raises:
            ValueError: It is no record; the message names the field.
        """
        return _RECORD(_renamed(value))

    def to_json(self) -> JsonObject:
        """The plain values that ``record.json`` holds."""
        plain = {**asdict(self), "state": self.state.value, "metrics": self.metrics.to_json()}
        if self.failure is not None:
            plain["failure"]["kind"] = self.failure.kind.value
        return plain

    def with_measured(self, found: Mapping[str, Measured]) -> RunRecord:
        """The record with what measurements found, by key."""
        latency, flops = found.get("latency_ms"), found.get("flops")
        numbers = {k: v for k, v in found.items() if not isinstance(v, Latency | Flops)}
        return replace(
            self,
            latency_ms=latency if isinstance(latency, Latency) else None,
            flops=flops if isinstance(flops, Flops) else None,
            tide=numbers.pop("tide", None),
            measured=numbers,
        )

    def said_of(self, which: str) -> tuple[str, ...]:
        """A sentence for each thing that is to be known of how its numbers came about.

        Args:
            which: Which of its row's runs it is, in words.
        """
        in_parts = told([(which, self.accumulation)])
        return (*self.notes, *in_parts)

    def score(self, key: str) -> float | None:
        """A score of the validation that is recorded, None if it has none: a model that predicts nothing scores 0."""
        return self.metrics.scores.get(key, 0.0 if self.no_predictions else None)

    @property
    def scoreless(self) -> str:
        """Why the record of a complete run says nothing of how good the model is; empty if it does.

        Runs end as failed instead, by `require_scores`; records of earlier versions may lack mAP50.
        """
        if self.state is not State.COMPLETE or self.score(MAIN) is not None:
            return ""
        if self.unvalidated:
            return self.unvalidated
        if MAIN not in self.metrics.scores:
            return f"no {MAIN}: the record holds no validation"
        images = f"{self.val_images.count} " if self.val_images else ""
        return (
            f"no {MAIN}: the {images}validation images that were evaluated hold no object to find"
        )

    def require_scores(self) -> None:
        """Sees to it that a complete run has mAP50, unless it had no validation.

        Raises:
            UserError: It has none.
        """
        if self.scoreless and not self.unvalidated:
            raise UserError(self.scoreless)

    @property
    def failure_kind(self) -> FailureKind | None:
        """Kind of the failure; None where there is none."""
        return self.failure.kind if self.failure else None

    @property
    def asks_for_another_try(self) -> bool:
        """Whether it failed at something that lay outside of it; what is planned now has seen to that."""
        return self.failure is not None and self.failure.again

    @property
    def cause(self) -> str:
        """First line of the failure's message; empty where there is none."""
        return self.failure.cause if self.failure else ""


def _renamed(value: object) -> object:
    """Records of version 0.1 hold ``{"mode", "url"}`` of a W&B run, as ``wandb``."""
    if not isinstance(value, dict) or value.get("tracking") or not (found := value.get("wandb")):
        return value
    return {**value, "tracking": {"name": "wandb", **found} if isinstance(found, dict) else found}


_RECORD = Checked(RunRecord)
