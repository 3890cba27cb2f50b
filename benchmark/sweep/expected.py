"""How long the missing runs will train, from what other runs of the same rows took; unknown without any."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from contextlib import suppress
from statistics import median

from benchmark.data.memory import Memory
from benchmark.errors import UserError, few
from benchmark.files import parsed
from benchmark.run.record import RunRecord, State
from benchmark.run.runs import Runs
from benchmark.run.spec import of_seed
from benchmark.run.state import Planned
from benchmark.sweep.batches import iterations_of
from benchmark.writing.words import duration

_LOOKED_AT = 5  # runs a row


def expected_time(runs: Sequence[Planned], on_disk: Runs, memory: Memory, has_gpus: bool) -> str:
    """What is known of the time that runs take, in a sentence: training and validation, one run after the other.

    Empty where none of them trains.

    Only complete runs of the same row and profile count, on the same kind of device, by their iterations.

    Args:
        runs: Those that are to be made.
        on_disk: The runs of the results folder.
        memory: What is known of the data set.
        has_gpus: Whether they will train on GPUs: `benchmark.launchers.base.Pool.has_gpus` of their launcher.
    """
    runs = [run for run in runs if run.spec.trains]
    if not runs:
        return ""
    names = on_disk.ids()
    paces = {
        row: _pace(_beginning(names, _stem(run)), run, on_disk, has_gpus)
        for row, run in {run.spec.row: run for run in runs}.items()
    }
    times = [pace * iterations_of(run, memory) for run in runs if (pace := paces[run.spec.row])]
    if not times:
        return "Training time: unknown; no run of these rows has come to its end here."
    unknown = [row for row, pace in paces.items() if pace is None]
    rest = f"; unknown for {few(unknown)}" if unknown else ""
    return (
        f"Training time: about {duration(sum(times))} for {len(times)} of {len(runs)} runs, one after the other, as "
        f"earlier runs of the same rows went{rest}."
    )


def _stem(run: Planned) -> str:
    """What the ids of all runs of a row begin with, and those of few others."""
    spec = run.spec
    return spec.run_id.rpartition(f"{of_seed(spec.seed, spec.fold)[1:]}-{spec.profile}-")[0]


def _beginning(names: Sequence[str], stem: str) -> Sequence[str]:
    """Those of sorted names that begin so."""
    return names[bisect_left(names, stem) : bisect_left(names, f"{stem}\U0010ffff")]


def _pace(names: Sequence[str], run: Planned, on_disk: Runs, has_gpus: bool) -> float | None:
    """Seconds an iteration in those of the runs that are of the same row; None without any."""
    alike = [name for name in names if f"-{run.spec.profile}-" in name][-_LOOKED_AT:]
    paces = [
        record.train_seconds / done
        for name in alike
        if (record := _record(name, on_disk)) is not None
        and record.train_seconds is not None
        and (record.row, record.profile) == (run.spec.row, run.spec.profile)
        and str(record.provenance.device).startswith("CPU") != has_gpus
        and (done := _iterations(name, on_disk))
    ]
    return median(paces) if paces else None


def _record(name: str, on_disk: Runs) -> RunRecord | None:
    """The record of a run that is complete."""
    with suppress(UserError, OSError):
        record = on_disk.record(name)
        return record if record is not None and record.state is State.COMPLETE else None
    return None


def _iterations(name: str, on_disk: Runs) -> int:
    """Iterations that a run was to do, as the first line of its journal says; 0 where it does not."""
    with suppress(OSError, ValueError), on_disk.folder(name).metrics_file.open() as lines:
        for point in parsed([lines.readline()]):
            found = point.get("max_iters")
            return found if isinstance(found, int) else 0
    return 0
