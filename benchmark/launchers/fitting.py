"""As many runs side by side as find memory, and CPUs: ``--slots auto``.

A device with nothing on it takes any run. Another one joins those on a device once all of them have said what they take
(`benchmark.run.memory`), or runs of their rows have, and if what it is expected to take is free: the most that runs of
its row took so far, else the most that any took. What was expected wrong ends with a run that finds no memory: it is
started again alone, and its row shares with nobody any more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from benchmark.launchers.machine import MachinePool
from benchmark.run.devices import Room, gpu_rooms, memory_room
from benchmark.run.folder import RunFolder
from benchmark.run.memory import Memory, read_memory
from benchmark.run.options import Resources
from benchmark.writing.words import counted

MOST_EACH = 4
"""Runs on one GPU at most: they take turns on it, and a fifth finds little left to take."""
MARGIN = 0.1
"""Of a device's memory: what stays free for what a training takes later than it was looked at."""

_CPUS_EACH = 2  # of a run on a GPU: its process, and as much for the workers of its data loader
_LOOK_S = 2.0
_CPU = ""  # the device where there is no GPU


@dataclass(eq=False)
class Running:
    """A run that has its place.

    Attributes:
        resources: What was handed out to it.
        row: What it is a run of.
        alone: No other may join it.
        folder: Where it is; None until its job is started.
        memory: What its job has said so far.
        shared: Whether it had others beside it on a device at any time.
    """

    resources: Resources
    row: str
    alone: bool
    folder: RunFolder | None = None
    memory: Memory | None = None
    shared: bool = False

    @property
    def devices(self) -> tuple[str, ...]:
        """What it is on."""
        return self.resources.gpus or (_CPU,)


class Needs:
    """What runs take, by what their jobs have said."""

    def __init__(self) -> None:
        self._rows: dict[str, Memory] = {}

    def knows(self, row: str) -> bool:
        """Whether a run of the row has said it."""
        return row in self._rows

    def note(self, row: str, said: Memory) -> None:
        """Takes in what a run of a row takes; the most of all counts."""
        self._rows[row] = _most([said, *filter(None, [self._rows.get(row)])])

    def of(self, row: str) -> Memory | None:
        """What a run of a row is expected to take; None if nothing is known of any row."""
        if row in self._rows or not self._rows:
            return self._rows.get(row)
        return _most(self._rows.values())

    def gpu_mib(self, row: str) -> int:
        """The same of its GPU: what torch's allocator holds, and what the process needs to use the GPU at all.

        The latter is the least that was seen, for of several processes on a GPU each sees what the others hold.
        """
        known = self.of(row)
        context = min((one.beyond_mib for one in self._rows.values()), default=0)
        return known.reserved_mib + context if known else 0

    def host_mib(self, row: str) -> int:
        """The same of the machine's memory."""
        known = self.of(row)
        return known.host_mib if known else 0


