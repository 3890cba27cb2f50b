"""Runs on a real Slurm cluster of two nodes: as those of this machine, submitted once, refused before they start."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command import TINY, Bench, kill_group, variant, wait_until
from slurm_cluster import SlurmCluster, slurm_cluster
from test_given_rows import found

from benchmark.experiment.cluster import Cluster
from benchmark.experiment.experiment import Tracking
from benchmark.launchers.slurm import SlurmLauncher, sending
from benchmark.launchers.slurm.job import SlurmJob
from benchmark.run.address import JobAddress, read_address
from benchmark.run.folder import RunFolder
from benchmark.run.options import JobOptions, Resources
from benchmark.run.plan import Request, make_plan
from benchmark.run.prepare import prepare

ON_SLURM = ("--launcher", "slurm", "--wandb", "off")
SECRET = "0123456789abcdef" * 2
OPTIONS = JobOptions(Tracking(mode="off"), Resources((), 1))


def bench(folder: Path, data: Path, change: Callable[[dict[str, Any]], None]) -> Bench:
    """The tiny experiment with something changed, and an empty results folder."""
    folder.mkdir(exist_ok=True)
    return Bench(data, folder / "results", variant(folder, change))


def asking(folder: Path, data: Path, **cluster: Any) -> Bench:
    """The tiny experiment, whose jobs ask for something."""
    return bench(folder, data, lambda content: content.update(cluster=cluster))


@pytest.fixture
def at_hand(slurm: SlurmCluster, monkeypatch: pytest.MonkeyPatch) -> SlurmCluster:
    """The cluster that commands of this process ask."""
    for key, value in slurm.environment.items():
        monkeypatch.setenv(key, value)
    return slurm


@pytest.fixture
def ready(synthetic_data: Path, tmp_path: Path) -> list[Path]:
    """Three run folders that are ready for a job."""
    request = Request(
        TINY, tmp_path / "möglich %j", data_root=synthetic_data, rows=("plain",), seeds=(0, 1, 2)
    )
    made = make_plan(request).runs
    for run in made:
        prepare(run)
    return [run.folder.path for run in made]


def nine_rows(content: dict[str, Any], files: list[Path]) -> None:
    """A training, and boxes from files, which take a third of its time."""
    given = [
        {"name": file.stem, "predictions": str(file), "labels": {"Model": file.stem}}
        for file in files
    ]
    content["cluster"] = {"cpus": 1, "gpus": "none", "setup": 'echo "from the setup"'}
    content["rows"] = [content["rows"][0], *given]


@pytest.mark.trains
@pytest.mark.slow
def test_nine_runs_over_two_nodes_are_those_of_this_machine(
    slurm: SlurmCluster, synthetic_data: Path, tmp_path: Path
) -> None:
    files = [tmp_path / f"given{number}.json" for number in range(8)]
    for number, file in enumerate(files):
        file.write_text(json.dumps(found(synthetic_data, shift=number + 1.0)))
    there = bench(tmp_path / "there", synthetic_data, lambda content: nine_rows(content, files))
    here = bench(tmp_path / "here", synthetic_data, lambda content: nine_rows(content, files))
    numbers, hogs = killed_while_queued(there, slurm)

    again = there.start("sweep", *ON_SLURM, **slurm.environment)
    wait_until(lambda: "Resources" in there.run("plan", **slurm.environment).stdout, "the reason")
    assert set(slurm.jobs("PD")) == numbers
    with slurm.hurrying():
        slurm.call("scancel", *hogs)
        finished = node_killed(there, slurm)
        # Meanwhile: Slurm takes 18 s to notice, and the lease of what ran there some seconds to run out.
        assert here.here("sweep", "--wandb", "off").returncode == 0
        told, _ = again.communicate(timeout=280)
    assert (again.returncode, "done: 9 complete" in told) == (0, True), told
    assert set(slurm.jobs()) == {*numbers, *hogs}  # nothing was submitted twice
    for folder, nodes in starts(there).items():
        assert nodes[:-1] in ([], ["n2"]) and nodes != [
            "n2",
            "n2",
        ]  # on the other, and where it was lost alone
        if folder in finished:
            assert len(nodes) == 1 and (folder / "record.json").read_bytes() == finished[folder]
    assert not list(there.results.glob("runs/.slurm-*"))
    log = (there.folder("plain") / "log.txt").read_text()
    assert log.startswith("from the setup\n")
    assert SECRET not in log

    slurm.start_node("n2")
    slurm.wait_until_up()
    assert scores(there) == scores(here)


def killed_while_queued(there: Bench, slurm: SlurmCluster) -> tuple[set[str], list[str]]:
    """A driver that dies while its jobs wait, in one case before it has noted one: their numbers, and what for."""
    hogs = [
        slurm.call("sbatch", "--parsable", "-c4", "-o/dev/null", "--wrap", "sleep 600")
        for _ in slurm.names
    ]
    wait_until(lambda: set(slurm.jobs("R")) == {*hogs}, "the nodes to be taken", 60)
    driver = there.start("sweep", *ON_SLURM, **slurm.environment, WANDB_API_KEY=SECRET)
    wait_until(lambda: len(slurm.jobs("PD")) == 9, "nine jobs in the queue", 60)
    numbers = set(slurm.jobs("PD"))
    wait_until(lambda: {*addresses(there).values()} == numbers, "their numbers in the folders", 60)
    kill_group(driver)
    lost = next(iter(addresses(there)))
    address = json.loads((lost / "job.json").read_text())
    (lost / "job.json").write_text(json.dumps({**address, "job": ""}))
    planned = there.run("plan", **slurm.environment)
    assert planned.stdout.count("queued") >= 9, planned.stdout
    assert SECRET not in slurm.call("scontrol", "write", "batch_script", min(numbers), "-")
    return numbers, hogs


def node_killed(there: Bench, slurm: SlurmCluster) -> dict[Path, bytes]:
    """A node dies with its jobs: the records that there are by then, by run folder."""
    wait_until(lambda: ["n2"] in starts(there).values(), "a start on the node", 60)
    finished = {path.parent: path.read_bytes() for path in there.results.glob("runs/*/record.json")}
    slurm.kill_node("n2")
    for folder, nodes in starts(there).items():
        if nodes == ["n2"] and folder not in finished:
            hasten(RunFolder(folder).lease_file)
    return finished


def hasten(lease: Path) -> None:
    """Has a lease run out in a sixth of the minute that it is good for."""
    content = json.loads(lease.read_text())
    lease.write_text(json.dumps({**content, "seconds": content["seconds"] / 6}))


def starts(made: Bench) -> dict[Path, list[str]]:
    """The node of each start, by run folder."""
    return {
        path.parent: [line["job"].rpartition(" ")[2] for line in lines_of(path)]
        for path in made.results.glob("runs/*/starts.jsonl")
    }


def addresses(made: Bench) -> dict[Path, str]:
    """Numbers of jobs by their run folders."""
    read = {
        path.parent: read_address(RunFolder(path.parent))
        for path in made.results.glob("runs/*/job.json")
    }
    return {folder: address.job for folder, address in sorted(read.items())}


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def scores(made: Bench) -> dict[str, Any]:
    """What is recorded of each run that does not tell where it was made."""
    records = [json.loads(path.read_text()) for path in made.results.glob("runs/*/record.json")]
    alike = ("state", "metrics", "best", "params", "no_predictions", "tide", "val_images")
    return {record["run_id"]: {key: record.get(key) for key in alike} for record in records}


@pytest.mark.parametrize(
    ("cluster", "problems"),
    [
        (
            {"partition": "low,hihg", "time": "2-x", "memory": "lots", "warn_s": 10},
            [
                "cluster.partition: 'hihg': the cluster has no such partition; allowed: brief, high, low; "
                "did you mean 'high'?",
                "cluster.time: '2-x' is no time limit; write minutes (90), 12:00:00 or 2-12:00:00",
                "cluster.memory: 'lots' is no amount of memory; write 32G, or megabytes",
            ],
        ),
        (
            {
                "partition": "brief", "time": "10", "memory": "64G", "constraint": "fast", "gpus": "a100", "cpus": 9,
                "nodes": "n[2-3]", "setup": ["if true; then"],
            },
            [
                "cluster.time: 10 is over the limit of partition brief, 00:05:00; ask for less: a run that needs "
                "longer is queued again and goes on",
                "cluster.memory: 64G: no node has more than 16000 MB; ask for less",
                "cluster.constraint: 'fast': no node has this feature; allowed: any, n1, n2",
                "cluster.nodes: 'n3': the cluster has no such node; allowed: n1, n2",
                "cluster.gpus: 'a100': no node has GPUs of this type; allowed: toy",
                "cluster.setup: bash cannot read it: bash: line 2: syntax error: unexpected end of file",
                "row plain: asks for 9 CPUs of a node (cluster.cpus = 9 for each of 1 processes); no node has more "
                "than 4; lower cluster.cpus",
            ],
        ),
        (
            {"time": 1},
            [
                "cluster.time: 1 is 60 s, and jobs leave cluster.warn_s = 120 s before its end: no time is left to "
                "work in; lower cluster.warn_s, or raise cluster.time"
            ],
        ),
        (
            {
                "partition": "brief", "warn_s": 600,
                "sbatch": ["--arr=0-3", "-D/tmp", "--signal=9", "--exclude n2", "exclude=n2", "--wait-all-nodes=1"],
            },
            [
                "cluster.warn_s: jobs leave 600 s before the end of their time, and the partition's limit is 00:05:00: "
                "no time is left to work in; lower cluster.warn_s",
                *(
                    f"cluster.sbatch: '{flag}': {own} is DetBoard's own, its jobs need theirs; leave it out{use}"
                    for flag, own, use in (
                        ("--arr=0-3", "--array", ""), ("-D/tmp", "--chdir", ""),
                        ("--signal=9", "--signal", "; use cluster.warn_s"),
                    )
                ),
                "cluster.sbatch: '--exclude n2': write --exclude=n2",
                "cluster.sbatch: 'exclude=n2' is no flag; write --NAME=VALUE, each on a line of its own",
            ],
        ),
        (
            {"constraint": "n1&n2"},
            [
                "row plain: sbatch would refuse it: Requested node configuration is not available; no node has all of "
                "it at once: ask for fewer GPUs, CPUs or features, or less memory (cluster.cpus, memory, constraint)"
            ],
        ),
        (
            {"sbatch": "--no-such-flag"},
            [
                "row plain: sbatch would refuse it: unrecognized option '--no-such-flag'; Try \"sbatch --help\" for "
                "more information"
            ],
        ),
    ],
)  # fmt: skip
def test_what_the_cluster_cannot_give_is_said_at_once(
    at_hand: SlurmCluster,
    synthetic_data: Path,
    tmp_path: Path,
    cluster: dict[str, Any],
    problems: list[str],
) -> None:
    made = asking(tmp_path, synthetic_data, **cluster)
    before = at_hand.jobs()
    for verb in ("plan", "sweep"):
        done = made.here(verb, "--rows", "plain", "--launcher", "slurm")
        assert (done.returncode, done.stderr.splitlines()) == (
            2,
            [f"error: {one}" for one in problems],
        )
    assert at_hand.jobs() == before
    assert not list(made.results.glob("runs/plain-*"))


def test_a_row_for_more_gpus_than_there_are_is_refused(
    at_hand: SlurmCluster, synthetic_data: Path, tmp_path: Path
) -> None:
    def change(content: dict[str, Any]) -> None:
        content["rows"][0]["gpus"] = 8
        content["cluster"] = {"cpus": 1}

    done = bench(tmp_path, synthetic_data, change).here("plan", "--launcher", "slurm")
    assert "row plain: sbatch would refuse it: Requested node configuration is not" in done.stderr
    assert done.returncode == 2


def test_a_job_may_wait_for_nodes_that_are_drained(at_hand: SlurmCluster) -> None:
    names = f"NodeName={','.join(at_hand.names)}"
    at_hand.call("scontrol", "update", names, "State=DRAIN", "Reason=repair")
    try:
        assert SlurmLauncher(cluster=Cluster(cpus=1, time="0")).obstacles({"plain": 1}) == []
    finally:
        at_hand.call("scontrol", "update", names, "State=RESUME")
        at_hand.wait_until_up()


@pytest.mark.slow
def test_where_no_slurm_is_one_line_says_so(
    slurm: SlurmCluster, synthetic_data: Path, tmp_path: Path
) -> None:
    made = asking(tmp_path, synthetic_data)
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "git").symlink_to(shutil.which("git"))
    nowhere = made.run("plan", "--launcher", "slurm", PATH=str(programs))
    assert nowhere.stderr.count("error: ") == 1
    assert (
        "there is no sbatch on this machine: is it a login node of the cluster?" in nowhere.stderr
    )
    slurm.stop_controller()
    try:
        silent = made.run("plan", "--launcher", "slurm", **slurm.environment)
    finally:
        slurm.start_controller()
        slurm.wait_until_up()
    assert silent.stderr.count("error: ") == 1
    assert "the controller of the cluster does not answer" in silent.stderr
    assert nowhere.returncode == silent.returncode == 2


def test_a_job_that_dies_before_python_starts_shows_why(
    slurm: SlurmCluster, synthetic_data: Path, tmp_path: Path
) -> None:
    made = asking(
        tmp_path, synthetic_data, cpus=1, setup=["echo one", "module load cuda", "echo two"]
    )
    done = made.run("sweep", *ON_SLURM, **slurm.environment)
    assert done.returncode == 1
    assert "failed with exit status 1 before its run began (" in done.stdout
    assert "module: command not found" in done.stdout
    assert "a line of cluster.setup has failed: module load cuda (exit status 127)" in done.stdout
    log = (made.folder("plain") / "log.txt").read_text()
    assert log.startswith("one\n") and "two" not in log


def test_a_node_that_does_not_see_the_results_is_named(
    at_hand: SlurmCluster, ready: list[Path], tmp_path: Path
) -> None:
    launcher = SlurmLauncher(cluster=Cluster(cpus=1, sbatch=["--begin=now+2"]))
    job = launcher.submit(ready[0], OPTIONS)
    launcher.flush()
    shutil.rmtree(ready[0].parent)
    wait_until(job.ended, "the job's end", 60)
    assert re.fullmatch(r"Slurm job \d+ on n1 failed before its run began", job.exit_text())
    assert job.cut_off() == ""


# A job in place of Python's: it leaves when it is asked to, and has ended the second time.
LEAVES = """#!/bin/bash
folder=$3
echo "begins on $(hostname), TMPDIR ${TMPDIR-unset}"
if [ -e "$folder/begun" ]; then rm "$folder/stop"; echo '{}' > "$folder/record.json"; exit; fi
touch "$folder/begun"
while [ ! -e "$folder/stop" ]; do sleep 0.05; done
cat "$folder/stop"
"""


@pytest.fixture
def leaving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs leave when they are asked to; the driver runs in a job of an array, and has settings of its own."""
    python = tmp_path / "a folder" / "it's python"
    python.parent.mkdir()
    python.write_text(LEAVES)
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "2")
    monkeypatch.setenv("SBATCH_NO_REQUEUE", "1")
    monkeypatch.setenv("TMPDIR", "/proc/none")


