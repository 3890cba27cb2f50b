"""Weights & Biases: one W&B run per run, by a thread that cannot stop or delay the training."""

from __future__ import annotations

import json
import os
import queue
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from benchmark.experiment.experiment import Tracking
from benchmark.run.folder import RunFolder
from benchmark.run.record import RunRecord, State, Tracked
from benchmark.run.samples import ImageSample
from benchmark.run.spec import RunSpec
from benchmark.tracking.wandb.access import effective_mode, known_settings, unreachable, warn
from benchmark.tracking.wandb.images import wandb_image

__all__ = [
    "PRELOAD",
    "Tracker",
    "open_tracker",
    "run_settings",
    "start",
]

# What wandb imports on first use, pandas to ask whether a logged list is a table: a forkserver that
# has these loaded opens and finishes a tracker at once.
PRELOAD = ("wandb", "wandb.sdk.launch.inputs.internal", "requests", "yaml", "pandas")

INIT_TIMEOUT_S = 10.0
CONNECT_PATIENCE_S = 16.0  # the probe of the server, a failed start, and a start offline
UPLOAD_TIMEOUT_S = 15.0
FINISH_PATIENCE_S = 20.0
CUT_OFF_PATIENCE_S = 3.0
FLUSH_INTERVAL_S = 1.0

_STEPS = ("iter", "epoch")
_NOT_PLOTTED = frozenset({"kind", "per_class", "elapsed_s", *_STEPS})
_UNSUCCESSFUL = 1


