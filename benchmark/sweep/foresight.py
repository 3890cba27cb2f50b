"""What will cost somebody time, or a record its commit, and can be told before any run starts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from benchmark.config.shrink import BATCH_SIZES, SCALES
from benchmark.config.tree import LOADERS, dicts, is_list
from benchmark.config.vocabulary.words import mapping_of
from benchmark.data.memory import Memory
from benchmark.errors import few
from benchmark.launchers import Launcher
from benchmark.launchers.fitting import FittingPool
from benchmark.launchers.machine import MachinePool
from benchmark.run.checkout import distrusted
from benchmark.run.devices import cpu_count, shared_memory_room
from benchmark.run.plan import Plan
from benchmark.run.state import Planned, not_complete
from benchmark.sweep.batches import iterations_of

# A CPU does a few full images a second: from here on it is hours.
_MANY_ITERATIONS = 1000
_PREFETCHED = 2  # batches a worker, unless prefetch_factor says otherwise
_AMPLE_MIB = 8 << 10  # of shared memory
_MIB = 2**20


def foreseen(plan: Plan, launcher: Launcher, memory: Memory) -> list[str]:
    """A message for each thing that the runs to do will meet, and that nobody need wait for to know."""
    waiting = not_complete(plan.runs)
    rows = {run.spec.row: run for run in waiting}
    return [
        *distrusted(waiting),
        *_on_cpus(waiting, rows, launcher, memory),
        *_beyond_shared_memory(rows, launcher),
        *_other_threads(plan.runs, waiting, launcher),
    ]


def _rows(names: list[str]) -> str:
    names = list(dict.fromkeys(names))
    return f"{'rows' if len(names) > 1 else 'row'} {few(names)}"


def _on_cpus(
    waiting: list[Planned], rows: Mapping[str, Planned], launcher: Launcher, memory: Memory
) -> Iterator[str]:
    """Long trainings where there is no GPU."""
    pool = launcher.pool
    if not isinstance(pool, MachinePool) or pool.gpus:
        return
    iterations = {row: iterations_of(run, memory) for row, run in rows.items()}
    long = [run for run in waiting if iterations[run.spec.row] >= _MANY_ITERATIONS]
    if long:
        yield (
            f"this machine shows no GPU: {len(long)} trainings of up to {max(iterations.values())} iterations are to "
            f"run on {cpu_count()} CPU threads, and may take days; '--profile smoke' tries them out in minutes"
        )


def _beyond_shared_memory(rows: Mapping[str, Planned], launcher: Launcher) -> Iterator[str]:
    """Loaders whose workers hold more images than shared memory has room for."""
    found = (
        shared_memory_room() if isinstance(launcher.pool, MachinePool) else None
    )  # a node has its own
    if found is None or found.total_mib >= _AMPLE_MIB:
        return
    held = {row: sum(_held(run.config.get(key)) for key in LOADERS) for row, run in rows.items()}
    large = [row for row, size in held.items() if size / _MIB > found.total_mib]
    if large:
        yield (
            f"{_rows(large)}: workers of the data loaders hold up to {max(held.values()) >> 20} MiB of images, and "
            f"/dev/shm has {found.total_mib} MiB: what finds no room there goes through their pipes; a container "
            "gets more with --shm-size=2g"
        )


def _other_threads(
    runs: Sequence[Planned], waiting: Sequence[Planned], launcher: Launcher
) -> Iterator[str]:
    """Runs that are to compute on CPUs with other numbers of threads than those of their rows that are there."""
    pool = launcher.pool
    if not isinstance(pool, FittingPool) or pool.gpus:
        return
    to_come = {run.spec.row: pool.threads(run.spec.gpus) for run in waiting}
    known = [(run.spec.row, run.record.provenance.threads) for run in runs if run.record]
    other = [row for row, threads in known if threads and to_come.get(row, threads) != threads]
    if other:
        yield (
            f"{_rows(other)}: runs that are there computed with more or fewer CPU threads than those to come have with "
            "--slots auto: that changes numbers in the last digits, and a training from there on as another seed "
            "would; --slots with the number that they were made with keeps it"
        )


def _held(loader: object) -> int:
    """Bytes of the images that a loader's workers have ready, at the largest size that its pipeline names."""
    given = mapping_of(loader)
    pixels = max(
        (
            _pixels(node[key])
            for node in dicts(given)
            for key in (SCALES | BATCH_SIZES) & node.keys()
        ),
        default=0,
    )
    ready = int(given.get("num_workers") or 0) * int(given.get("prefetch_factor") or _PREFETCHED)
    return ready * int(given.get("batch_size") or 1) * pixels * 3


def _pixels(size: object) -> int:
    """Pixels of the largest of sizes: a number is a side, two are both."""
    if isinstance(size, int | float):
        return int(abs(size)) ** 2
    if not is_list(size):
        return 0
    sides = [int(abs(side)) for side in size if isinstance(side, int | float)]
    return (
        sides[0] * sides[1] if len(sides) == 2 else max((_pixels(one) for one in size), default=0)
    )
