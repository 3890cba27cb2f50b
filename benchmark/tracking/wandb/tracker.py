"""Weights & Biases: a W&B run for each run, study and leaderboard."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from benchmark.experiment.experiment import Tracking
from benchmark.run.record import State
from benchmark.run.samples import ImageSample
from benchmark.tracking.base import Door, Subject, Tracker, Value
from benchmark.tracking.wandb.access import effective_mode, known_settings, unreachable, warn
from benchmark.tracking.wandb.environment import faults, refused, usable_settings
from benchmark.tracking.wandb.media import wandb_image, wandb_value

if TYPE_CHECKING:
    import wandb

INIT_TIMEOUT_S = 10.0
UPLOAD_TIMEOUT_S = 15.0
FLUSH_INTERVAL_S = 1.0

_LONGEST_TAG = 64  # W&B refuses longer ones
_UNSUCCESSFUL = 1

Mode = Literal["online", "offline"]


class WandbTracker(Tracker):
    """One W&B run; ``class_names`` are in label order."""

    title = "W&B"
    # What wandb imports on first use, pandas to ask whether a logged list is a table: a forkserver that has these
    # loaded opens and finishes a tracker at once.
    modules: ClassVar[tuple[str, ...]] = (
        "wandb",
        "wandb.sdk.launch.inputs.internal",
        "requests",
        "yaml",
        "pandas",
    )

    def __init__(self, run: wandb.Run, mode: Mode, class_names: tuple[str, ...]) -> None:
        self._run = run
        self._class_names = class_names
        self.mode = mode
        # wandb warns when an offline run is asked for its URL, and an unhelpful server's is "".
        self.url = (run.url or None) if mode == "online" else None

    @classmethod
    def load(cls) -> None:
        """Imports wandb.

        Raises:
            ImportError: It is not installed.
        """
        # wandb's reports about its own errors go to its maker, and cost 0.4 s of imports.
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        super().load()

    @classmethod
    def reach(cls) -> str:
        """Whether runs are online or offline under ``auto``, and why."""
        with usable_settings(Path(os.devnull, "none")) as set_aside:
            mode, reason = effective_mode("auto")
            if set_aside and mode != "off":
                mode, reason = "offline", "; ".join(set_aside)
            return f"{mode}: {reason}"

    @classmethod
    def door(cls, tracking: Tracking) -> Door:
        """What W&B would refuse of the experiment's project and entity, and of the environment."""
        off = tracking.mode == "auto" and os.environ.get("WANDB_MODE") == "disabled"
        wrong = {} if off or tracking.mode == "offline" else faults()
        hindered = tuple(f"{name}: {why}" for name, why in wrong.items())
        return Door(tuple(refused(tracking)), hindered, off)

    @classmethod
    def open(cls, subject: Subject, tracking: Tracking) -> WandbTracker | None:
        """Starts, or continues, a W&B run: online where it was asked for and works, else offline.

        Returns:
            None where ``WANDB_MODE`` is ``disabled`` and the mode ``auto``.
        """
        with usable_settings(subject.folder / "wandb" / "none") as set_aside:
            for fault in set_aside:
                warn(f"{fault}; going on offline")
            mode, reason = effective_mode(tracking.mode)
            if mode == "off":
                return None
            if tracking.mode == "online" and mode != "online":
                warn(f"online was asked for, but: {reason}; going on offline")
            mode = "offline" if set_aside else mode
            try:
                return cls(*_started(mode, subject, tracking), subject.class_names)
            except BaseException:
                _teardown()
                raise

    def log(self, values: Mapping[str, Value], steps: Mapping[str, float]) -> None:
        """Logs values; they are plotted against ``iter``."""
        self._run.log({**{name: wandb_value(value) for name, value in values.items()}, **steps})

    def images(self, name: str, samples: Sequence[ImageSample], steps: Mapping[str, float]) -> None:
        """Logs images with their boxes, which W&B switches on and off by class and score."""
        shown = [wandb_image(sample, self._class_names) for sample in samples]
        self._run.log({name: shown, **steps})

    def finish(self, summary: Mapping[str, object], state: State | None) -> None:
        """Ends the W&B run with a summary, and a run's state among the tags."""
        try:
            self._run.summary.update(dict(summary))
            if state is not None:
                self._run.tags = (*(self._run.tags or ()), state.value)
            self._run.finish(exit_code=_UNSUCCESSFUL if state is State.FAILED else 0)
        finally:
            _teardown()

    def abandon(self) -> None:
        """Ends the W&B run as preempted: the next attempt continues it."""
        try:
            self._run.mark_preempting()  # W&B then says "preempted", not "failed"
            self._run.finish(exit_code=_UNSUCCESSFUL)
        finally:
            _teardown()

    def gone(self) -> bool:
        """Whether nothing answers any more where an online run is uploaded to."""
        return self.mode == "online" and unreachable(known_settings().base_url)

    def rest(self) -> str:
        """The command that uploads what is on disk."""
        return f"{_sync(self._run)} uploads the rest"


