"""Which run gets a place beside which: by the memory that runs have said they take, and by the CPUs."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.launchers.fitting import MOST_EACH, FittingPool, make_fitting_pool
from benchmark.run.devices import Room
from benchmark.run.folder import RunFolder
from benchmark.run.memory import Lack, Memory, write_memory
from benchmark.run.options import Resources

GIB = 1024
HOST = Room(64 * GIB, 60 * GIB)


class Machine:
    """GPUs of 80 GiB, of which a made-up nvidia-smi tells what is free, and runs on them."""

    def __init__(self, folder: Path, gpus: str = "0", cpus: int = 16) -> None:
        self.folder = folder
        self.free = dict.fromkeys(gpus, 79 * GIB)
        self.host = HOST
        self.said: list[str] = []
        self.pool: FittingPool = make_fitting_pool(tuple(gpus), cpus)
        self.pool.of_gpus = lambda: {gpu: Room(80 * GIB, free) for gpu, free in self.free.items()}
        self.pool.of_machine = lambda: self.host
        self.pool.say = self.said.append
        self._runs = 0

    def start(self, row: str, processes: int = 1, alone: bool = False) -> Place | None:
        resources = self.pool.acquire(processes, row, alone)
        if resources is None:
            return None
        self._runs += 1
        folder = RunFolder(self.folder / f"{row}-{self._runs}")
        folder.path.mkdir()
        self.pool.begin(resources, folder)
        return Place(self, resources, folder)


class Place:
    """A run that was started."""

    def __init__(self, machine: Machine, resources: Resources, folder: RunFolder) -> None:
        self.machine, self.resources, self.folder = machine, resources, folder
        self.held = 0

    def says(self, gib: float, host_gib: float = 1, beyond: int = 500) -> None:
        """Its job has taken so much of its GPU, its context among it, and says so."""
        held = int(gib * GIB)
        for gpu in self.resources.gpus:
            self.machine.free[gpu] -= held - self.held
        self.held = held
        total = 80 * GIB if self.resources.gpus else 0
        memory = Memory(10, max(0, held - 500), beyond, total, int(host_gib * GIB))
        write_memory(self.folder.memory_file, memory)

    def ends(self) -> None:
        for gpu in self.resources.gpus:
            self.machine.free[gpu] += self.held
        self.machine.pool.release(self.resources)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def started(machine: Machine, row: str) -> Place:
    place = machine.start(row)
    assert place is not None
    return place


def test_the_first_run_is_alone_until_it_says_what_it_takes(machine: Machine) -> None:
    first = started(machine, "small")
    assert first.resources == Resources(("0",), 4, fitted=True)
    assert machine.start("small") is None
    write_memory(first.folder.memory_file, Memory(lack=Lack("no memory")))  # which is no measure
    assert machine.start("small") is None
    first.says(20)
    second = started(machine, "small")
    assert machine.said == [
        "small: takes 19.5 GiB of a GPU's 80.0 (0.5 in use beside it) and 1.0 GiB of the machine's memory"
    ]
    # It has taken nothing yet, and is expected to: a third fits, of the fourth a tenth of the GPU would be lacking.
    third = started(machine, "small")
    assert machine.start("small") is None
    second.says(20)
    third.says(20)
    assert machine.start("small") is None
    second.ends()
    assert started(machine, "small").resources == first.resources


def test_there_is_a_most_on_each_gpu_and_no_fewer_than_two_cpus_a_run(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "01", cpus=64)
    first, other = started(machine, "small"), started(machine, "small")
    assert {*first.resources.gpus, *other.resources.gpus} == {"0", "1"}
    first.says(1)
    other.says(1)
    gpus = [started(machine, "small").resources.gpus for _ in range(2 * MOST_EACH - 2)]
    assert gpus.count(("0",)) == gpus.count(("1",)) == MOST_EACH - 1  # spread evenly
    assert machine.start("small") is None
    assert [make_fitting_pool(("0",), cpus).slots for cpus in (1, 2, 4, 6, 64)] == [1, 1, 2, 3, 4]


def test_a_row_that_is_not_known_is_taken_for_the_largest(machine: Machine) -> None:
    small = started(machine, "small")
    small.says(10)
    assert machine.start("small", processes=1) is not None
    large = machine.start("large")  # taken for a small one
    assert large is not None
    assert (
        machine.start("another") is None
    )  # the large one has said nothing, and nobody knows its row
    large.says(45)
    assert machine.start("another") is None  # 45 GiB are not free
    assert machine.start("small") is None  # 65 GiB are taken, 8 stay free, and 10 are asked for
    small.ends()
    assert machine.start("small") is not None


def test_what_a_row_takes_later_counts_from_then_on(machine: Machine) -> None:
    first = started(machine, "small")
    first.says(10)
    second = started(machine, "small")
    second.says(30)  # in its validation
    assert machine.start("small") is None
    assert len(machine.said) == 1


def test_other_programs_on_the_gpu_are_reckoned_with(machine: Machine) -> None:
    machine.free["0"] = 50 * GIB
    first = started(machine, "small")
    first.says(20)
    second = started(machine, "small")  # 30 GiB of others, 20, 20, and 8 that stay free
    second.ends()
    machine.free["0"] -= 5 * GIB
    machine.pool._seen = None  # it looks again in a moment
    assert machine.start("small") is None


def test_a_gpu_that_nvidia_smi_does_not_list_is_known_from_its_job(machine: Machine) -> None:
    machine.pool.of_gpus = dict
    started(machine, "small").says(30)
    assert machine.start("small") is not None
    assert machine.start("small") is None


def test_the_machines_memory_is_a_limit_too(machine: Machine) -> None:
    first = started(machine, "small")
    first.says(1, host_gib=20)
    machine.host = Room(64 * GIB, 40 * GIB)
    second = started(machine, "small")
    assert machine.start("small") is None
    second.says(1, host_gib=20)
    machine.host = Room(64 * GIB, 20 * GIB)
    assert machine.start("small") is None


def test_a_row_that_is_set_apart_waits_for_a_gpu_of_its_own(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "01")
    there = {}
    for _ in range(2):
        small = started(machine, "small")
        small.says(5)
        there[small.resources.gpus] = small
    large = started(machine, "large")
    assert machine.pool.has_shared(large.resources)
    machine.pool.set_apart(large.resources)
    large.ends()
    assert machine.start("large", alone=True) is None
    # One GPU is kept from others until it is empty; the other goes on to be shared.
    kept = ("0",)
    assert [started(machine, "small").resources.gpus for _ in range(3)] == [("1",)] * 3
    assert machine.start("small") is None
    there[kept].ends()
    assert machine.start("small") is None
    again = machine.start("large", alone=True)
    assert again is not None and again.resources.gpus == kept
    assert not machine.pool.has_shared(again.resources)
    again.says(5)
    assert machine.start("small") is None
    there[("1",)].ends()
    assert machine.start("large") is None  # no run of its row shares with others any more
    again.ends()
    assert started(machine, "large").resources.gpus == kept


def test_a_run_of_several_processes_shares_with_nobody_and_reports_nothing(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "01")
    one = started(machine, "small")
    one.says(5)
    assert machine.start("pair", processes=2) is None
    one.ends()
    pair = machine.start("pair", processes=2)
    assert pair is not None
    assert pair.resources == Resources(("0", "1"), 1, 2)
    assert machine.start("small") is None


def test_without_a_gpu_there_is_a_run_a_cpu_as_long_as_memory_lasts(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "", cpus=4)
    assert machine.pool.at_a_time.endswith("up to 4, with 1 CPU thread each")
    first = started(machine, "small")
    assert first.resources == Resources((), 1, fitted=True)
    assert machine.start("small") is None
    first.says(0, host_gib=20)
    machine.host = Room(64 * GIB, 40 * GIB)
    second = started(machine, "small")
    assert machine.said == ["small: takes 20.0 GiB of the machine's memory"]
    assert machine.start("small") is None
    second.says(0, host_gib=10)
    third, fourth = started(machine, "small"), machine.start("small")
    # 40 GiB are free, and the third has not said yet that it takes 20 of them.
    assert third is not None and fourth is None
    first.ends()
    assert machine.start("pair", processes=4) is None
    assert machine.start("large", alone=True) is None
    second.ends()
    assert machine.start("small") is None  # it is to be empty
    third.ends()
    assert machine.start("large", alone=True) is not None
