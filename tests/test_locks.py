"""A lock is one process's: by flock, and on file systems without it by a file that says whose it is."""

from __future__ import annotations

import errno
import hashlib
import json
import multiprocessing
import os
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command import Bench
from desk import Desk, make_desk

from benchmark import locks
from benchmark.lock_markers import Holder, has_ended, marker_of, start_of, this_process
from benchmark.locks import Held, acquire, is_held

NO_LOCKS = [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EIO]
FORK = multiprocessing.get_context("fork")


def refuse(number: int) -> Callable[[Any, int], None]:
    """A flock of a file system that has none; that of temporary files has it."""
    real = locks.fcntl.flock

    def flock(file: Any, kind: int) -> None:
        if isinstance(file, int):
            raise OSError(number, os.strerror(number))
        real(file, kind)

    return flock


@pytest.fixture(params=NO_LOCKS, ids=[errno.errorcode[number] for number in NO_LOCKS])
def no_locks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """The file system of the locks has none."""
    monkeypatch.setattr(locks.fcntl, "flock", refuse(request.param))
    return int(request.param)


def held_in(path: Path) -> bool:
    """Whether another process that comes now gets the lock."""
    with FORK.Pool(1) as pool:
        return pool.apply(_gets, (path,))


def _gets(path: Path) -> bool:
    try:
        acquire(path).release()
    except Held:
        return False
    return True


def _is_killed(path: Path) -> None:
    acquire(path)
    os.kill(os.getpid(), 9)


def write_holder(path: Path, **facts: object) -> None:
    path.write_text(json.dumps({"pid": 1, "host": "elsewhere", **facts}))


def test_a_lock_is_held_once_and_given_back(tmp_path: Path) -> None:
    path = tmp_path / "a" / "lock"
    assert not is_held(path)
    lock = acquire(path)
    assert lock.refusal is None
    assert is_held(path) and not held_in(path)
    lock.release()
    lock.release()
    assert not is_held(path) and held_in(path)
    assert [file.name for file in path.parent.iterdir()] == ["lock"]


