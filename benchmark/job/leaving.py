"""A job that is asked to leave: it saves what it has, and leaves so that another goes on exactly there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mmengine import dist
from mmengine.hooks import EMAHook, Hook
from mmengine.optim import OptimWrapperDict

from benchmark.job.base import Stopped
from benchmark.job.midway import begins_anew, counts_epochs, epoch_after, pass_over_trained
from benchmark.job.randomness import Randomness, drawn_so_far, go_on_drawing
from benchmark.run import checkpoints
from benchmark.run.folder import RunFolder
from benchmark.run.journal import Journal, now
from benchmark.run.record import State
from benchmark.run.state import stop_state

if TYPE_CHECKING:
    from benchmark.job.training import JobRunner

_VALIDATING = ("before_val", "before_val_epoch", "before_val_iter")
_OF_LIBRARIES = ("benchmark.", "mmengine.", "mmdet.")


def leave_if_asked(stop_file: Path) -> None:
    """Ends the job if ``stop`` is there: all ranks leave at the same iteration, on rank 0's word.

    Raises:
        Stopped: It is.
    """
    if state := _asked(stop_file):
        raise Stopped(state)


def _asked(stop_file: Path) -> str:
    """How the job is to end, as rank 0 reads it; empty if it is not."""
    found = [stop_state(stop_file) if dist.is_main_process() and stop_file.exists() else ""]
    if dist.is_distributed():
        dist.broadcast_object_list(found)
    return found[0]


class GoOnHook(Hook):  # type: ignore[misc]
    """Has a training that was resumed begin with what it had not trained yet, and draw the numbers of then."""

    priority = "HIGHEST"

    def before_train(self, runner: JobRunner) -> None:
        """Passes over what was trained."""
        if not runner.iter:
            return
        found = runner.randomness

        def begin() -> None:
            if found is not None:
                go_on_drawing(found)

        begin()  # for a validation that was cut short, and for the beginning of an epoch
        pass_over_trained(runner, begin)


class LeaveHook(Hook):  # type: ignore[misc]
    """Polls ``stop``; a training that is to be continued is saved at the iteration that it has reached.

    Where gradients of several iterations are summed up, it leaves when they are used. At the last iteration of an epoch
    it leaves when the epoch is over, so that whatever happens at its end has happened.

    Args:
        journal: Takes the time at which it leaves.
        folder: Holds ``stop``, made by whoever wants the job to end early, and the checkpoints.
    """

    # After the journal, which was registered before.
    priority = "LOWEST"

    def __init__(self, journal: Journal, folder: RunFolder) -> None:
        self._journal = journal
        self._stop_file = folder.stop_file
        self._checkpoints = folder.checkpoints
        self._trained_s: float | None = None
        self._drawn: Randomness | None = None

    def before_train(self, runner: JobRunner) -> None:
        """Leaves before anything is trained."""
        leave_if_asked(self._stop_file)

    def after_train_iter(
        self, runner: JobRunner, batch_idx: int, data_batch: object = None, outputs: object = None
    ) -> None:
        """Leaves, unless something is to be done first."""
        self._trained_s = self._journal.elapsed_s
        epoch_ends = self.end_of_epoch(runner.train_dataloader, batch_idx)
        if not (counts_epochs(runner) and epoch_ends) and _uses_gradients(runner):
            self._leave_if_asked(runner, runner.epoch, runner.iter + 1)

    def after_train_epoch(self, runner: JobRunner) -> None:
        """Leaves at the end of an epoch."""
        if counts_epochs(runner):
            self._leave_if_asked(runner, runner.epoch + 1, runner.iter)

    def before_val(self, runner: JobRunner) -> None:
        """Notes the random numbers: a validation that is cut short is made from its beginning."""
        self._drawn = drawn_so_far() if runner.world_size == 1 else None

    def after_val_iter(
        self, runner: JobRunner, batch_idx: int, data_batch: object = None, outputs: object = None
    ) -> None:
        """Ends a long validation early, too; it is made up for."""
        if state := _asked(self._stop_file):
            for hook in runner.hooks:
                if isinstance(hook, EMAHook):
                    hook.after_val_epoch(runner)  # the model has the averaged weights
            self._leave(runner, state, runner.epoch, runner.iter, _changes_model(runner))

    def after_val_epoch(self, runner: JobRunner, metrics: dict[str, float] | None = None) -> None:
        """Leaves after a validation, where there is more to train."""
        self._drawn = None
        if runner.iter < runner.max_iters:
            self._leave_if_asked(runner, runner.epoch, runner.iter)

    def _leave_if_asked(self, runner: JobRunner, epoch: int, iteration: int) -> None:
        if state := _asked(self._stop_file):
            self._leave(runner, state, epoch, iteration)

    def _leave(
        self, runner: JobRunner, state: str, epoch: int, iteration: int, why_not: str = ""
    ) -> None:
        if state != State.PRUNED.value:
            within = counts_epochs(runner) and iteration > epoch * len(runner.train_dataloader)
            self._save(runner, epoch, iteration, why_not or (begins_anew(runner) if within else ""))
        raise Stopped(state)

    def _save(self, runner: JobRunner, epoch: int, iteration: int, why_not: str) -> None:
        """Saves what the training goes on from, and says where that is."""
        if dist.is_main_process() and runner.kept_iteration != iteration:
            if why_not:
                print(f"{now()} iteration {iteration} is not saved: {why_not}", flush=True)
            else:
                path = self._checkpoints / checkpoints.left(epoch, iteration)
                runner.save_left(path, epoch, iteration, self._drawn)
                print(f"{now()} saved at iteration {iteration}, to go on there", flush=True)
                self._note(runner, iteration)
        dist.barrier()  # no process leaves before all is on disk

    def _note(self, runner: JobRunner, iteration: int) -> None:
        """Writes down the clock: what was trained since the last point is not trained again."""
        if self._trained_s is not None:
            where = {"iter": iteration, "epoch": epoch_after(runner, iteration)}
            self._journal.write({"kind": "stop", **where}, self._trained_s)


def _uses_gradients(runner: JobRunner) -> bool:
    """Whether the gradients so far have changed the weights; they are not saved."""
    wrapper = runner.optim_wrapper
    all_ = wrapper.values() if isinstance(wrapper, OptimWrapperDict) else [wrapper]
    return all(one.should_update() for one in all_)


def _changes_model(runner: JobRunner) -> str:
    """Why the model may have other weights in a validation than in training; empty if it has not."""
    for hook in runner.hooks:
        of_user = not type(hook).__module__.startswith(_OF_LIBRARIES)
        if of_user and any(
            getattr(type(hook), name) is not getattr(Hook, name) for name in _VALIDATING
        ):
            return (
                f"it is in a validation, for which {type(hook).__name__} may have changed the model"
            )
    return ""
