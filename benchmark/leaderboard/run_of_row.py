"""One run of a row, as the leaderboard's JSON file has it."""

from __future__ import annotations

from typing import ClassVar

from pydantic import AliasChoices, Field

from benchmark.leaderboard.validations import RunValidations, Told, validations_in
from benchmark.run.record import RunRecord, State
from benchmark.run.spec import which
from benchmark.writing.addresses import public
from benchmark.yaml_file import Strict


class Failure(Strict):
    """Why a run failed: its kind, and the first line of the message."""

    kind: str
    message: str


class Run(Told):
    """One run of a row.

    Attributes:
        run_id: The run's id, None for a seed that has no record.
        folder: Its folder, relative to the results folder.
        seed: Random seed.
        state: ``complete``, ``failed``, ``pruned``, ``interrupted``, ``lost``, ``running`` or ``waiting``.
        map50: Fraction in 0..1, of a complete run.
        device: What it ran on.
        commit: Git commit of the code.
        dirty: Whether the commit does not hold all that ran.
        config_sha256: SHA-256 of ``config.py`` in its folder.
        train_sha256: SHA-256 of the training annotations.
        val_sha256: SHA-256 of the validation annotations.
        tracked: ``online`` or ``offline``; None where it was not tracked, or the record does not say.
        url: Address of the tracked run, None offline; files of version 0.1 call it ``wandb``.
        finished_at: ISO 8601 time in UTC.
        failure: Why it failed.
        validations: Of a complete run; None where its record does not say.
        fold: Which fold it is validated on, from 0; None where the data is not divided.
    """

    silent: ClassVar[tuple[str, ...]] = ("tracked", "validations")
    unsaid: ClassVar[tuple[str, ...]] = ("fold",)

    run_id: str | None
    folder: str | None
    seed: int
    state: str
    map50: float | None = None
    device: str | None = None
    commit: str | None = None
    dirty: bool | None = None
    config_sha256: str | None = None
    train_sha256: str | None = None
    val_sha256: str | None = None
    tracked: str | None = None
    url: str | None = Field(default=None, validation_alias=AliasChoices("url", "wandb"))
    finished_at: str | None = None
    failure: Failure | None = None
    validations: RunValidations | None = None
    fold: int | None = None

    @property
    def which(self) -> str:
        """Which of its row's runs it is, in words: ``seed 0``, of a fold ``seed 0, fold 2``."""
        return which(self.seed, self.fold)


def run_of(seed: int, record: RunRecord | None, state: State, fold: int | None = None) -> Run:
    """The run of a seed, and of a fold: what its record says, or its state alone."""
    if record is None:
        return Run(run_id=None, folder=None, seed=seed, state=state.value, fold=fold)
    made, failure = record.provenance, record.failure
    complete = record.state is State.COMPLETE
    return Run(
        run_id=record.run_id,
        folder=f"runs/{record.run_id}",
        seed=seed,
        state=record.state.value,
        map50=record.score("mAP50") if complete else None,
        device=made.device_words,
        commit=made.git.commit if made.git else None,
        dirty=made.git.dirty if made.git else None,
        config_sha256=made.hashes.config,
        train_sha256=made.hashes.train,
        val_sha256=made.hashes.val,
        tracked=_mode(record),
        url=public(record.tracking.url) if record.tracking and record.tracking.url else None,
        finished_at=record.finished_at,
        failure=Failure(kind=failure.kind.value, message=failure.cause) if failure else None,
        validations=validations_in(record),
        fold=fold,
    )


def _mode(record: RunRecord) -> str | None:
    said = record.tracking
    return said.mode if said and said.mode in ("online", "offline") else None