@pytest.mark.slow
@pytest.mark.usefixtures("leaving")
def test_each_job_of_an_array_is_queued_again_by_itself(
    at_hand: SlurmCluster, ready: list[Path]
) -> None:
    launcher = SlurmLauncher(cluster=Cluster(cpus=1))
    jobs = [launcher.submit(folder, OPTIONS) for folder in ready]
    launcher.flush()
    wait_until(lambda: all((folder / "begun").exists() for folder in ready), "the jobs", 60)
    numbers = [read_address(RunFolder(folder)).job for folder in ready]
    assert len({number.partition("_")[0] for number in numbers}) == 1  # an array
    named = dict(line.split() for line in at_hand.call("squeue", "-hro", "%i %j").splitlines())
    assert {named[n]: n for n in numbers} == {
        f.name: n for f, n in zip(ready, numbers, strict=True)
    }

    # A user has told one to end; to another Slurm says that its time will be up.
    (ready[2] / "stop").write_text('{"state": "interrupted"}')
    at_hand.call("scancel", "--batch", "--signal=USR1", numbers[0])
    wait_until(lambda: "two minutes" in jobs[0].standing().words, "the place in the queue", 60)
    wait_until(jobs[2].ended, "the end of what a user has ended", 60)
    assert not jobs[1].standing().queued and not jobs[0].ended()
    assert json.loads((ready[0] / "stop").read_text()) == {"state": "interrupted", "again": True}
    with at_hand.hurrying():
        wait_until(jobs[0].ended, "the end of what was queued again", 60)
    log = (ready[0] / "log.txt").read_text()
    assert len(re.findall(r"begins on n1, TMPDIR (?:unset|/tmp)\n", log)) == 2
    assert f"job {numbers[0]} on n1: starts (start 2)" in log
    assert "it has saved and left ahead of its time limit, and is queued again" in log

    at_hand.call("scancel", numbers[1])  # by somebody else
    wait_until(jobs[1].ended, "the end", 60)
    assert [job.cut_off() for job in jobs] == ["", "cancelled", ""]
    launcher.close()
    assert not list(ready[0].parent.glob(".slurm-*"))


