"""A job: reads a run folder, trains or makes the boxes otherwise, and writes the folder's record.

It knows its folder and nothing else: not the launcher, not Optuna.
"""

from __future__ import annotations

import copy
import gc
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from benchmark.config.unvalidated import WORDS as UNVALIDATED
from benchmark.garbage import collect_as_usual
from benchmark.job.base import RunJob
from benchmark.job.begun import may_begin
from benchmark.job.building import build_runner, config_of, make_ready, read_content
from benchmark.job.holding import holding
from benchmark.job.measure import MEASUREMENTS
from benchmark.job.several import end_others, rank
from benchmark.run import checkpoints
from benchmark.run.accumulation import read_accumulation
from benchmark.run.folder import RunFolder
from benchmark.run.journal import Journal, Point, now
from benchmark.run.lease import look
from benchmark.run.loaded import read_loaded, write_loaded
from benchmark.run.memory import Lack, Memory
from benchmark.run.options import JobOptions
from benchmark.run.record import Failure, RunRecord, State
from benchmark.run.validations import chosen, with_validations
from benchmark.tracking.runs import RunTracker

if TYPE_CHECKING:
    from mmengine.config import Config

    from benchmark.job.in_parts import InPartsHook
    from benchmark.job.measure.measuring import Findings
    from benchmark.job.metric import HotCocoMetric
    from benchmark.job.needs import NeedsHook
    from benchmark.job.pseudo import Learnt
    from benchmark.job.training import JobRunner, MemoryHook

_T = TypeVar("_T")


def run_job(path: Path, options: JobOptions, leave: Callable[[], None] | None = None) -> None:
    """Makes and evaluates the run at ``path`` and writes its record.

    A finished run is left alone, unless it is complete and has not seen the test split as it is now: then it is
    evaluated on that, see `benchmark.job.held_out`. A try-out goes the same way as a run on two images, and leaves what
    it has found in place of a record.

    Args:
        path: The run's folder.
        options: How it is run.
        leave: Called once the job's place is free for the next one, before it ends: see `benchmark.job.place`.

    Raises:
        locks.Held: Another job has held the folder all the time that `locks.patience_s` gives; one that has a lease is
            waited for, see `benchmark.job.holding`.
        Exception: The machine is at fault, see `benchmark.job.failures.of_machine`; there is no record, and the run is
            to be continued.
        SystemExit: It is one of several processes, which are to end, see `benchmark.job.several`; or a user has asked
            the run to end while its folder was another's.
    """
    folder = RunFolder(path)
    with holding(folder, options.leased) if rank() == 0 else nullcontext():
        if options.node_check:
            from benchmark.job.node_check import check_node

            check_node(folder, options)
        elif options.try_out:
            from benchmark.job.tryout import try_out

            try_out(folder, options)
        elif options.timed:
            from benchmark.job.timing import time_training

            time_training(folder, options)
        elif not folder.finished:
            if not options.leased or rank() != 0 or may_begin(folder, options):
                _job_of(folder)(folder, options, leave).run()
        elif folder.read_spec().dataset.test is not None:
            from benchmark.job.held_out import evaluate_finished

            evaluate_finished(folder, options)
    end_others()


def _job_of(folder: RunFolder) -> type[RunJob]:
    spec = folder.read_spec()
    if spec.trains:
        return _Training if spec.validates else _TrainingOnAll
    from benchmark.job.made.job import MadeJob

    return MadeJob