def _started(mode: str, subject: Subject, tracking: Tracking) -> tuple[wandb.Run, Mode]:
    """The W&B run, in the mode that works."""
    if mode == "online" and (run := _online(subject, tracking)) is not None:
        print(f"W&B: online at {run.url or known_settings().base_url}", flush=True)
        return _with_steps(run), "online"
    run = _init(subject, tracking, "offline")
    print(f"W&B: offline, {_sync(run)} uploads it", flush=True)
    return _with_steps(run), "offline"


def _online(subject: Subject, tracking: Tracking) -> wandb.Run | None:
    """The run, or None after a warning."""
    server = known_settings().base_url
    if unreachable(server):
        warn(f"{server} does not answer; going on offline")
        return None
    try:
        return _init(subject, tracking, "online")
    except Exception as error:
        warn(f"cannot log to {server}: {error}; going on offline")
        _teardown()
        return None


def _with_steps(run: wandb.Run) -> wandb.Run:
    # wandb drops points whose built-in step goes back, as after a resume.
    for step in ("iter", "epoch"):
        run.define_metric(step)
    for kind in ("train", "val"):
        run.define_metric(f"{kind}/*", step_metric="iter")
    return run


def _init(subject: Subject, tracking: Tracking, mode: Mode) -> wandb.Run:
    import wandb

    return wandb.init(
        project=tracking.project,
        entity=tracking.entity,
        id=subject.id,
        group=subject.group,
        job_type=None if subject.kind == "run" else subject.kind,
        name=subject.name,
        tags=tuple(dict.fromkeys(tag[:_LONGEST_TAG] for tag in subject.tags)),
        config=dict(subject.config),
        dir=str(subject.folder),
        mode=mode,
        resume="allow",
        reinit="create_new",
        settings=_settings(),
    )


def _settings() -> wandb.Settings:
    """Settings that keep a run cheap: 0.02 s and the start of wandb's service, 0.2 s, offline.

    The job keeps its own log, provenance and memory figures, so that the console, code, git state,
    machine and installed packages are not collected again.
    """
    import wandb

    return wandb.Settings(
        allow_val_change=True,
        console="off",
        disable_code=True,
        disable_git=True,
        finish_timeout=UPLOAD_TIMEOUT_S,
        init_timeout=INIT_TIMEOUT_S,
        save_code=False,
        silent=True,
        symlink=False,
        x_disable_machine_info=True,
        x_disable_meta=True,
        x_disable_stats=True,
        x_save_requirements=False,
        x_transaction_log_flush_interval=FLUSH_INTERVAL_S,
    )


def _sync(run: wandb.Run) -> str:
    return f"`wandb sync {Path(run.dir).parent}`"


def _teardown() -> None:
    """Ends wandb's service process, which a forked job's exit would not."""
    import wandb

    wandb.teardown()