def test_a_job_that_is_ended_by_its_driver_is_not_cut_off(
    at_hand: SlurmCluster, ready: list[Path]
) -> None:
    launcher = SlurmLauncher(cluster=Cluster(cpus=1, setup=["trap '' TERM", "sleep 600"]))
    waits = launcher.submit(ready[1], OPTIONS)
    waits.kill()
    job = launcher.submit(ready[0], OPTIONS)
    launcher.flush()
    wait_until(lambda: not job.standing().queued, "the job", 60)
    # A number that another controller has given before, or this one before it began anew, is nobody's.
    old = JobAddress("slurm", read_address(RunFolder(ready[0])).job, "elsewhere")
    other = SlurmLauncher().attach(ready[2], old)
    assert other.ended() and other.cut_off() == ""
    other.kill()
    assert not job.ended() and at_hand.jobs("R").keys() == {old.job}
    job.kill()
    assert job.ended() and waits.ended()
    assert job.cut_off() == waits.cut_off() == ""
    assert waits.exit_text() == "its job was not submitted"
    assert read_address(RunFolder(ready[1])).job == ""
    assert SlurmLauncher().attach(ready[1], read_address(RunFolder(ready[1]))) is None
    assert at_hand.jobs("R") == {}


@pytest.mark.slow
def test_a_job_of_an_array_that_waits_is_ended_alone(
    at_hand: SlurmCluster, ready: list[Path]
) -> None:
    launcher = SlurmLauncher(cluster=Cluster(cpus=1, sbatch="--begin=now+600"))
    jobs = [launcher.submit(folder, OPTIONS) for folder in ready]
    launcher.flush()
    numbers = [read_address(RunFolder(folder)).job for folder in ready]
    wait_until(lambda: all("Slurm holds" in job.standing().words for job in jobs), "the queue", 60)
    jobs[0].kill()
    assert set(at_hand.jobs("PD")) == {*numbers[1:]}
    at_hand.call("scancel", numbers[1])  # by somebody else
    wait_until(jobs[1].ended, "the end", 60)
    assert [job.cut_off() for job in jobs] == ["", "taken out of the queue", ""]
    assert not jobs[2].ended()
    jobs[2].kill()
    assert not at_hand.jobs("PD")


