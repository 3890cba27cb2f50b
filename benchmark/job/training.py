"""The mmengine side of a job: a Runner with safe checkpoints, and the hook that writes the journal."""

from __future__ import annotations

import math
import resource
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

import torch
from mmengine import dist
from mmengine.hooks import CheckpointHook, Hook
from mmengine.logging import MMLogger
from mmengine.model import MMDistributedDataParallel, is_model_wrapper
from mmengine.optim import OptimWrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from benchmark.errors import fault_of
from benchmark.files import replacing
from benchmark.job.amp import emulated, on_this_device
from benchmark.job.best import BestCheckpoint, SelectHook
from benchmark.job.fused import stays_fused, with_fused_step
from benchmark.job.leaving import LeaveHook
from benchmark.job.metric import HotCocoMetric
from benchmark.job.midway import counts_epochs, epoch_after, trained_of_epoch
from benchmark.job.randomness import Randomness, drawn_so_far
from benchmark.job.resuming import FINISHED, RANDOMNESS, RUN_ID, Unloadable
from benchmark.job.saving import save, streamed_to_disk
from benchmark.job.several import is_seen
from benchmark.job.starting import (
    counted_loading,
    refuse_not_numbers,
    refuse_other_classes,
    whole_loading,
)
from benchmark.job.weights import NotTrusted
from benchmark.run import checkpoints
from benchmark.run.journal import Journal, Point, now
from benchmark.run.loaded import Loaded
from benchmark.statistics.evaluation import Evaluation

_NUMBERS = count(1)  # of the Runners of this process


class Diverged(Exception):
    """The loss is no longer a number."""


