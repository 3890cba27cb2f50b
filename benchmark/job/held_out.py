"""A complete run on a test split that it has not seen yet: nothing is trained, its final checkpoint is evaluated."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress

from benchmark.data.dataset import Split
from benchmark.job.base import Stopped
from benchmark.job.building import make_ready
from benchmark.job.several import rank
from benchmark.job.testing import keep_test, read_test, with_problem
from benchmark.run.folder import RunFolder
from benchmark.run.journal import now
from benchmark.run.options import JobOptions
from benchmark.run.record import State
from benchmark.run.spec import RunSpec
from benchmark.run.tested import is_tested


def evaluate_finished(folder: RunFolder, options: JobOptions) -> None:
    """Evaluates a complete run on the test split of its spec, unless that is done; the run's record stays as it is.

    One process does it, however many trained together.

    Raises:
        Exception: The machine is at fault, see `benchmark.job.failures.of_machine`; the next sweep tries again.
    """
    spec, record = folder.read_spec(), folder.read_record()
    split = spec.dataset.test
    if split is None or spec.study is not None or record.state is not State.COMPLETE:
        return
    if rank() != 0 or is_tested(folder.tested_if_any(), split):
        return
    print(f"{now()} test of run {spec.run_id}, process {os.getpid()}", flush=True)
    try:
        with_problem(folder, split, lambda: _test(folder, options, spec, split))
    except Stopped as stopped:
        print(f"{now()} stopped early: {stopped.state}", flush=True)
    with suppress(OSError):
        shutil.rmtree(folder.path / "mmengine", ignore_errors=True)
        folder.stop_file.unlink(missing_ok=True)


def _test(folder: RunFolder, options: JobOptions, spec: RunSpec, split: Split) -> None:
    if spec.trains:
        _predict(folder, options, spec, split)
        return
    from benchmark.job.made.job import MadeJob

    MadeJob(folder, options).test(split)


def _predict(folder: RunFolder, options: JobOptions, spec: RunSpec, split: Split) -> None:
    make_ready(options.resources, options.cache)
    from benchmark.job.evaluating import Pictured, Place, predict_images
    from benchmark.job.leaving import leave_if_asked
    from benchmark.job.on_disk import loading

    annotations = read_test(split)
    pictured = Pictured(spec.dataset.with_categories(annotations), split.images)
    work = folder.path / "mmengine"
    work.mkdir(exist_ok=True)
    with loading(options.trust_checkpoints):
        place = Place(work, options.resources)
        found = predict_images(
            folder, pictured, place, told=lambda *_: leave_if_asked(folder.stop_file)
        )
    keep_test(folder, annotations, found, spec.dataset.classes)
    print(f"{now()} predicted on {len(annotations.images)} test images", flush=True)
