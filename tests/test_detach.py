"""Jobs in a queue outlive their driver: it submits them and leaves, and the same command finds them again."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command import run, variant, wait_until
from sites import QUEUE, Driver, Site
from toy_queue import DIES, MOST, PLACE, QueueJob

from benchmark.leaderboard import track_leaderboard
from benchmark.leaderboard.document import Leaderboard
from benchmark.run.folder import RunFolder
from benchmark.run.record import State
from benchmark.run.state import stop_state


def test_detached_jobs_are_told_and_found_again(site: Site) -> None:
    first = site.sweep("--slots", "1", "--detach")
    assert first.returncode == 0, first.stdout + first.stderr
    plain = site.name("plain")
    assert f"1 job queued or running:\n  {plain}: queued, toy job 1: Resources\n" in first.stdout
    assert "1 run not submitted:\n  momentum-s0" in first.stdout
    assert ": over --slots\n" in first.stdout
    assert "The same command without --detach watches them, submits the rest" in first.stdout
    assert not list(site.bench.results.glob("*.*")), "a table of nothing"

    again = site.sweep("--slots", "1", "--detach")
    assert f"{plain}: queued, toy job 1: Resources" in again.stdout
    assert "not submitted:\n  momentum-s0" in again.stdout
    more = site.sweep("--detach")
    assert "2 jobs queued or running:" in more.stdout
    assert "not submitted" not in more.stdout
    assert site.cluster.states() == ["queued", "queued"], "one of them twice"
    fewer = site.sweep("--slots", "1", "--detach", "--seeds", "0,1").stdout
    assert "2 jobs queued or running:" in fewer
    assert "2 runs not submitted:" in fewer


def test_what_ended_while_nobody_watched_is_in_the_tracked_leaderboard(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracked: list[list[float | None]] = []

    def track(board: Leaderboard, *_: object) -> None:
        tracked.append([values["map50"] for values in board.values])

    monkeypatch.setattr(track_leaderboard, "track_leaderboard", track)
    site.sweep("--detach")
    for number in ("1", "2"):
        site.cluster.start(number)
    site.cluster.finish()
    wait_until(lambda: all(site.folder(row).finished for row in ("plain", "momentum")), "both runs")
    assert not tracked
    site.here("report", str(site.bench.experiment), "--results", str(site.bench.results))
    assert "nothing to do: 2 complete" in site.sweep("--detach").stdout
    (shown,) = tracked
    assert len(shown) == 2 and None not in shown
    site.sweep()
    (site.bench.results / "tiny.md").unlink()
    site.sweep()
    assert (site.bench.results / "tiny.md").exists()
    assert len(tracked) == 1, "of the same runs"


def test_a_plan_shows_where_jobs_stand_and_the_same_command_watches_them(site: Site) -> None:
    site.sweep("--detach")
    site.cluster.start("1")
    assert f"{site.name('plain')} running, toy job 1 on t1" in " ".join(site.plan().split())
    assert "queued, toy job 2: Resources" in site.plan()
    listed = site.here("runs", "list", "--results", str(site.bench.results)).stdout
    assert "running, toy job 1 on t1" in listed
    assert "queued, toy job 2: Resources" in listed
    site.cluster.start("2")
    site.cluster.finish()
    whole = site.sweep()
    assert whole.returncode == 0, whole.stdout + whole.stderr
    assert "2 complete" in whole.stdout
    assert (site.bench.results / "tiny.md").exists()
    assert len(site.cluster.entries()) == 2
    done = site.sweep("--detach")
    assert "nothing to do: 2 complete" in done.stdout


def test_what_the_cluster_does_not_take_was_not_submitted(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MOST, "1")
    done = site.sweep("--detach")
    assert "1 job queued or running:" in done.stdout
    held_back = f"{site.name('momentum')}: the cluster takes no more at the moment: toy: no room"
    assert f"1 run not submitted:\n  {held_back}\n" in done.stdout
    assert "waiting" in site.plan() or "lost" in site.plan()
    monkeypatch.setenv(MOST, "2")
    assert "2 jobs queued or running:" in site.sweep("--detach").stdout
    assert len(site.cluster.entries()) == 2


def test_what_waits_for_other_rows_is_submitted_once_they_have_ended(
    site: Site, tmp_path: Path
) -> None:
    def fused(content: dict[str, Any]) -> None:
        row = {"name": "both", "fuse": {"rows": ["plain", "momentum"]}, "labels": {"Model": "b"}}
        content["rows"].append(row)

    site.bench.experiment = variant(tmp_path, fused)
    told = site.sweep("--detach").stdout
    sources = f"{site.name('plain')}, {site.name('momentum')}"
    assert "2 jobs queued or running:" in told
    assert "1 run not submitted:\n  both-s0" in told
    assert f": waits for {sources}\n" in told
    site.cluster.start("1")
    site.cluster.start("2")
    site.cluster.finish()
    wait_until(lambda: all(site.folder(row).finished for row in ("plain", "momentum")), "both")
    told = site.sweep("--detach").stdout
    assert f"1 job queued or running:\n  {site.name('both')}: " in told
    assert len(site.cluster.entries()) == 3


def test_what_stands_in_the_way_is_said_before_jobs_are_submitted(
    site: Site, tmp_path: Path
) -> None:
    def larger(content: dict[str, Any]) -> None:
        content["rows"][1]["gpus"] = 2

    site.bench.experiment = variant(tmp_path, larger)
    done = site.sweep("--detach")
    assert (done.returncode, done.stderr) == (2, "error: row momentum: a toy has 1 GPU\n")
    assert not site.cluster.entries()


@pytest.mark.parametrize("launcher", ["local", "inprocess"])
def test_jobs_that_end_with_their_driver_cannot_be_left(launcher: str, site: Site) -> None:
    done = site.here(*site.arguments("sweep", "--detach", "--launcher", launcher))
    assert done.returncode == 2
    assert f"--detach: the jobs of --launcher {launcher} end with this command" in done.stderr
    assert not list(site.bench.results.glob("runs/*-s0-*"))


def test_a_job_whose_number_was_not_noted_is_found(site: Site) -> None:
    killed = run(site.command("sweep", "--detach"), **{DIES: "1"})
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert '"job": ""' in site.folder("plain").job_file.read_text()
    found = site.sweep("--detach")
    assert f"{site.name('plain')}: queued, toy job 1: Resources" in found.stdout
    assert site.cluster.states() == ["queued", "queued"]


def test_a_job_that_has_ended_meanwhile_is_not_submitted_again(site: Site) -> None:
    site.sweep("--detach", "--rows", "plain")
    site.cluster.start("1")
    site.cluster.finish()
    wait_until(lambda: site.folder("plain").finished, "the job's end")
    done = site.sweep("--rows", "plain")
    assert "nothing to do: 1 complete" in done.stdout
    assert len(site.cluster.entries()) == 1


def test_a_driver_that_watches_says_where_jobs_stand(
    site: Site, drive: Callable[..., Driver]
) -> None:
    site.sweep("--detach", "--rows", "plain")
    driver = drive()
    plain = site.name("plain")
    driver.hears(f"{plain}: found again: queued, toy job 1: Resources\n")
    driver.hears("queued, toy job 2: Resources\n")
    momentum = site.name("momentum")
    assert f"{momentum}: submitted\n" in driver.told
    site.cluster.start("1")
    driver.hears(f"{plain}: running, toy job 1 on t1\n")
    driver.hears(f"{plain}: iteration 3/9, mAP50 0.5000")
    site.cluster.end("1", "its node failed")
    driver.hears(f"{plain}: waits (its node failed; it is queued again)\n")
    driver.hears(f"{plain}: queued, toy job 3: Resources\n")
    site.cluster.start("3")
    site.cluster.start("2")
    site.cluster.finish()
    assert driver.ends() == 0, driver.told
    assert "2 complete" in driver.told
    assert len(site.cluster.entries()) == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_without_a_terminal_jobs_are_left(
    number: signal.Signals, site: Site, drive: Callable[..., Driver]
) -> None:
    driver = drive()
    driver.hears("queued, toy job 2: Resources")
    site.cluster.start("1")
    driver.hears("iteration 3/9")
    driver.process.send_signal(number)
    assert driver.ends() == 128 + number
    names = f"{site.name('plain')}, {site.name('momentum')}"
    left = f"left running: 2 jobs ({names}); 'detboard stop RUN' ends one\n"
    assert left in driver.told
    assert "the same command continues where it was" in driver.told
    assert "Leave them" not in driver.told
    assert site.cluster.states() == ["running", "queued"]
    assert not site.folder("plain").stop_file.exists()


def asked(site: Site, drive: Callable[..., Driver]) -> Driver:
    """A driver at a terminal with a job that runs and one that is queued, which was asked to end by Ctrl-C."""
    driver = drive(terminal=True)
    driver.hears("toy job 2")
    site.cluster.start("1")
    driver.hears("3/9")
    driver.says("e\n")  # typed too early: it answers nothing
    driver.says("\x03")
    driver.hears("Leave them running, or end them? [L]eave, [e]nd: ")
    return driver


@pytest.mark.parametrize("answer", ["what?\nleave\n", "\n", "\x04", "\x03"], ids=repr)
def test_at_a_terminal_ctrl_c_asks_and_jobs_are_left(
    answer: str, site: Site, drive: Callable[..., Driver]
) -> None:
    driver = asked(site, drive)
    time.sleep(0.2)  # two Ctrl-C at once are one
    driver.says(answer)
    driver.hears("the same command continues where it was")
    assert driver.ends() == 130
    assert "left running: 2 jobs" in driver.told
    assert ("'leave' or 'end': " in driver.told) == ("what?" in answer)
    assert site.cluster.states() == ["running", "queued"]
    assert not site.folder("plain").stop_file.exists()


def test_at_a_terminal_jobs_may_be_ended(site: Site, drive: Callable[..., Driver]) -> None:
    driver = asked(site, drive)
    driver.says("end\n")
    driver.hears("the same command continues where it was")
    assert driver.ends() == 130
    assert "left running" not in driver.told
    assert site.cluster.entry("2")["state"] == "ended"
    states = {line.split()[0]: line for line in site.plan().splitlines() if "-s0-" in line}
    assert all("interrupted" in line for line in states.values()), states


@pytest.mark.parametrize("asks", [False, True])
def test_a_terminal_that_goes_away_leaves_jobs(
    asks: bool, site: Site, drive: Callable[..., Driver]
) -> None:
    driver = asked(site, drive) if asks else drive(terminal=True)
    driver.hears("toy job 2")
    assert driver.terminal is not None
    os.close(driver.terminal)
    driver.terminal = None
    ended = signal.SIGINT if asks else signal.SIGHUP
    assert driver.process.wait(timeout=30) == 128 + ended
    assert site.cluster.states()[1] == "queued"
    assert not site.folder("plain").stop_file.exists()


def test_a_plan_shows_what_would_be_submitted_and_submits_nothing(site: Site) -> None:
    told = site.plan(*QUEUE[:2])
    first = told.split("would be submitted to toyqueue; of ")[1].split(":")[0]
    assert f"2 jobs would be submitted to toyqueue; of {first}:\n" in told
    assert told.endswith(f"\ntoy-submit --processes 1 {first}\n")
    assert not site.bench.results.exists() and not site.cluster.entries()
    assert "would be submitted" not in site.plan("--launcher", "local")
    site.sweep("--detach", "--rows", "plain")
    assert "1 job would be submitted to toyqueue; of momentum-s0" in site.plan(*QUEUE[:2])


# Ends of runs by hand


@pytest.mark.parametrize("as_is", [False, True])
def test_a_queued_run_is_taken_out_of_the_queue(as_is: bool, site: Site) -> None:
    site.sweep("--detach", "--rows", "plain")
    name = site.name("plain")
    told = site.stop(name, *(["--as-is"] if as_is else []))
    assert site.cluster.states() == ["ended"]
    if not as_is:
        assert told == f"{name}: taken out of the queue; the next sweep or study continues it\n"
        assert "interrupted" in site.plan("--rows", "plain")
        assert "1 job queued" in site.sweep("--detach", "--rows", "plain").stdout
        return
    then = "no sweep goes on with it, unless --retry pruned"
    assert told == f"{name}: recorded as pruned; {then}\n"
    assert site.folder("plain").read_record().state is State.PRUNED
    assert "nothing to do" in site.sweep("--detach", "--rows", "plain").stdout
    again = site.sweep("--detach", "--rows", "plain", "--retry", "pruned")
    assert "1 job queued or running" in again.stdout


def test_a_driver_that_watches_does_not_queue_again_what_is_stopped(
    site: Site, drive: Callable[..., Driver]
) -> None:
    driver = drive("--seeds", "0,1")
    driver.hears("queued, toy job 4: Resources")
    for number in ("1", "2"):
        site.cluster.start(number)
    numbers = {Path(entry["folder"]).name: n for n, entry in site.cluster.entries().items()}
    running, kept, queued, other = numbers
    driver.hears(f"{running}: iteration 3/9")
    driver.hears(f"{kept}: iteration 3/9")
    told = site.stop(running, queued, "--as-is") + site.stop(kept, other)
    assert f"{running}: asked to end; no sweep" in told
    assert f"{queued}: recorded as pruned; no sweep" in told
    assert f"{kept}: asked to end; the next" in told
    assert f"{other}: taken out of the queue; the next" in told
    assert driver.ends() == 1, driver.told
    assert len(site.cluster.entries()) == 4
    assert "done: 2 pruned, 2 interrupted" in driver.told
    record = RunFolder(site.bench.results / "runs" / queued).read_record()
    assert (record.state, record.best, record.provenance.device) == (State.PRUNED, None, None)


@pytest.mark.parametrize("as_is", [False, True])
def test_a_job_of_a_scheduler_that_cannot_be_asked_finds_the_word_in_its_folder(
    as_is: bool, site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    site.sweep("--detach", "--rows", "plain")
    with monkeypatch.context() as elsewhere:  # as on a machine without its commands
        elsewhere.setenv(PLACE, str(tmp_path / "nowhere"))
        told = site.stop(site.name("plain"), *(["--as-is"] if as_is else []))
    assert "asked to end, if its job lives: its scheduler cannot be asked from here; " in told
    folder = site.folder("plain")
    assert not folder.finished
    site.cluster.start("1")
    wait_until(lambda: QueueJob(site.cluster, "1").ended(), "its end")
    assert folder.finished == as_is
    assert ("pruned" if as_is else "interrupted") in site.plan("--rows", "plain")


def test_an_interrupted_run_is_recorded_as_it_is(site: Site) -> None:
    site.sweep("--detach", "--rows", "plain")
    site.cluster.start("1")
    folder = site.folder("plain")
    wait_until(lambda: len(site.bench.points("plain", "val")) == 3, "three validations")
    site.stop(folder.path.name)
    wait_until(lambda: "interrupted" in site.plan("--rows", "plain"), "the job's end")
    (folder.checkpoints).mkdir()
    (folder.checkpoints / "epoch_3.pth").touch()
    assert "recorded as pruned" in site.stop(folder.path.name, "--as-is")
    record = folder.read_record()
    assert (record.state, record.best) == (State.PRUNED, {"mAP50": 0.5})
    assert record.validations is not None and record.validations.count == 3
    assert record.train_seconds is not None
    assert not folder.stop_file.exists() and not list(folder.checkpoints.iterdir())
    done = site.here("stop", folder.path.name, "--as-is", "--results", str(site.bench.results))
    assert (done.returncode, done.stderr) == (2, f"error: {folder.path.name}: it has ended\n")


def test_a_job_that_dies_before_it_can_end_as_it_is_is_not_gone_on_with(site: Site) -> None:
    site.sweep("--detach", "--rows", "plain")
    site.cluster.start("1")
    folder = site.folder("plain")
    wait_until(lambda: len(site.bench.points("plain", "val")) == 3, "three validations")
    os.kill(int(site.cluster.entry("1")["pid"].partition(":")[0]), signal.SIGSTOP)
    assert "asked to end" in site.stop(folder.path.name, "--as-is")
    assert stop_state(folder.stop_file) == State.PRUNED.value
    site.cluster.end("1", "preempted")
    done = site.sweep("--rows", "plain")
    assert "1 pruned" in done.stdout
    assert len(site.cluster.entries()) == 1