class JobRunner(Runner):  # type: ignore[misc]
    """mmengine's Runner, but a checkpoint is whole or absent and says whose it is, and the log has one file.

    Attributes:
        loaded: What of another checkpoint the training has started from; None if it has from none.
        randomness: Where the random numbers were in the checkpoint that is gone on from; None if it does not say.
        kept_iteration: Iterations done at the newest checkpoint that may be gone on from; 0 without any.
        notes: What is to be known of how it was trained, a sentence each.
    """

    loaded: Loaded | None = None
    randomness: Randomness | None = None
    kept_iteration = 0
    notes: tuple[str, ...] = ()
    _ids: tuple[str, ...] = ("",)
    _own: str | None = None
    _resume: bool
    _load_from: str | None

    def __init__(self, *args: object, experiment_name: str | None = None, **kwargs: object) -> None:
        """See `mmengine.runner.Runner`, which shares a log and its values with all of the same name and second."""
        name = f"{experiment_name or 'config'}_{next(_NUMBERS)}"
        super().__init__(*args, experiment_name=name, **kwargs)

    def belong_to(self, ids: tuple[str, ...], checkpoint: Path | None) -> None:
        """Says which run is trained, by every id that it has had, and which checkpoint is gone on from; None begins it.

        Without one mmengine would look for the newest file itself, where a config says ``resume=True``.
        """
        self._ids = ids
        if checkpoint is not None:
            self._own = self._load_from = str(checkpoint)
        self._resume = self._load_from is not None and (self._resume or self._own is not None)

    @property
    def ids(self) -> tuple[str, ...]:
        """Every id that the run has had, the present one last."""
        return self._ids

    @property
    def bare_model(self) -> torch.nn.Module:
        """The model without what wraps it in a distributed training."""
        model: torch.nn.Module = self.model.module if is_model_wrapper(self.model) else self.model
        return model

    def load_or_resume(self) -> None:
        """Loads what the training goes on from.

        Raises:
            Unloadable: It is the run's own checkpoint, and one of the processes cannot load it, whatever the reason:
                the runner may have parts of it, and is of no use any more.
        """
        why = ""
        try:
            super().load_or_resume()
        except Exception as error:
            if self._own is None or _not_the_files(error):
                raise
            why = f"{type(error).__name__}: {error}"
        if self._own is not None:
            told = next(filter(None, dist.all_gather_object(why)), "")
            if told:
                raise Unloadable(Path(self._own), told)
            self.kept_iteration = self.iter

    def load_checkpoint(self, filename: str, *args: object, **kwargs: object) -> object:
        """Loads weights; of the run's own checkpoint all of them, of another what fits. See `mmengine.runner.Runner`.

        A config that the checkpoint holds as text is left out: mmengine would run it, to count its GPUs.
        """
        if filename == self._own:
            kwargs["strict"] = True
        if kwargs.get("strict"):
            is_seen(Path(filename))  # it may have been written on another node, a moment ago
            content: dict[str, object] = super().load_checkpoint(filename, *args, **kwargs)
        else:
            with counted_loading(filename) as told:
                content = super().load_checkpoint(filename, *args, **kwargs)
            self.loaded = told()
        if isinstance(meta := content.get("meta"), dict):
            meta.pop("config", None)
            self.randomness = meta.get(RANDOMNESS) if filename == self._own else None
        return content

    @dist.master_only  # type: ignore[untyped-decorator]
    def save_checkpoint(self, out_dir: str, filename: str, *args: object, **kwargs: object) -> None:
        """Saves to a temporary file that then takes the name; see `mmengine.runner.Runner`."""
        given = kwargs.pop("meta", None)
        meta = {**(given if isinstance(given, dict) else {}), RUN_ID: self._ids[-1]}
        to_resume = bool(kwargs.get("save_optimizer", True))
        if to_resume and self.world_size == 1:
            meta.setdefault(RANDOMNESS, drawn_so_far())
        with replacing(Path(out_dir) / filename) as temporary, streamed_to_disk():
            super().save_checkpoint(
                str(temporary.parent), temporary.name, *args, meta=meta, **kwargs
            )
        if to_resume:
            self.kept_iteration = int(meta["iter"])  # mmengine has filled it in
            checkpoints.remove_old_left(Path(out_dir))

    def save_left(
        self, path: Path, epoch: int, iteration: int, drawn: Randomness | None = None
    ) -> None:
        """Saves a training that is left, to be gone on with after so many epochs and iterations.

        Args:
            path: The file.
            epoch: Whole epochs that are trained.
            iteration: Iterations that are trained.
            drawn: Where the random numbers are to go on; None for where they are.
        """
        meta: dict[str, object] = {"epoch": epoch, "iter": iteration}
        if drawn is not None:
            meta[RANDOMNESS] = drawn
        self.save_checkpoint(str(path.parent), path.name, meta=meta)

    def take_weights(self, path: Path) -> None:
        """Loads a checkpoint of this run as mmengine loads one that is to be tested.

        Where weights were averaged in training, it is those that the checkpoint holds for this, and that the model
        has from now on.
        """
        self._resume = False
        self.load_checkpoint(str(path), strict=True)

    def take_given(self, named: str, classes: Sequence[str]) -> None:
        """Loads weights that are given, all of which have to fit the model.

        Args:
            named: What the config names.
            classes: What the model tells apart, in label order.

        Raises:
            UserError: They do not, the checkpoint says that its classes are others, or some are no numbers.
        """
        with whole_loading(named, len(classes)) as require:
            content = super().load_checkpoint(named, map_location="cpu", strict=False)
        refuse_other_classes(named, content.get("meta"), classes)
        require()
        refuse_not_numbers(named, self.bare_model.state_dict())

    def keep_weights(self, path: Path, classes: Sequence[str]) -> None:
        """Saves the weights of a model that was not trained here as those that a training ends with."""
        known = {"dataset_meta": {"classes": tuple(classes)}, "epoch": 0, "iter": 0}
        meta = {**known, RUN_ID: self._ids[-1], FINISHED: True}
        weights = {key: value.cpu() for key, value in self.bare_model.state_dict().items()}
        path.parent.mkdir(exist_ok=True)
        with replacing(path) as temporary:
            save({"meta": meta, "state_dict": weights}, temporary)

    def validate_again(self) -> None:
        """Validates, once the training is over, without another entry in the journal or another checkpoint."""
        writers = (JournalHook, LeaveHook, CheckpointHook, SelectHook)
        self._hooks = [hook for hook in self.hooks if not isinstance(hook, writers)]
        self.val_loop.run()

    def build_logger(self, log_level: str = "INFO", *_args: object, **_kwargs: object) -> MMLogger:
        """A logger without a file of its own: the job's output already is ``log.txt``."""
        return MMLogger.get_instance(name=self._experiment_name, log_level=log_level)

    @property
    def uses_gpu(self) -> bool:
        """Whether the model is on a GPU."""
        return next(self.bare_model.parameters()).device.type != "cpu"

    def forget_training(self) -> None:
        """Frees what the training alone has needed: gradients, the optimizer's state, the training images."""
        for parameter in self.model.parameters():
            parameter.grad = None
        for name in ("optim_wrapper", "param_schedulers", "_train_loop", "_train_dataloader"):
            setattr(self, name, None)

    def _log_env(self, env_cfg: dict[str, object]) -> None:
        """Logs how it runs: versions and device are in the record, the config in ``config.py``.

        mmengine's own asks compilers and packages for their versions, which takes as long as building a small model.
        """
        how = {**env_cfg, **self._randomness_cfg, "seed": self._seed, "processes": self._world_size}
        self.logger.info(f"runs with {how}")

    def build_optim_wrapper(self, optim_wrapper: object) -> object:
        """Builds the optimizer, its step fused; in mixed precision on a CPU, too: mmengine's asserts an accelerator."""
        self._note(emulated(optim_wrapper))
        built = super().build_optim_wrapper(with_fused_step(on_this_device(optim_wrapper)))
        if isinstance(built, OptimWrapper):  # one of several optimizers has a dictionary of them
            stays_fused(built.optimizer)
        return built

    def _maybe_compile(self, target: str) -> None:
        """Compiles what can be of the model, where mmengine would compile a whole step, its optimizer included."""
        if target == "train_step" and (settings := self.cfg.get("compile")):
            from benchmark.job.compiled import compile_parts

            compile_parts(self.bare_model, settings, self._note)

    def _note(self, sentence: str) -> None:
        """Keeps a sentence for the run's record, and logs it; nothing where it is empty."""
        if sentence and sentence not in self.notes:
            self.notes = (*self.notes, sentence)
            print(f"{now()} {sentence}", flush=True)

    def wrap_model(
        self, model_wrapper_cfg: dict[str, object] | None, model: torch.nn.Module
    ) -> object:
        """Wraps for training on several CPUs, too: mmengine names a CUDA device in any case."""
        if self.distributed and not torch.cuda.is_available() and model_wrapper_cfg is None:
            unused = self.cfg.get("find_unused_parameters", False)
            return MMDistributedDataParallel(
                module=model, broadcast_buffers=False, find_unused_parameters=unused
            )
        return super().wrap_model(model_wrapper_cfg, model)