@dataclass(eq=False)
class FittingPool(MachinePool):
    """Hands out places by what runs take of the memory; ``slots`` is the most there can be.

    Attributes:
        of_gpus: Says what memory each GPU has, by its id.
        of_machine: Says the same of the machine.
        say: Shows a line to the user.
    """

    of_gpus: Callable[[], Mapping[str, Room]] = gpu_rooms
    of_machine: Callable[[], Room] = memory_room
    say: Callable[[str], None] = lambda _: None
    _runs: list[Running] = field(default_factory=list)
    _needs: Needs = field(default_factory=Needs)
    _apart: set[str] = field(default_factory=set)
    _emptied: str | None = None
    _seen: tuple[float, Mapping[str, Room], Room] | None = None
    _strange: dict[str, int] = field(default_factory=dict)

    @property
    def at_a_time(self) -> str:
        """See `benchmark.launchers.base.Pool`."""
        threads = f", with {counted(self.threads(1), 'CPU thread')} each"
        return f"as many at a time as find memory, up to {self.slots}{'' if self.gpus else threads}"

    def acquire(self, processes: int, row: str = "", alone: bool = False) -> Resources | None:
        """See `benchmark.launchers.base.Pool`: runs of several processes share a GPU with nobody."""
        self._listen()
        alone = alone or row in self._apart or (processes > 1 and self.has_gpus)
        devices = self._free_devices(processes if self.gpus else 1, row, alone)
        if not devices or not self._has_cpus(processes):
            return None
        gpus = devices if self.gpus else ()
        return self._add(
            Resources(gpus, self.threads(processes), processes, processes == 1), row, alone
        )

    def take(self, processes: int) -> Resources:
        """See `benchmark.launchers.base.Pool`."""
        return self._add(super().take(processes), "", alone=False)

    def release(self, resources: Resources) -> None:
        """See `benchmark.launchers.base.Pool`."""
        self._listen()
        self._runs = [run for run in self._runs if run.resources is not resources]
        self._seen = None  # there is more free now

    def begin(self, resources: Resources, folder: RunFolder) -> None:
        """Hears which run is started with what was handed out."""
        folder.memory_file.unlink(missing_ok=True)  # of a job before
        for run in self._runs:
            if run.resources is resources:
                run.folder = folder

    def has_shared(self, resources: Resources) -> bool:
        """Whether a run had others beside it at any time."""
        return any(run.shared for run in self._runs if run.resources is resources)

    def set_apart(self, resources: Resources) -> None:
        """Has the runs of a run's row share a device with nobody from now on."""
        self._apart |= {run.row for run in self._runs if run.resources is resources}

    def _add(self, resources: Resources, row: str, alone: bool) -> Resources:
        self._runs.append(Running(resources, row, alone))
        for device in self._runs[-1].devices:
            there = self._on(device)
            for run in there:
                run.shared = run.shared or len(there) > 1
        return resources

    def threads(self, processes: int) -> int:
        """CPU threads of each process of a run."""
        return max(1, self.cpus // (self.slots * processes))

    def _on(self, device: str) -> list[Running]:
        return [run for run in self._runs if device in run.devices]

    def _listen(self) -> None:
        """Takes in what jobs have said since."""
        for run in self._runs:
            said = read_memory(run.folder.memory_file) if run.folder else None
            if said is None or not said.iterations or said == run.memory:
                continue
            if not self._needs.knows(run.row):
                self._tell(run.row, said)
            run.memory, self._seen = said, None
            self._needs.note(run.row, said)

    def _tell(self, row: str, said: Memory) -> None:
        held, beyond = _gib(said.reserved_mib), _gib(said.beyond_mib)
        gpu = f"{held} GiB of a GPU's {_gib(said.total_mib)} ({beyond} in use beside it) and "
        self.say(
            f"{row}: takes {gpu if said.total_mib else ''}{_gib(said.host_mib)} GiB of the machine's memory"
        )

    def _free_devices(self, number: int, row: str, alone: bool) -> tuple[str, ...]:
        """So many devices that a run may begin on now; none while there are not as many.

        For one that is to be alone a device is kept from others until it is empty.
        """
        devices = self.gpus or (_CPU,)
        found = [device for device in devices if self._takes(device, row, alone)]
        found.sort(key=lambda device: len(self._on(device)))
        if alone:
            kept = self._emptied or min(devices, key=lambda device: len(self._on(device)))
            self._emptied = kept if len(found) < number else None
        return tuple(found[:number]) if len(found) >= number else ()

    def _takes(self, device: str, row: str, alone: bool) -> bool:
        there = self._on(device)
        if device == self._emptied and not alone:
            return False
        if not there:
            self._note_strange(device)
            return not self._runs or self._machine_has_room(row)
        if alone or any(run.alone for run in there) or len(there) >= self._most_on_each:
            return False
        if not all(run.memory or self._needs.knows(run.row) for run in there):
            return False
        has_room = device == _CPU or self._gpu_has_room(device, row)
        return has_room and self._machine_has_room(row)

    @property
    def _most_on_each(self) -> int:
        return self.slots // max(1, len(self.gpus))

    def _has_cpus(self, processes: int) -> bool:
        """Whether a thread is left for each process; on GPUs they share what there is."""
        busy = sum(run.resources.processes for run in self._runs)
        return self.has_gpus or not busy or busy + processes <= self.cpus

    def _gpu_has_room(self, gpu: str, row: str) -> bool:
        """Whether what a run is expected to take is free: by what all there take, and by what is free now."""
        there, room, known = self._on(gpu), self._free()[0].get(gpu), self._needs.of(row)
        if known is None:
            return False
        total = room.total_mib if room else known.total_mib
        left = (
            total - self._strange.get(gpu, 0) - sum(self._needs.gpu_mib(run.row) for run in there)
        )
        if room is not None:
            unheard = (self._needs.gpu_mib(run.row) for run in there if run.memory is None)
            left = min(left, room.free_mib - sum(unheard))
        return self._needs.gpu_mib(row) <= left - MARGIN * total

    def _machine_has_room(self, row: str) -> bool:
        room = self._free()[1]
        unheard = sum(self._needs.host_mib(run.row) for run in self._runs if run.memory is None)
        return self._needs.host_mib(row) <= room.free_mib - unheard - MARGIN * room.total_mib

    def _note_strange(self, device: str) -> None:
        """Notes what others hold of a GPU that no run is on: the least seen, for what has just ended may linger."""
        room = self._free()[0].get(device)
        if room is not None:
            held = room.total_mib - room.free_mib
            self._strange[device] = min(held, self._strange.get(device, held))

    def _free(self) -> tuple[Mapping[str, Room], Room]:
        now = time.monotonic()
        if self._seen is None or now - self._seen[0] > _LOOK_S:
            self._seen = (now, self.of_gpus() if self.gpus else {}, self.of_machine())
        return self._seen[1:]


def _most(those: Iterable[Memory]) -> Memory:
    """What is enough for each."""
    some = list(those)
    return Memory(
        iterations=max(one.iterations for one in some),
        reserved_mib=max(one.reserved_mib for one in some),
        beyond_mib=min(one.beyond_mib for one in some),
        total_mib=max(one.total_mib for one in some),
        host_mib=max(one.host_mib for one in some),
    )


def _gib(mib: int) -> str:
    return f"{mib / 1024:.1f}"


def make_fitting_pool(gpus: tuple[str, ...], cpus: int) -> FittingPool:
    """A pool over GPUs, or over the CPUs where there are none: a run a CPU, so that each computes with one thread."""
    if not gpus:
        return FittingPool(slots=cpus, cpus=cpus)
    each = min(MOST_EACH, max(1, cpus // (_CPUS_EACH * len(gpus))))
    return FittingPool(slots=each * len(gpus), gpus=gpus, cpus=cpus)