@pytest.mark.slow
def test_slurm_that_does_not_answer_ends_no_job(
    at_hand: SlurmCluster, ready: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "AGAIN_S", 0.5)
    launcher = SlurmLauncher(cluster=Cluster(cpus=1, setup="sleep 600"))
    jobs = [launcher.submit(folder, OPTIONS) for folder in ready[:2]]
    launcher.flush()
    wait_until(lambda: not any(job.standing().queued for job in jobs), "the jobs", 60)
    at_hand.stop_controller()
    held = launcher.submit(ready[2], OPTIONS)
    launcher.flush()
    assert "not submitted yet" in held.standing().words
    monkeypatch.setattr(launcher._queue, "_asked", -1e9)
    assert not any(job.ended() for job in [*jobs, held])
    assert SlurmLauncher().attach(ready[0], JobAddress("slurm", "1", "elsewhere")) is None
    at_hand.start_controller()
    at_hand.wait_until_up()

    def sent() -> bool:
        launcher.flush()
        return bool(read_address(RunFolder(ready[2])).job)

    wait_until(sent, "the submission", 60)
    for job in [*jobs, held]:
        job.kill()
    assert not at_hand.jobs("R,PD")


@pytest.mark.slow
def test_what_slurm_has_no_room_for_is_held_back(
    ready: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    slurm: SlurmCluster,
) -> None:
    """``slurm`` says whether there can be a cluster; the limit is on one of its own."""
    monkeypatch.setattr(sending, "AGAIN_S", 0.0)
    limit = {
        "JobSubmitPlugins": "throttle",
        "SchedulerParameters": "jobs_per_user_per_hour=3",
        "MaxArraySize": "2",
    }
    with slurm_cluster(tmp_path / "full", nodes=1, **limit) as full:
        monkeypatch.setenv("SLURM_CONF", full.environment["SLURM_CONF"])
        launcher = SlurmLauncher(cluster=Cluster(cpus=1, setup="sleep 600"))
        jobs = [launcher.submit(folder, OPTIONS) for folder in ready]
        for _ in range(3):
            launcher.flush()
        assert [job.number for job in jobs if isinstance(job, SlurmJob)] == ["1", "2", ""]
        told = capsys.readouterr().err
        assert told.count("a run waits, and will be submitted when there is room") == 1
        assert "jobs per hour" in jobs[2].standing().words
        assert jobs[2].standing().queued and not jobs[2].ended()
        full.stop_controller()  # which then counts anew
        full.start_controller()
        full.wait_until_up()

        def sent() -> bool:
            launcher.flush()
            return bool(read_address(RunFolder(ready[2])).job)

        wait_until(sent, "room", 60)
        for job in jobs:
            job.kill()