def _not_the_files(error: Exception) -> bool:
    """Whether an error in loading says nothing of the file: of memory or the disk, or it waits for trust."""
    lacks = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return lacks or isinstance(error, NotTrusted) or fault_of(error) is not None


@HOOKS.register_module()
class RunCheckpointHook(CheckpointHook):  # type: ignore[misc]
    """mmengine's CheckpointHook, writing to the run's ``checkpoints/`` and keeping at least two.

    The best checkpoint of ``save_best`` is kept as `BestCheckpoint` does: mmengine's removes the one before first.
    """

    def __init__(self, folder: str, max_keep_ckpts: int = -1, **kwargs: object) -> None:
        keep = max_keep_ckpts if max_keep_ckpts < 0 else max(2, max_keep_ckpts)
        super().__init__(max_keep_ckpts=keep, **kwargs)
        self._folder = folder
        self._bests: dict[str, BestCheckpoint] = {}

    def before_train(self, runner: Runner) -> None:
        """Sets the folder; mmengine would append the last part of ``work_dir`` to it."""
        super().before_train(runner)
        self.out_dir = self._folder

    def _save_best_checkpoint(self, runner: Runner, metrics: dict[str, float]) -> None:
        if not self.save_best:
            return
        if "auto" in self.key_indicators:
            self._init_rule(self.rules, [next(iter(metrics))])
        for key in self.key_indicators:
            if key not in self._bests:
                name = f"best_{key}".replace("/", "_")
                better = self.is_better_than[key]
                self._bests[key] = BestCheckpoint(Path(self._folder), name, better)
            self._bests[key].offer(runner, metrics[key])


class ReadHook(Hook):  # type: ignore[misc]
    """Checks what was read, when everything is open and nothing is trained yet."""

    priority = "HIGHEST"

    def __init__(self, check: Callable[[], None]) -> None:
        self._check = check

    def before_train(self, runner: Runner) -> None:
        """Raises what the check raises."""
        self._check()


