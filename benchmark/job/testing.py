"""A run on the test split: predicted on once, with the weights that its record is about; kept; evaluated if it can be.

The split is whole, whatever the profile. The last that is written is ``test.json``: a run that is killed before has
none, and is evaluated again.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from benchmark.data.annotations import Annotations
from benchmark.data.dataset import Split
from benchmark.errors import UserError, few, printable
from benchmark.job.base import Stopped
from benchmark.job.failures import of_machine
from benchmark.job.measure.measuring import images_of, reason
from benchmark.job.several import processes, rank
from benchmark.run.folder import RunFolder
from benchmark.run.journal import now
from benchmark.run.record import Metrics, Numbers, ValImages
from benchmark.run.spec import RunSpec
from benchmark.run.tested import Tested
from benchmark.statistics import tide
from benchmark.statistics.draws import write_draws
from benchmark.statistics.evaluation import (
    Detections,
    Evaluation,
    GroundTruth,
    write_predictions,
)
from benchmark.statistics.ids import sorted_ids
from benchmark.statistics.matches import match
from benchmark.statistics.resample import bootstrap

if TYPE_CHECKING:
    from benchmark.job.training import JobRunner

_T = TypeVar("_T")


def evaluate_on_test(runner: JobRunner, folder: RunFolder, spec: RunSpec) -> None:
    """Predicts on the test split of a run's data set, if it has one, and keeps what it comes to.

    What is wrong with the split costs its values, not the run: ``test.json`` says it, and the next sweep tries again.

    Args:
        runner: Has the weights that the run's record is about, in every process.
        folder: The run's folder.
        spec: What was asked. A trial of a study never sees the split.

    Raises:
        Stopped: The job is asked to end.
        Exception: The machine is at fault, see `benchmark.job.failures.of_machine`; or one process of several fails,
            for which the others would wait.
    """
    split = spec.dataset.test
    if split is None or spec.study is not None:
        return
    if rank() == 0:
        clear_test(folder)
    if processes() > 1:
        _predicted(runner, folder, spec, split)
    else:
        with_problem(folder, split, lambda: _predicted(runner, folder, spec, split))


def with_problem(folder: RunFolder, split: Split, evaluate: Callable[[], None]) -> None:
    """Evaluates on the test split, or notes in ``test.json`` why that could not be; see `evaluate_on_test`."""
    try:
        evaluate()
    except Stopped:
        raise
    except Exception as error:
        if of_machine(error, folder) is not None:
            raise
        traceback.print_exception(error, file=sys.stdout)
        print(f"{now()} not evaluated on test: {reason(error)}", flush=True)
        keep_reason(folder, split, reason(error))


def _predicted(runner: JobRunner, folder: RunFolder, spec: RunSpec, split: Split) -> None:
    from benchmark.job.evaluating import category_ids
    from benchmark.job.predicting import Unseen, predict

    annotations, classes = read_test(split), spec.dataset.classes
    ids = category_ids(spec, spec.dataset.with_categories(annotations))
    unseen = Unseen(
        annotations, split.images, dict(zip(classes, ids, strict=True)), folder.stop_file
    )
    found = predict(runner, unseen)
    if found is not None:
        keep_test(folder, annotations, found, classes)
        print(f"{now()} predicted on {len(annotations.images)} test images", flush=True)


def read_test(split: Split) -> Annotations:
    """What a test split holds, all of it.

    Raises:
        UserError: It cannot be read, or entries of it are wrong.
    """
    annotations = split.read()
    if faults := [*annotations.images.faults, *annotations.boxes.faults]:
        told = printable(few(faults))
        raise UserError(f"{annotations.path}: entries with a field missing or wrong: {told}")
    return annotations


def clear_test(folder: RunFolder) -> None:
    """Removes what a run has come to on a test split, that which says that it is whole first."""
    for path in (folder.tested_file, *_files(folder)):
        path.unlink(missing_ok=True)


def _files(folder: RunFolder) -> tuple[Path, ...]:
    return folder.test_predictions_file, folder.test_matches_file, folder.test_bootstrap_file


def keep_test(
    folder: RunFolder, annotations: Annotations, detections: Detections, classes: Sequence[str]
) -> Tested:
    """Keeps the boxes of a run on the test split; evaluates them where the split says which objects there are.

    Writes ``predictions-test.json``, with annotations ``matches-test.npz`` and ``bootstrap-test.npy``, and last
    ``test.json``.

    Args:
        folder: The run's folder.
        annotations: The test split.
        detections: The boxes on all of its images.
        classes: Class names in label order.

    Raises:
        UserError: Entries of the annotations are wrong.
        ValueError: A box is of an image or a category that the annotations do not have.
    """
    clear_test(folder)
    write_predictions(folder.test_predictions_file, detections)
    tested = Tested(
        run_id=folder.path.name,
        sha256=annotations.sha256,
        labelled=bool(len(annotations.boxes.ids) or annotations.boxes.faults),
        metrics=Metrics(),
        no_predictions=len(detections) == 0,
        images=images_of(sorted_ids(annotations.images.ids.tolist())),
        finished_at=now(),
    )
    if tested.labelled:
        truth = GroundTruth(annotations.to_coco())
        tested = _evaluated(tested, folder, truth, truth.evaluate(detections, classes=classes))
    folder.write_tested(tested)
    return tested


def _evaluated(tested: Tested, folder: RunFolder, truth: GroundTruth, found: Evaluation) -> Tested:
    """It with what an evaluation came to; what cannot be measured costs no more than its own values."""
    missing: dict[str, str] = {}
    _attempted(missing, folder, "bootstrap", lambda: _keep_draws(folder, truth, found))
    shares = _attempted(missing, folder, "tide", lambda: _shares(truth, found))
    metrics = Metrics(found.scores, found.per_class)
    return replace(tested, metrics=metrics, tide=shares, missing=missing or None)


def _attempted(
    missing: dict[str, str], folder: RunFolder, key: str, measure: Callable[[], _T]
) -> _T | None:
    try:
        return measure()
    except Exception as error:
        if of_machine(error, folder) is not None:
            raise
        missing[key] = reason(error)
        print(f"{now()} {key} of test not measured: {missing[key]}", flush=True)
        return None


def _keep_draws(folder: RunFolder, truth: GroundTruth, found: Evaluation) -> None:
    matches = match(truth, found.detections, found.image_ids, list(found.per_class))
    matches.save(folder.test_matches_file)
    write_draws(folder.test_bootstrap_file, bootstrap(matches))


def _shares(truth: GroundTruth, found: Evaluation) -> Numbers:
    shares = tide.error_shares(truth, found.detections, found.image_ids, list(found.per_class))
    if not all(map(isfinite, shares.values())):
        raise ValueError(f"no numbers: {shares}")
    return shares


def keep_reason(folder: RunFolder, split: Split, why: str, lasting: bool = False) -> None:
    """Writes a ``test.json`` that says why there is no evaluation; a lasting reason is not looked into again."""
    clear_test(folder)
    tested = Tested(
        run_id=folder.path.name,
        sha256=split.sha256,
        labelled=split.labelled,
        metrics=Metrics(),
        no_predictions=False,
        images=ValImages(0, ""),
        finished_at=now(),
        problem=why,
        lasting=lasting,
    )
    folder.write_tested(tested)