class _Training(RunJob):
    """What the steps of a training share."""

    def __init__(
        self, folder: RunFolder, options: JobOptions, leave: Callable[[], None] | None = None
    ) -> None:
        super().__init__(folder, options, leave)
        self.journal = Journal(folder.metrics_file)
        self.params: int | None = None
        self.runner: JobRunner
        self.memory: MemoryHook | None = None
        self.needs: NeedsHook | None = None
        self.in_parts: InPartsHook | None = None
        self.metric: HotCocoMetric
        self.spent: tuple[float, float] | None = None
        self.findings: Findings | None = None
        self.evaluated: Point | None = None
        self.learnt: Learnt | None = None

    def work(self) -> None:
        """Trains, evaluates and measures."""
        make_ready(self.options.resources, self.options.cache)
        from benchmark.job.on_disk import loading
        from benchmark.job.pseudo import with_pseudo

        print(f"{now()} run {self.spec.run_id}, process {os.getpid()}", flush=True)
        content = read_content(self.spec, self.folder, self.inputs)
        if self.spec.pseudo is not None:
            with loading(self.options.trust_checkpoints):
                self.learnt = with_pseudo(self, self.spec.pseudo, content)
            content = self.learnt.content
            print(f"{now()} {self.learnt.note}", flush=True)
        config = config_of(self.folder, content)
        if rank() == 0:
            self.tracker = RunTracker(
                self.spec, config.to_dict(), self.folder.path, self.options.tracking
            )
            self.journal.listen(self.tracker.log)
        with loading(self.options.trust_checkpoints), self.inputs.noting_weights():
            if rank() == 0:
                self._clear_places()
            refused: dict[Path, str] = {}
            while not self._fitted(copy.deepcopy(config), refused):
                gc.collect()  # the runner that could not load its checkpoint
            self._end()

    def _clear_places(self) -> None:
        from benchmark.job.resuming import not_taken

        for path in checkpoints.clear_places(self.folder.checkpoints):
            not_taken(path, "it is no file, and set aside")
        # They are written at the end: what lies there now is of nobody.
        self.folder.tested_file.unlink(missing_ok=True)
        (self.folder.checkpoints / checkpoints.FINAL).unlink(missing_ok=True)

    def _fitted(self, config: Config, refused: dict[Path, str]) -> bool:
        """Trains, from the newest checkpoint that is not refused; whether it could load that, else it is refused."""
        from benchmark.job.resuming import Unloadable

        self.runner = build_runner(config, self.folder, self.options.resources)
        self.holder = self._from_rank_0(self._lease_token)
        self.runner.belong_to(self.spec.ids, self._from_rank_0(lambda: self._newest(refused)))
        self.params = sum(parameter.numel() for parameter in self.runner.model.parameters())
        try:
            self._fit(config)
        except Unloadable as error:
            refused[error.path] = str(error)
            return False
        return True

    def _lease_token(self) -> str:
        seen = look(self.folder.lease_file)
        return seen.token if seen is not None else ""

    def _newest(self, refused: Mapping[Path, str]) -> Path | None:
        """The run's newest checkpoint that the training may go on from."""
        from benchmark.job.best import lost_best
        from benchmark.job.resuming import newest_own

        folder, ids = self.folder.checkpoints, self.spec.ids
        weights = self.runner.bare_model.state_dict()

        def objection(path: Path) -> str | None:
            if path in refused or self.spec.select != "best":
                return refused.get(path)
            return lost_best(folder, ids, weights, self.journal.validations(), path)

        return newest_own(folder, ids, weights, objection)

    def _find_metric(self) -> HotCocoMetric | None:
        """What evaluates the validations; None if there are none."""
        from benchmark.job.metric import HotCocoMetric

        metrics = self.runner.val_loop.evaluator.metrics
        self.metric = next(metric for metric in metrics if isinstance(metric, HotCocoMetric))
        return self.metric

    def _fit(self, config: Config) -> None:
        from benchmark.job.best import SelectHook
        from benchmark.job.leaving import GoOnHook, LeaveHook
        from benchmark.job.training import JournalHook, MemoryHook, ReadHook

        metric = self._find_metric()
        logger = (config.get("default_hooks") or {}).get("logger") or {}
        interval = logger.get("interval", 50)
        self.memory = MemoryHook()
        self.runner.register_hook(self.memory)
        self.runner.register_hook(JournalHook(self.journal, metric, interval, self.memory))
        self.runner.register_hook(LeaveHook(self.journal, self.folder))
        self.runner.register_hook(GoOnHook())
        if self.spec.select == "best" and metric is not None:
            self.runner.register_hook(SelectHook(metric, self.folder.checkpoints))
        self.runner.register_hook(ReadHook(self._check_inputs))
        self._watch_memory()
        collect_as_usual()
        self.runner.train()

    def _watch_memory(self) -> None:
        """Has the training go in parts where it is to, and say what it takes where its driver looks at that."""
        from benchmark.job.in_parts import InPartsHook
        from benchmark.job.needs import NeedsHook

        fitted, accumulation = self.options.resources.fitted, self.folder.accumulation_file
        if fitted or accumulation.exists():
            self.in_parts = InPartsHook(accumulation)
            self.runner.register_hook(self.in_parts)
        if fitted:
            self.needs = NeedsHook(self.folder.memory_file)
            self.runner.register_hook(self.needs)

    def lack(self, message: str) -> Memory:
        """See `RunJob`."""
        lacks = (
            self.in_parts.lack(message)
            if self.in_parts
            else Lack(message, whole="it had not begun to train")
        )
        return replace(self.needs.seen if self.needs else Memory(), lack=lacks)

    def _end(self) -> None:
        """Validates what has to be, and keeps what the run came to."""
        self._validate()
        if rank() == 0:
            self._keep_results()
        self._test()
        if rank() == 0:
            self._measure()

    def _validate(self) -> None:
        from benchmark.job.training import validation_missing

        # A kill after the last checkpoint and before the last validation leaves nothing to train.
        if validation_missing(self.runner, self.journal):
            self.runner.val_loop.run()
        earlier = self._from_rank_0(self._earlier_weights)
        if earlier is not None:
            self.runner.take_weights(earlier)
        if earlier is not None or self._from_rank_0(lambda: self.metric.last is None):
            # Of earlier weights, or the last validation was made by a process that was killed before the record.
            self.runner.validate_again()

    def _test(self) -> None:
        """Neither the time nor the memory of an evaluation on the test split is the training's."""
        from mmengine import dist

        from benchmark.job.testing import evaluate_on_test

        self.spent = self._spent()
        if self.spec.dataset.test is not None:
            dist.barrier()  # until the weights are saved
            # What is evaluated is what was saved: the model still has the weights before averaging, if there are any.
            self.runner.take_weights(self.folder.checkpoints / checkpoints.FINAL)
            evaluate_on_test(self.runner, self.folder, self.spec)

    def _check_inputs(self) -> None:
        """Once more, when all is open: what changed while it was opened is found, too."""
        if rank() == 0:
            if self.runner.loaded is not None:
                write_loaded(self.folder.loaded_file, self.runner.loaded)
            self._check_parsed()
        self.inputs.check()

    def _check_parsed(self) -> None:
        self.inputs.check_parsed(self.metric.annotations)

    @staticmethod
    def _from_rank_0(ask: Callable[[], _T]) -> _T:
        """An answer that only the first process of a distributed training knows."""
        from mmengine import dist

        answer = [ask() if rank() == 0 else None]
        if dist.is_distributed():
            dist.broadcast_object_list(answer)
        return cast("_T", answer[0])

    def _earlier_weights(self) -> Path | None:
        """The checkpoint of the validation that is recorded; None if the model has its weights."""
        from benchmark.job.best import selected_weights

        point = chosen(self.journal.validations(), self.spec.select)
        if point is None or point["iter"] == self.runner.iter:
            return None
        return selected_weights(self.runner, self.folder.checkpoints, point["iter"])

    def _keep_results(self) -> None:
        from benchmark.job.training import val_point
        from benchmark.statistics.evaluation import write_predictions

        last = self.metric.last
        assert last is not None
        write_predictions(self.folder.predictions_file, last.detections)
        self.evaluated = val_point(last)
        point = chosen(self.journal.validations(), self.spec.select) or {}
        self._keep_weights(int(point["epoch"]), point["iter"])

    def _keep_weights(self, epoch: int, iteration: int) -> None:
        """Saves what the record is about, and goes on with it."""
        from benchmark.job.resuming import FINISHED

        self.runner.save_checkpoint(
            str(self.folder.checkpoints),
            checkpoints.FINAL,
            save_optimizer=False,
            save_param_scheduler=False,
            meta={FINISHED: True, "epoch": epoch, "iter": iteration},
        )
        # What is measured is what was saved: the model still has the weights before averaging, where there is any.
        self.runner.take_weights(self.folder.checkpoints / checkpoints.FINAL)

    def _measure(self) -> None:
        """What is known of a complete run beyond its metrics; neither its time nor its memory is the training's."""
        from benchmark.job.measure.measuring import measure
        from benchmark.job.measure.samples import samples_of
        from benchmark.job.measure.trained import Trained

        assert self.metric.last is not None
        against = (self.metric.annotations, self.metric.ground_truth)
        trained = Trained(self.folder, self.metric.last, *against, self.runner)
        self.findings = measure(trained, self.options.cost, self._alone())
        if self.tracker is not None:
            self.tracker.images(samples_of(trained, self.options.tracking.images))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with self.alone():
            yield
        self._leave_place()

    def _leave_place(self) -> None:
        """Lets the next job begin: the model alone is still needed."""
        self.runner.forget_training()
        self.place.leave(on_gpu=self.runner.uses_gpu)

    def _spent(self) -> tuple[float, float]:
        """Seconds and GiB so far."""
        from benchmark.job.training import MemoryHook

        memory = self.memory or MemoryHook()
        return round(self.journal.elapsed_s, 3), round(memory.peak_gib, 4)

    def clear(self, state: State) -> None:
        """See `RunJob`."""
        if state is not State.FAILED:
            checkpoints.remove_all_but_final(self.folder.checkpoints)
        shutil.rmtree(self.folder.path / "mmengine", ignore_errors=True)
        # Labels and boxes, which both are elsewhere.
        for path in self.folder.path.glob("pseudo-train-*.json"):
            path.unlink()

    def record(self, state: State, why: Failure | None) -> RunRecord:
        """See `RunJob`."""
        train_seconds, peak_memory_gib = self.spent or self._spent()
        learnt = (self.learnt.note,) if self.learnt else ()
        record = replace(
            self.outcome(state, why, self.journal.started_at()),
            params=self.params,
            train_seconds=train_seconds,
            peak_memory_gib=peak_memory_gib,
            loaded=read_loaded(self.folder.loaded_file),
            accumulation=read_accumulation(self.folder.accumulation_file),
            made_from=self.learnt.made_from if self.learnt else {},
            notes=(*learnt, *getattr(getattr(self, "runner", None), "notes", ())),
        )
        points = self.journal.validations()
        record = with_validations(record, points, self.spec.select, self.evaluated)
        found = self.findings
        if found is None:
            return record
        known = replace(record, missing=found.missing or None, val_images=found.val_images)
        return known.with_measured(found.measured)


class _TrainingOnAll(_Training):
    """A training on train and val together: there is no validation, and nothing that is measured on its images."""

    def _find_metric(self) -> None:
        return None

    def _check_parsed(self) -> None:
        """Nothing is evaluated."""

    def _validate(self) -> None:
        """There is nothing to validate on."""

    def _keep_results(self) -> None:
        self._keep_weights(self.runner.epoch, self.runner.iter)

    def _measure(self) -> None:
        """There is nothing to measure on."""
        self._leave_place()

    def record(self, state: State, why: Failure | None) -> RunRecord:
        """See `RunJob`."""
        record = super().record(state, why)
        if state is not State.COMPLETE:
            return record
        missing = {key: UNVALIDATED for key, one in MEASUREMENTS.items() if one.function}
        return replace(record, unvalidated=UNVALIDATED, missing=missing)