class MemoryHook(Hook):  # type: ignore[misc]
    """Keeps the peak of memory: mmengine's text log starts the GPU's count anew with each of its lines."""

    # Before the text log (BELOW_NORMAL).
    priority = "NORMAL"

    def __init__(self) -> None:
        self._seen = 0.0

    @property
    def peak_gib(self) -> float:
        """The peak so far in GiB: allocated on the GPU where there is one, else resident memory of the process."""
        return max(self._seen, _peak_memory_gib())

    def _after_iter(self, *_args: object, **_kwargs: object) -> None:
        """Looks after each iteration of training and of validation."""
        self._seen = self.peak_gib


class JournalHook(Hook):  # type: ignore[misc]
    """Writes points to the journal, and ends a training whose loss is not a number.

    There are ``interval`` iterations between two training points, as between two of the text log's.
    """

    # After the checkpoint of an epoch is saved (VERY_LOW).
    priority = "LOWEST"

    def __init__(
        self, journal: Journal, metric: HotCocoMetric | None, interval: int, memory: MemoryHook
    ) -> None:
        self.journal = journal
        self.memory = memory
        self.metric = metric
        self.interval = interval

    def before_train(self, runner: Runner) -> None:
        """Begins the attempt, and makes up for a validation that a kill cut short."""
        if dist.is_main_process():
            self.journal.start(runner.iter, runner.max_iters)
        validates = runner.val_loop is not None
        if validates and validation_missing(runner, self.journal) and _validation_due(runner):
            runner.val_loop.run()

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: object = None, outputs: object = None
    ) -> None:
        """Logs a training point at every interval and at the end of an epoch."""
        epoch_ends = self.end_of_epoch(runner.train_dataloader, batch_idx)
        if self.every_n_train_iters(runner, self.interval) or epoch_ends:
            self._log(runner)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Logs the validation at full precision."""
        if dist.is_main_process() and self.metric is not None and self.metric.last is not None:
            where = {"kind": "val", "iter": runner.iter, "epoch": epoch_after(runner, runner.iter)}
            self.journal.write({**where, **val_point(self.metric.last)})

    def _log(self, runner: Runner) -> None:
        point = _train_point(runner, self.interval, self.memory.peak_gib)
        if not math.isfinite(point["loss"]):
            raise Diverged(f"loss is {point['loss']} at iteration {point['iter']}")
        if dist.is_main_process():
            self.journal.write(point)


def val_point(evaluation: Evaluation) -> Point:
    """What a validation came to, as the journal has it: scores, those of each class, whether anything was predicted."""
    more = {"per_class": evaluation.per_class, "no_predictions": evaluation.no_predictions}
    return {**evaluation.scores, **more}


def _train_point(runner: Runner, interval: int, peak_gib: float) -> Point:
    scalars = runner.message_hub.log_scalars
    # A mean over the interval for what jumps from batch to batch, the present value for the learning rate.
    values = {
        key.removeprefix("train/"): float(
            buffer.current() if key.endswith("lr") else buffer.mean(interval)
        )
        for key, buffer in scalars.items()
        if key.startswith("train/")
    }
    done = runner.iter + 1
    head = {"kind": "train", "iter": done, "epoch": epoch_after(runner, done)}
    return {**head, **values, "memory_mib": round(peak_gib * 1024)}


def _peak_memory_gib() -> float:
    if torch.cuda.is_available():
        return float(torch.cuda.max_memory_allocated()) / 2**30
    resident = float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    return resident / 2**20  # Linux counts in KiB


def validation_missing(runner: Runner, journal: Journal) -> bool:
    """Whether the journal lacks a validation of the present weights."""
    last = journal.last_validation() if dist.is_main_process() else None
    missing = [last is None or last["iter"] != runner.iter]
    if dist.is_distributed():
        dist.broadcast_object_list(missing)
    return missing[0]


def _validation_due(runner: Runner) -> bool:
    loop = runner.train_loop
    done = loop.epoch if counts_epochs(runner) else loop.iter
    begins = trained_of_epoch(runner) == 0
    return bool(begins and done and done % loop.val_interval == 0 and done >= loop.val_begin)