class Tracker:
    """One W&B run, or nothing.

    Everything that wandb does happens in a thread of its own, in the order of the calls; only
    `tracked`, `finish` and `abandon` wait for it, for a limited time. No method raises: the first
    failure is written to stderr, which is the job's log, and the training goes on.

    Args:
        class_names: Class names in label order.
        max_images: How many images `log_images` takes at most.
        connect: Starts the W&B run and returns its mode and it; None makes a tracker that does
            nothing.
    """

    def __init__(
        self,
        class_names: tuple[str, ...] = (),
        max_images: int = 0,
        connect: Callable[[], tuple[str, Any]] | None = None,
    ) -> None:
        self._class_names = class_names
        self._max_images = max_images
        self._mode, self._run, self._complained = "off", None, False
        self._steps: dict[str, Any] = {}
        self._tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._connected = threading.Event()
        self._thread: threading.Thread | None = None
        if connect is not None:
            self._thread = threading.Thread(
                target=self._work, args=(connect,), name="wandb-tracker", daemon=True
            )
            self._thread.start()

    @property
    def tracked(self) -> Tracked:
        """Where the run is tracked."""
        if self._thread is not None:
            self._connected.wait(CONNECT_PATIENCE_S)
        # wandb warns when an offline run is asked for its URL, and an unhelpful server's is "".
        url = (self._run.url or None) if self._run and self._mode == "online" else None
        return Tracked("wandb", self._mode, url)

    def log(self, point: Mapping[str, Any]) -> None:
        """Plots a line of ``metrics.jsonl`` against its own ``iter`` and ``epoch``.

        Numbers of a point of kind ``train`` or ``val`` become ``train/loss``, ``val/mAP50`` and so
        on, and the APs of each class ``val/AP50/<class>`` and ``val/AP/<class>``. Values that are
        None, and points of other kinds, are left out.
        """
        if point.get("kind") in ("train", "val"):
            self._submit(partial(self._log, dict(point)))

    def log_images(self, samples: Iterable[ImageSample]) -> None:
        """Shows images with their boxes; where tracking is off the iterable is not even read."""
        self._submit(lambda: self._log_images(samples))

    def finish(self, record: RunRecord) -> None:
        """Ends the W&B run with the record as its summary and its state among the tags.

        What was not uploaded after 20 s, or 3 s where the server has gone, stays on disk for
        ``wandb sync``.
        """
        self._submit(lambda: self._finish(record))
        gone = self._mode == "online" and unreachable(known_settings().base_url)
        self._leave(CUT_OFF_PATIENCE_S if gone else FINISH_PATIENCE_S)

    def show(self, task: Callable[[Any], None]) -> None:
        """Has ``task`` called with the W&B run; where tracking is off it is not called."""
        self._submit(lambda: task(self._run))

    def close(self) -> None:
        """Ends the W&B run as it is."""
        self.show(lambda run: run.finish(exit_code=0))
        self._leave(FINISH_PATIENCE_S)

    def abandon(self) -> None:
        """Leaves an interrupted run, so that the next attempt continues it under the same id."""
        self._submit(self._interrupt)
        self._leave(CUT_OFF_PATIENCE_S)

    def _submit(self, task: Callable[[], None]) -> None:
        if self._thread is not None:
            self._tasks.put(task)

    def _leave(self, patience_s: float) -> None:
        if self._thread is None:
            return
        self._tasks.put(None)
        self._thread.join(patience_s)
        if self._thread.is_alive():
            where = getattr(self._run, "dir", None)
            kept = f"; `wandb sync {Path(where).parent}` uploads the rest" if where else ""
            warn(f"not done after {patience_s:g} s, going on without it{kept}")
        self._thread = None

    def _work(self, connect: Callable[[], tuple[str, Any]]) -> None:
        self._quietly(lambda: self._connect(connect))
        self._connected.set()
        while (task := self._tasks.get()) is not None:
            if self._run is not None:
                self._quietly(task)
        self._quietly(_teardown)

    def _quietly(self, task: Callable[[], None]) -> None:
        try:
            task()
        except (Exception, SystemExit) as error:  # wandb.teardown() may call sys.exit()
            if not self._complained:
                problem = f"{type(error).__name__}: {error}"
                warn(f"{problem} (the run goes on; further failures are silent)")
            self._complained = True

    def _connect(self, connect: Callable[[], tuple[str, Any]]) -> None:
        self._mode, self._run = connect()
        if self._run is not None:
            # wandb drops points whose built-in step goes back, as after a resume.
            for step in _STEPS:
                self._run.define_metric(step)
            for kind in ("train", "val"):
                self._run.define_metric(f"{kind}/*", step_metric="iter")

    def _log(self, point: Mapping[str, Any]) -> None:
        assert self._run is not None
        self._steps = {step: point[step] for step in _STEPS if point.get(step) is not None}
        self._run.log({**_plotted(point), **self._steps})

    def _log_images(self, samples: Iterable[ImageSample]) -> None:
        assert self._run is not None
        images = [wandb_image(s, self._class_names) for s in islice(samples, self._max_images)]
        if images:
            self._run.log({"val/images": images, **self._steps})

    def _finish(self, record: RunRecord) -> None:
        assert self._run is not None
        self._run.summary.update(_plain(asdict(record)))
        self._run.tags = (*(self._run.tags or ()), record.state.value)
        failed = record.state is State.FAILED
        self._run.finish(exit_code=_UNSUCCESSFUL if failed else 0)

    def _interrupt(self) -> None:
        assert self._run is not None
        self._run.mark_preempting()  # W&B then says "preempted", not "failed"
        self._run.finish(exit_code=_UNSUCCESSFUL)


def open_tracker(
    spec: RunSpec, config: Mapping[str, Any], folder: RunFolder, tracking: Tracking
) -> Tracker:
    """Starts, or continues, the W&B run of a run; never raises, prompts or waits for the network.

    Args:
        spec: The run: its id, experiment, row, labels and seed name and group the W&B run.
        config: The composed config.
        folder: The run's folder; W&B's files go to ``wandb/`` in it.
        tracking: Project, entity, mode and number of images.

    Returns:
        A tracker that does nothing where tracking is off or wandb cannot be used.
    """
    init = partial(_init, spec, config, folder, tracking)
    return start(tracking, init, spec.dataset.classes)