def test_without_locks_a_marker_is_held_once_and_given_back(no_locks: int, tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = acquire(path)
    assert lock.refusal is not None and lock.refusal.errno == no_locks
    assert is_held(path) and not held_in(path)
    with pytest.raises(Held, match=f"process {os.getpid()} on {socket.gethostname()}$"):
        acquire(path)
    lock.release()
    assert not is_held(path) and held_in(path)
    assert [file.name for file in tmp_path.iterdir()] == ["lock"]


@pytest.mark.usefixtures("no_locks")
def test_the_marker_of_a_killed_process_gives_way(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    job = FORK.Process(target=_is_killed, args=(path,))
    job.start()
    job.join()
    assert marker_of(path).exists()
    assert not is_held(path)
    acquire(path).release()


@pytest.mark.usefixtures("no_locks")
def test_what_others_put_among_temporary_files_is_not_written_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (mine := tmp_path / "mine").write_text("precious")
    (temporary := tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    path = tmp_path / "lock"
    job = FORK.Process(target=_is_killed, args=(path,))
    job.start()
    job.join()
    name = hashlib.sha256(str(marker_of(path).resolve()).encode()).hexdigest()[:16]
    (temporary / f"detboard-{name}.lock").symlink_to(mine)
    with pytest.raises(Held):
        acquire(path)
    assert mine.read_text() == "precious"
    (temporary / f"detboard-{name}.lock").unlink()
    acquire(path).release()


@pytest.mark.usefixtures("no_locks")
def test_the_marker_of_another_machine_stays_until_a_person_removes_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    write_holder(marker_of(path))
    path.touch()
    assert is_held(path)
    advice = f"process 1 on elsewhere; if that process is gone, remove {marker_of(path)}"
    with pytest.raises(Held, match=advice):
        acquire(path)
    marker_of(path).write_text("")  # made a moment ago, or on a full disk
    assert is_held(path) and not held_in(path)
    marker_of(path).unlink()
    acquire(path).release()


def test_one_who_locks_sees_the_marker_of_one_who_cannot(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    write_holder(marker_of(path))
    path.touch()
    assert is_held(path) and not held_in(path)


def test_one_who_cannot_lock_sees_one_who_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lock"
    lock = acquire(path)
    with monkeypatch.context() as refused:
        refused.setattr(locks.fcntl, "flock", refuse(errno.ENOLCK))
        assert is_held(path) and not held_in(path)
        assert not marker_of(path).exists()
    lock.release()
    write_holder(locks._holder_file(path), by="flock")  # killed, on another machine
    acquire(path).release()
    write_holder(locks._holder_file(path), by="flock")
    monkeypatch.setattr(locks.fcntl, "flock", refuse(errno.ENOLCK))
    with pytest.raises(Held, match=r"if that process is gone, remove .*lock\.holder"):
        acquire(path)


def test_who_is_gone() -> None:
    here = this_process("marker")
    host, pid, start = socket.gethostname(), os.getpid(), start_of(os.getpid())
    assert not here.is_gone
    assert not Holder(pid, host).is_gone  # of an earlier version
    assert Holder(pid, host, here.space, f"{start}1").is_gone  # another process has its number
    assert Holder(2**22 + 1, host).is_gone
    assert not Holder(2**22 + 1, "elsewhere").is_gone
    assert not Holder(2**22 + 1, host, "pid:[1]", "1").is_gone  # of a container


def test_a_process_that_proc_does_not_show_is_not_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another user's, where /proc is mounted with hidepid."""
    monkeypatch.setattr("benchmark.lock_markers.stat_of", lambda _: [])
    assert not has_ended(os.getpid(), "1")
    assert has_ended(2**22 + 1, "1")


def test_a_fork_neither_holds_nor_frees_a_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = acquire(path)
    job = FORK.Process(target=lock.release)
    job.start()
    job.join()
    assert job.exitcode == 0
    assert is_held(path)
    read, write = os.pipe()
    sleeper = FORK.Process(target=os.read, args=(read, 1))
    sleeper.start()
    lock.release()
    assert not is_held(path)
    os.write(write, b".")
    sleeper.join()


def test_a_lock_that_can_only_be_read_is_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = acquire(path)
    path.chmod(0o444)
    assert is_held(path)
    lock.release()


SITE = """
import errno, fcntl, os
flock = fcntl.flock
def refuse(file, kind):
    where = os.readlink(f"/proc/self/fd/{file if isinstance(file, int) else file.fileno()}")
    if "/results/" in where:
        raise OSError(int(os.environ["NO_FLOCK"]), os.strerror(int(os.environ["NO_FLOCK"])))
    return flock(file, kind)
fcntl.flock = refuse
"""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, synthetic_data: Path) -> Desk:
    return make_desk(tmp_path_factory.mktemp("locks") / "desk", synthetic_data)


@pytest.mark.slow
@pytest.mark.parametrize("number", NO_LOCKS, ids=[errno.errorcode[number] for number in NO_LOCKS])
def test_a_sweep_without_locks_says_so_and_is_alone(
    number: int, desk: Desk, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(SITE)
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parent.parent)])
    bench = Bench(desk.data, desk.results, desk.experiment)
    environment = {"PYTHONPATH": path, "NO_FLOCK": str(number)}
    done = bench.run("sweep", "--wandb", "off", **environment)
    assert done.returncode == 0, done.stderr
    assert f"this file system has no locks ({os.strerror(number)})" in done.stderr
    assert "nothing to do" in done.stdout
    lock_file = desk.results / "runs" / ".driver.lock"
    assert not marker_of(lock_file).exists()
    if number != errno.ENOLCK:
        return
    write_holder(marker_of(lock_file))
    done = bench.run("sweep", "--wandb", "off", **environment)
    marker_of(lock_file).unlink()
    assert done.returncode == 2
    assert "another sweep or study (process 1 on elsewhere) works on" in done.stderr
    assert f"if that process is gone, remove {marker_of(lock_file)}" in done.stderr
    assert "Traceback" not in done.stderr
