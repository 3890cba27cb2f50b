"""Records a run as it is, where no job is there that could: it has ended early, and no sweep goes on with it."""

from __future__ import annotations

import shutil

from benchmark import locks
from benchmark.run import checkpoints
from benchmark.run.folder import RunFolder
from benchmark.run.journal import Journal, Point, now
from benchmark.run.record import Metrics, Provenance, RunRecord, State
from benchmark.run.spec import RunSpec
from benchmark.run.validations import with_validations


def record_pruned(folder: RunFolder) -> bool:
    """Writes the record of an unfinished run that no job works on: ``pruned``, with the validations that it has.

    What it was trained on is not known here, and the record says nothing of it.

    Returns:
        Whether it did; False where a job holds the folder, which ends the run itself, or where the run has ended.

    Raises:
        Damaged: Its ``spec.json`` is.
    """
    try:
        lock = locks.acquire(folder.lock_file)
    except locks.Held:
        return False
    try:
        if folder.finished:
            return False
        points = Journal(folder.metrics_file).points()
        folder.write_record(_record(folder.read_spec(), points))
        _clear(folder)
    finally:
        lock.release()
    return True


def _record(spec: RunSpec, points: list[Point]) -> RunRecord:
    starts = [str(point["time"]) for point in points if point["kind"] == "start"]
    ended = now()
    record = RunRecord(
        run_id=spec.run_id,
        row=spec.row,
        seed=spec.seed,
        profile=spec.profile,
        state=State.PRUNED,
        metrics=Metrics(),
        no_predictions=False,
        params=None,
        train_seconds=max((point.get("elapsed_s", 0.0) for point in points), default=None),
        peak_memory_gib=None,
        started_at=starts[0] if starts else ended,
        finished_at=ended,
        provenance=Provenance(seed=spec.seed),
    )
    validations = [point for point in points if point["kind"] == "val"]
    return with_validations(record, validations, spec.select)


def _clear(folder: RunFolder) -> None:
    """Removes what a finished run no longer needs, as its job would."""
    if not folder.checkpoints.is_symlink():
        checkpoints.remove_all_but_final(folder.checkpoints)
    shutil.rmtree(folder.path / "mmengine", ignore_errors=True)
    for path in folder.path.glob("pseudo-train-*.json"):
        path.unlink(missing_ok=True)
    folder.stop_file.unlink(missing_ok=True)