def start(
    tracking: Tracking, init: Callable[..., Any], class_names: tuple[str, ...] = ()
) -> Tracker:
    """A tracker of the W&B run that ``init(mode=...)`` starts; never raises, prompts or waits for the network."""
    if tracking.mode == "off":
        return Tracker()
    # wandb's reports about its own errors go to its maker, and cost 0.4 s of imports.
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    try:
        # Not in the thread: a data loader forked meanwhile would inherit a half-done import's lock.
        for module in PRELOAD:
            __import__(module)
    except Exception as error:
        warn(f"cannot be imported, this run is not tracked: {type(error).__name__}: {error}")
        return Tracker()
    return Tracker(class_names, tracking.images, partial(_connect, tracking, init))


def _connect(tracking: Tracking, init: Callable[..., Any]) -> tuple[str, Any]:
    """Starts the W&B run in the mode that works: online, else offline."""
    mode, reason = effective_mode(tracking.mode)
    if mode == "off":
        return mode, None
    if tracking.mode == "online" and mode != "online":
        warn(f"online was asked for, but: {reason}; going on offline")
    if mode == "online" and (run := _online(init)) is not None:
        print(f"W&B: online at {run.url or known_settings().base_url}", flush=True)
        return mode, run
    run = init(mode="offline")
    print(f"W&B: offline, `wandb sync {Path(run.dir).parent}` uploads it", flush=True)
    return "offline", run


def _online(init: Callable[..., Any]) -> Any:
    """The run, or None after a warning."""
    server = known_settings().base_url
    if unreachable(server):
        warn(f"{server} does not answer; going on offline")
        return None
    try:
        return init(mode="online")
    except Exception as error:
        warn(f"cannot log to {server}: {error}; going on offline")
        _teardown()
        return None


def _init(
    spec: RunSpec, config: Mapping[str, Any], folder: RunFolder, tracking: Tracking, mode: Any
) -> Any:
    import wandb

    return wandb.init(
        project=tracking.project,
        entity=tracking.entity,
        id=spec.run_id,
        group=spec.experiment,
        name=_name(spec),
        tags=_tags(spec),
        config=_run_config(spec, config),
        dir=str(folder.path),
        mode=mode,
        resume="allow",
        reinit="create_new",
        settings=run_settings(),
    )


def _name(spec: RunSpec) -> str:
    return (
        f"{spec.row} seed {spec.seed}" if spec.trial is None else f"{spec.row} trial {spec.trial}"
    )


def run_settings() -> Any:
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


def _teardown() -> None:
    """Ends wandb's service process, which a forked job's exit would not."""
    import wandb

    wandb.teardown()


def _tags(spec: RunSpec) -> tuple[str, ...]:
    # W&B refuses tags of more than 64 characters.
    trial = [] if spec.trial is None else ["trial", spec.row]
    names = [spec.profile, *spec.parts.values(), *trial]
    return tuple(dict.fromkeys(name[:64] for name in names if name))


def _run_config(spec: RunSpec, config: Mapping[str, Any]) -> dict[str, Any]:
    asked = spec.to_json()
    asked["dataset"] = {
        "name": spec.dataset.name,
        "classes": list(spec.dataset.classes),
        "train_sha256": spec.dataset.train.sha256,
        "val_sha256": spec.dataset.val.sha256,
    }
    return {**_plain(config), **asked}


def _plain(value: Any) -> Any:
    """Values that JSON has; what it has not is written out as text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(item) for item in value]
    return json.loads(json.dumps(value, default=str))


def _plotted(point: Mapping[str, Any]) -> dict[str, Any]:
    kind = point["kind"]
    numbers = {
        f"{kind}/{key}": float(value) if isinstance(value, bool) else value
        for key, value in point.items()
        if key not in _NOT_PLOTTED and isinstance(value, int | float)
    }
    for name, values in (point.get("per_class") or {}).items():
        for key, title in (("mAP50", "AP50"), ("mAP", "AP")):
            if values.get(key) is not None:
                numbers[f"{kind}/{title}/{name}"] = values[key]
    return numbers
