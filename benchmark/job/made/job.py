"""The job of a run that does not train: its boxes are made, evaluated and measured as those of a training are."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import import_module

import numpy as np

from benchmark.data.annotations import Annotations, read_annotations
from benchmark.data.dataset import Split
from benchmark.job.base import RunJob, source_of
from benchmark.job.made import MAKERS
from benchmark.job.made.base import Made, Maker, Making, judged_ids
from benchmark.job.measure import MEASUREMENTS
from benchmark.job.measure.evaluated import Evaluated
from benchmark.job.measure.measuring import Findings, measure
from benchmark.job.testing import keep_reason, keep_test, read_test, with_problem
from benchmark.run.folder import RunFolder
from benchmark.run.journal import now
from benchmark.run.options import JobOptions
from benchmark.run.record import Failure, Metrics, RunRecord, State
from benchmark.statistics.evaluation import Evaluation, GroundTruth, write_predictions
from benchmark.tracking.runs import RunTracker

NO_MODEL = "not trained here: its boxes come from elsewhere"
NO_TRAINING = "not trained here: its weights come from elsewhere"
NO_VAL = "given boxes of the test split alone: no val score"
NO_TEST = "its boxes of the test split are not known"


class MadeJob(RunJob):
    """What the steps of making a run share."""

    def __init__(
        self, folder: RunFolder, options: JobOptions, leave: Callable[[], None] | None = None
    ) -> None:
        super().__init__(folder, options, leave)
        self._started = now()
        self._made_from: dict[str, str] = {}
        self._no_val = NO_VAL
        self._notes: tuple[str, ...] = ()
        self._params: int | None = None
        self._evaluation: Evaluation | None = None
        self._findings: Findings | None = None

    def work(self) -> None:
        """Makes the boxes, evaluates and measures."""
        print(f"{now()} run {self.spec.run_id}, process {os.getpid()}", flush=True)
        self.inputs.check()
        self.tracker = RunTracker(self.spec, {}, self.folder.path, self.options.tracking)
        annotations = read_annotations(self.spec.dataset.val.annotations)
        self.inputs.check_parsed(annotations)
        making = self._making({"val": annotations}, ("val",))
        if self.spec.validates:
            self._judge(making)
        split = self.spec.dataset.test
        if split is not None and self.spec.study is None:
            with_problem(self.folder, split, lambda: self.test(split))

    def _judge(self, making: Making) -> None:
        """Makes the boxes of the validation images, and keeps what they come to."""
        made = _maker(self.spec.recipe)(making)
        self._note(made)
        self._keep(making, made)

    def _note(self, made: Made) -> None:
        new = [note for note in made.notes if note not in self._notes]
        for note in new:
            print(note, flush=True)
        self._notes = (*self._notes, *new)

    def test(self, split: Split) -> None:
        """Makes the boxes of the test split, and keeps what they come to; those of val are left as they are."""
        test = read_test(split)
        val = read_annotations(self.spec.dataset.val.annotations)
        making = self._making({"val": val, "test": test}, ("test",))
        made = _maker(self.spec.recipe)(making)
        boxes = made.boxes.get("test")
        self._note(made)
        if boxes is None:
            keep_reason(self.folder, split, NO_TEST, lasting=True)
            return
        kept = boxes.chosen(np.isin(boxes.image_ids, test.images.ids))
        keep_test(self.folder, test, kept, self.spec.dataset.classes)

    def record(self, state: State, why: Failure | None) -> RunRecord:
        """See `RunJob`."""
        found, shown = self._findings, self._evaluation
        made = self.outcome(state, why, self._started)
        record = replace(
            made,
            metrics=Metrics(shown.scores, shown.per_class) if shown else Metrics(),
            no_predictions=bool(shown and shown.no_predictions),
            params=self._params,
            provenance=made.provenance if self._params else replace(made.provenance, device=None),
            made_from=self._made_from,
            notes=self._notes,
        )
        if not self.spec.validates and state is State.COMPLETE:
            missing = {key: self._no_val for key, one in MEASUREMENTS.items() if one.function}
            return replace(record, unvalidated=self._no_val, missing={**missing, **self._absent()})
        if found is None:
            return record
        missing = {**self._absent(), **found.missing}
        return replace(record, missing=missing, val_images=found.val_images).with_measured(
            found.measured
        )

    def _making(self, by_split: Mapping[str, Annotations], splits: tuple[str, ...]) -> Making:
        """What the boxes are made from; ``splits`` are those that are wanted.

        Raises:
            NotAsAsked: A run that it is made from is not complete.
        """
        sources = tuple(source_of(self.folder, run_id) for run_id in self.spec.made_from)
        self._made_from = {record.run_id: record.finished_at for _, record in sources}
        without = (record for _, record in sources if record.unvalidated)
        reasons = (f"made from {record.row}, {record.unvalidated}" for record in without)
        self._no_val = next(reasons, NO_VAL)
        ids = {"val": judged_ids(by_split["val"], self.spec.making)}
        ids |= {
            split: frozenset(annotations.images.ids.tolist())
            for split, annotations in by_split.items()
            if split != "val"  # no other is ever shortened
        }
        how = (sources, self.inputs, self.options, splits)
        return Making(self.spec, self.folder, by_split, ids, *how)

    def _keep(self, making: Making, made: Made) -> None:
        annotations, ids = making.annotations["val"], making.image_ids["val"]
        truth = GroundTruth(annotations.to_coco())
        made_boxes = made.boxes["val"]
        boxes = made_boxes.chosen(np.isin(made_boxes.image_ids, list(ids)))
        self._evaluation = truth.evaluate(boxes, ids, self.spec.dataset.classes)
        write_predictions(self.folder.predictions_file, boxes)
        evaluated = Evaluated(self.folder, self._evaluation, annotations, truth)
        if made.runner is not None:
            from benchmark.job.measure.trained import Trained

            self._params = sum(p.numel() for p in made.runner.model.parameters())
            evaluated = Trained(*_parts(evaluated), made.runner)
        self._findings = measure(evaluated, self.options.cost, self.alone())
        self._show(evaluated)

    def _show(self, evaluated: Evaluated) -> None:
        from benchmark.job.measure.samples import samples_of

        if self.tracker is not None:
            self.tracker.images(samples_of(evaluated, self.options.tracking.images))

    def _absent(self) -> dict[str, str]:
        """Why the record lacks what belongs to a model or to its training."""
        if self._params:
            return {"training": NO_TRAINING}
        return {key: NO_MODEL for key, one in MEASUREMENTS.items() if one.of_model}


def _maker(recipe: str) -> Maker:
    module, _, name = MAKERS[recipe].partition(":")
    maker: Maker = getattr(import_module(module), name)
    return maker


def _parts(evaluated: Evaluated) -> tuple[RunFolder, Evaluation, Annotations, GroundTruth]:
    return evaluated.folder, evaluated.evaluation, evaluated.annotations, evaluated.truth
