"""A run folder's lease is one job's: renewed while that lives, taken over when it is not, never two jobs' at once."""

from __future__ import annotations

import fcntl
import json
import multiprocessing
import os
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest

from benchmark.files import append_jsonl, checked_writes, write_text
from benchmark.run import lease
from benchmark.run.lease import (
    LEASE_S,
    Claims,
    Lease,
    Lost,
    Seen,
    Watch,
    glance,
    look,
    take,
    take_away,
)

FORK = multiprocessing.get_context("fork")
ELSEWHERE: dict[str, Any] = {
    "pid": 1,
    "host": "elsewhere",
    "space": "",
    "start": "1",
    "by": "lease",
    "job": "12",
    "token": "theirs",
    "machine": "another",
    "seconds": 60.0,
}


class Clock:
    """Goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lease.json"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "_POLL_S", 0.002)


def leave(path: Path, **changes: object) -> None:
    """A lease as a job on another machine has left it."""
    path.write_text(json.dumps({**ELSEWHERE, **changes}))


def age(path: Path, seconds: float) -> None:
    past = time.time() - seconds
    os.utime(path, (past, past))


def never(other: Seen) -> None:
    raise AssertionError(f"waits for {other.who}")


def test_a_lease_is_one_process_s_until_it_is_given_back(path: Path) -> None:
    mine = take(path, "7", never)
    seen = glance(path)
    assert seen is not None and seen.who.endswith(
        f"process {os.getpid()} on {os.uname().nodename}, job 7"
    )
    before = seen.renewed_ns
    time.sleep(0.01)
    mine.renew()
    renewed = look(path)
    assert renewed is not None and renewed.renewed_ns > before and renewed.token == seen.token
    mine.require()
    mine.release()
    assert list(path.parent.iterdir()) == []
    mine.renew()  # by the thread that has not heard of it yet
    mine.require()
    assert list(path.parent.iterdir()) == []


def test_one_who_waits_judges_by_its_own_clock(path: Path, clock: Clock) -> None:
    leave(path)
    age(path, -86400.0)  # whatever the clock of the other machine says
    watch = Watch(path, clock)
    for _ in range(30):
        assert watch.living() is not None
        clock.now += 2.0
    os.utime(path)  # renewed at the last moment
    for _ in range(31):
        assert watch.living() is not None
        clock.now += 2.0
    assert watch.living() is None
    assert watch.seen is not None and watch.seen.token == "theirs"


def test_a_file_server_that_hangs_lets_no_lease_run_out(path: Path, clock: Clock) -> None:
    leave(path)
    watch = Watch(path, clock)
    watch.living()
    clock.now += 3600.0  # all the while neither could its holder renew it
    assert watch.living() is not None


def test_a_lease_says_itself_how_long_it_is_good_for(path: Path, clock: Clock) -> None:
    leave(path, seconds=3)
    watch = Watch(path, clock)
    watch.living()
    clock.now += 2.0
    assert watch.living() is not None
    clock.now += 2.0
    assert watch.living() is None


@pytest.mark.parametrize("seconds", [float("inf"), float("nan"), 1e9])
def test_a_lease_that_would_be_good_for_ever_runs_out(
    seconds: float, path: Path, clock: Clock
) -> None:
    leave(path, seconds=seconds)
    watch = Watch(path, clock)
    for _ in range(int(LEASE_S / 2)):
        assert watch.living() is not None
        clock.now += 2.0
    assert watch.living() is not None
    clock.now += 2.0
    assert watch.living() is None


@pytest.mark.parametrize("skew_s", [0.0, 86400.0, -86400.0])
def test_at_a_glance_the_file_server_s_clock_counts(
    skew_s: float, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time() + skew_s
    monkeypatch.setattr(time, "time", lambda: now)
    monkeypatch.setattr(time, "time_ns", lambda: int(now * 1e9))
    assert glance(path) is None
    leave(path)
    assert glance(path) is not None
    real = path.stat().st_mtime
    os.utime(path, (real, real - 61))
    assert glance(path) is None
    assert [file.name for file in path.parent.iterdir()] == ["lease.json"]


def test_a_process_of_this_machine_that_is_gone_holds_no_lease(path: Path) -> None:
    job = FORK.Process(target=take, args=(path, "", never))
    job.start()
    job.join()
    seen = look(path)
    assert job.exitcode == 0 and seen is not None and seen.is_gone
    assert glance(path) is None
    take(path, "", never).release()
    # The number of a process says nothing where another machine has the same name, or this one was started again.
    leave(path, **{**json.loads(json.dumps(lease._content(""))), "pid": 2**22, "machine": "other"})
    assert glance(path) is not None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 1}', '{"pid": 1e400}', "\0" * 80])
def test_a_lease_that_cannot_be_read_runs_out_like_any_other(
    content: str, path: Path, clock: Clock
) -> None:
    path.write_text(content)
    assert glance(path) is not None
    watch = Watch(path, clock)
    seen = watch.living()
    assert seen is not None and seen.who == "another process"
    for _ in range(31):
        clock.now += 2.0
        living = watch.living()
    assert living is None


def held(path: Path, clock: Clock) -> Lease:
    content = lease._content("")
    return Lease(path, content, lease._make(path, content), clock)


def test_a_lease_that_another_has_is_lost(path: Path, clock: Clock) -> None:
    mine = held(path, clock)
    theirs = json.dumps(ELSEWHERE)
    write_text(path, theirs)
    before = path.stat().st_mtime_ns
    for ask in (mine.require, mine.renew):
        with pytest.raises(
            Lost, match=r"process 1 on elsewhere, job 12 has it; .* renewed it 0 s ago"
        ):
            ask()
    assert path.stat().st_mtime_ns == before  # who wakes up does not renew what another holds
    mine.release()
    assert path.read_text() == theirs


def test_a_lease_that_was_put_aside_in_its_time_is_made_again(path: Path, clock: Clock) -> None:
    mine = held(path, clock)
    path.rename(path.with_name("aside"))
    clock.now += 30
    mine.renew()
    seen = look(path)
    assert seen is not None and seen.token == mine._content["token"]
    path.unlink()
    clock.now += 61  # somebody may have had it meanwhile, and have given it back
    with pytest.raises(Lost, match=r"it is gone; this process last renewed it 61 s ago"):
        mine.renew()
    assert not path.exists()


def test_a_job_that_could_not_renew_its_lease_for_long_goes_on_if_nobody_took_it(
    path: Path, clock: Clock
) -> None:
    mine = held(path, clock)
    before = path.stat().st_mtime_ns
    clock.now += 3600  # the file server hung, and let nobody take it
    time.sleep(0.01)
    mine.require()
    assert path.stat().st_mtime_ns > before
    mine.release()
    assert not path.exists()


def test_a_job_whose_folder_is_gone_has_lost_its_lease(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "run").mkdir()
    mine = held(tmp_path / "run" / "lease.json", clock)
    (tmp_path / "run").rename(tmp_path / "leaving")
    with pytest.raises(Lost, match="it is gone"):
        mine.require()


def test_what_has_run_out_is_taken_over_only_as_it_was_seen(path: Path, clock: Clock) -> None:
    leave(path)
    ran_out = look(path)
    assert ran_out is not None
    path.unlink()
    mine = held(path, clock)  # by another, between the look and the deed
    assert Claims(path, "").taken(ran_out) is None
    mine.require()
    seen = look(path)
    assert seen is not None
    time.sleep(0.01)
    mine.renew()
    assert Claims(path, "").taken(seen) is None
    mine.require()
    seen = look(path)
    assert seen is not None
    theirs = Claims(path, "").taken(seen)
    assert theirs is not None
    theirs.require()
    assert [file.name for file in path.parent.iterdir()] == ["lease.json"]
    with pytest.raises(Lost, match=f"process {os.getpid()} on .* has it"):
        mine.renew()


def test_one_who_is_killed_while_it_takes_over_is_in_nobody_s_way(path: Path) -> None:
    leave(path, seconds=0.01)
    ran_out = look(path)
    assert ran_out is not None
    claim = lease._claim(path, ran_out)
    leave(claim, seconds=0.01, token="killed")
    began = time.monotonic()
    mine = take(path, "", lambda _: None)
    mine.require()
    assert time.monotonic() - began < 10
    assert [file.name for file in path.parent.iterdir()] == ["lease.json"]
    mine.release()
    leave(path, seconds=0.01)
    lease.write_json(claim, lease._content(""))  # one that lives, and is a moment ahead
    assert Claims(path, "").taken(look(path)) is None
    assert claim.exists()


def test_a_lease_can_be_renewed_on_a_full_disk(path: Path, clock: Clock, tmp_path: Path) -> None:
    from disks import fill, small_disk

    with small_disk(tmp_path, "1m") as disk:
        mine = held(disk / "lease.json", clock)
        fill(disk)
        clock.now += 30
        mine.renew()
        mine.require()
        mine.release()
        fill(disk)
        with pytest.raises(OSError, match=r"space left on device: .*lease\.json"):
            take(disk / "lease.json", "", never)
        assert not (disk / "lease.json").exists()


def test_a_lease_that_is_taken_away_is_lost_and_runs_out(path: Path, clock: Clock) -> None:
    mine = held(path, clock)
    take_away(path)
    with pytest.raises(Lost):
        mine.renew()
    assert glance(path) is not None  # the next one waits until its holder must have noticed


def test_nothing_takes_its_place_once_a_check_says_no(tmp_path: Path) -> None:
    journal, record = tmp_path / "metrics.jsonl", tmp_path / "record.json"
    append_jsonl(journal, {"iter": 1})

    def no() -> None:
        raise Lost("it is gone")

    with checked_writes(no):
        for write in (
            lambda: append_jsonl(journal, {"iter": 2}),
            lambda: write_text(record, "{}"),
        ):
            with pytest.raises(Lost):
                write()
    assert [file.name for file in tmp_path.iterdir()] == ["metrics.jsonl"]
    assert journal.read_text() == '{"iter": 1}\n'
    write_text(record, "{}")


ROUNDS, MANY = 200, 4


def _compete(folder: Path, start: Barrier) -> None:
    """Takes each lease in turn with others, at the same moment; who has it must be alone."""
    lease._POLL_S = 0.0005
    for number in range(ROUNDS):
        here = folder / str(number)
        start.wait()
        mine = take(here / "lease.json", "", lambda _: None)
        with (here / "witness").open("a") as witness:
            fcntl.flock(witness, fcntl.LOCK_EX | fcntl.LOCK_NB)
            mine.require()
            witness.write("had\n")
        mine.release()


@pytest.mark.slow
def test_of_many_who_come_at_the_same_moment_one_has_it_at_a_time(tmp_path: Path) -> None:
    for number in range(ROUNDS):
        here = tmp_path / str(number)
        here.mkdir()
        if number % 2:  # a killed job's, which runs out just then
            leave(here / "lease.json", seconds=0.001)
    start = FORK.Barrier(MANY)
    jobs = [FORK.Process(target=_compete, args=(tmp_path, start)) for _ in range(MANY)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join(120)
    assert [job.exitcode for job in jobs] == [0] * MANY
    for number in range(ROUNDS):
        assert (tmp_path / str(number) / "witness").read_text() == "had\n" * MANY
        assert sorted(file.name for file in (tmp_path / str(number)).iterdir()) == ["witness"]
