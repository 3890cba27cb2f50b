"""What Slurm's commands say, read without any; and what is handed to them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.experiment.cluster import Cluster
from benchmark.experiment.experiment import Tracking
from benchmark.launchers.local import START
from benchmark.launchers.slurm import queue, site
from benchmark.launchers.slurm.commands import NoAnswer, ask
from benchmark.launchers.slurm.door import in_words
from benchmark.launchers.slurm.request import make_request, of_array, of_run
from benchmark.launchers.slurm.script import batch_script
from benchmark.launchers.slurm.sending import is_limit, number_of
from benchmark.run.options import JobOptions, Resources

POLICY = "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)"
NODES = [
    site.parse("gpu*|up|2-00:00:00|64|512000+|avx,fast|gpu:a100:4(S:0-1)|n[1-4]"),
    site.parse("old|drain|infinite|32|128000|(null)|(null)|o1"),
]


def options(processes: int = 1) -> JobOptions:
    return JobOptions(Tracking(mode="off"), Resources((), 8, processes))


@pytest.mark.parametrize(
    ("limit", "seconds"),
    [
        ("90", 5400), ("1:30", 90), ("12:00:00", 43200), ("2-12", 216000), ("1-0:30", 88200), ("1-00:00:01", 86401),
        ("infinite", None), ("UNLIMITED", None), ("0", None), ("0-0", None),
    ],
)  # fmt: skip
def test_time_limits_are_read_as_slurm_writes_them(limit: str, seconds: int | None) -> None:
    assert site.seconds(limit) == seconds


@pytest.mark.parametrize("limit", ["", "2-x", "1:2:3:4", "soon", "-5"])
def test_what_is_no_time_limit_is_none(limit: str) -> None:
    with pytest.raises(ValueError):
        site.seconds(limit)


@pytest.mark.parametrize(
    ("gres", "gpus"),
    [
        ("(null)", {}),
        ("gpu:2", {"": 2}),
        ("gpu", {"": 1}),
        ("gpu:a100:4(S:0-1,3),gpu:v100:2,shard:8", {"a100": 4, "v100": 2}),
        ("gpu:3090:4", {"3090": 4}),
        ("craynetwork:4,gpu:1g.5gb:7(S:0)", {"1g.5gb": 7}),
    ],
)
def test_gpus_are_counted_by_type(gres: str, gpus: dict[str, int]) -> None:
    assert site.gpus_of(gres) == gpus


def test_nodes_are_read_by_partition() -> None:
    first, second = NODES
    assert (first.partition, first.is_default, first.limit_s) == ("gpu", True, 172800)
    assert (first.cpus, first.memory_mb, first.features) == (64, 512000, {"avx", "fast"})
    assert (second.state, second.limit_s, second.gpus, second.features) == (
        "drain",
        None,
        {},
        set(),
    )
    assert site.of_partitions(NODES, None) == [first]
    assert site.of_partitions(NODES, "old,gpu") == NODES
    assert site.parse("CLUSTER: here") is None


def test_memory_is_read_as_slurm_takes_it() -> None:
    assert [site.megabytes(text) for text in ("4000", "32G", "2T", "512m", "2048K")] == [
        4000, 32768, 2097152, 512, 2,
    ]  # fmt: skip


def test_a_line_of_the_queue_may_have_bars_in_its_folder() -> None:
    line = "12_3|PENDING||3|(ReqNodeNotAvail, UnavailableNodes:n[1-2])|/a|b/c"
    found = queue.parse(line)
    assert found == queue.Entry(
        "12_3", "PENDING", "", "3", "(ReqNodeNotAvail, UnavailableNodes:n[1-2])", "/a|b/c"
    )
    assert queue.parse("12|RUNNING|n1|N/A|None|/a").index == ""
    assert queue.parse("slurm_load_jobs error") is None


@pytest.mark.parametrize(
    ("said", "living", "held"),
    [
        (f"QOSMaxSubmitJobPerUserLimit; Batch job submission failed: {POLICY}", 0, True),
        (f"AssocMaxSubmitJobLimit; Batch job submission failed: {POLICY}", 0, True),
        (f"AssocGrpSubmitJobsLimit; Batch job submission failed: {POLICY}", 3, True),
        (f"QOSMaxWallDurationPerJobLimit; Batch job submission failed: {POLICY}", 3, False),
        (f"QOSMaxGRESPerUser; Batch job submission failed: {POLICY}", 3, False),
        (f"Batch job submission failed: {POLICY}", 3, True),
        (f"Batch job submission failed: {POLICY}", 0, False),
        ("Slurm temporarily unable to accept job, sleeping and retrying", 0, True),
        ("Batch job submission failed: Resource temporarily unavailable", 0, True),
        ("Batch job submission failed: Invalid job array specification", 3, False),
        ("Batch job submission failed: Invalid account or account/partition combination", 3, False),
    ],
)
def test_a_limit_is_told_from_a_refusal(said: str, living: int, held: bool) -> None:
    assert is_limit(said, living) is held


@pytest.mark.parametrize(
    "said",
    [
        'Munge encode failed: Failed to access "/run/munge/socket": No such file or directory\n'
        "sbatch: error: Batch job submission failed: Protocol authentication error",
        "Batch job submission failed: Invalid authentication credential",
        "Batch job submission failed: Slurm backup controller in standby mode",
        "Batch job submission failed: Unable to contact slurm controller (connect failure)",
    ],
)
def test_a_munge_that_is_restarted_refuses_no_job(
    said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sbatch").write_text(
        f"#!/bin/sh\ncat >&2 <<'END'\nsbatch: error: {said}\nEND\nexit 1\n"
    )
    (tmp_path / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(NoAnswer):
        ask("sbatch", "--parsable")


def test_what_accounting_refuses_is_said_with_what_to_do() -> None:
    said = "allocation failure: Invalid account or account/partition combination specified"
    assert in_words(said).startswith("Invalid account or account/partition combination specified; ")
    assert "set cluster.account to one of yours: 'sacctmgr show assoc" in in_words(said)
    assert "cluster.qos" in in_words("Batch job submission failed: Invalid qos specification")
    assert in_words("something new") == "something new"


def test_a_number_is_found_among_what_a_site_prints() -> None:
    assert number_of("Welcome to the 2nd cluster\n12;here\n") == "12"
    assert number_of("12") == "12"
    assert number_of("Submitted batch job") == ""


def test_requests_say_what_was_asked_for() -> None:
    cluster = Cluster(
        partition="gpu", account="a", qos="long", time="90", gpus="a100", cpus=8, memory="32G", constraint="fast",
        mail="me@here", sbatch=["--exclude=n7"], warn_s=60,
    )  # fmt: skip
    flags = make_request(cluster, options(2), NODES).flags
    assert flags == (
        "--partition=gpu", "--account=a", "--qos=long", "--time=90", "--mem=32G", "--constraint=fast",
        "--mail-user=me@here", "--mail-type=END,FAIL", "--nodes=1", "--ntasks=1", "--ntasks-per-node=1",
        "--cpus-per-task=16", "--gres=gpu:a100:2", "--requeue", "--open-mode=append", "--signal=B:USR1@60",
        "--exclude=n7",
    )  # fmt: skip
    assert "--gres=gpu:1" in make_request(Cluster(), options(), NODES[:1]).flags
    for none in (
        make_request(Cluster(), options(), NODES[1:]),
        make_request(Cluster(gpus="none"), options(), NODES),
    ):
        assert not any(flag.startswith("--gres") for flag in none.flags)


@pytest.mark.parametrize(
    "setup",
    [
        [],
        ["module load cuda", "export A='b c'"],
        ["if true; then", "  echo one", "fi", "cat <<END", "two", "END"],
        ["echo one \\", "  two"],
    ],
)
@pytest.mark.parametrize("count", [1, 2])
def test_a_script_is_one_that_bash_reads(setup: list[str], count: int) -> None:
    folders = [Path(f"/results/it's %j {number}") for number in range(count)]
    request = make_request(Cluster(setup=setup, gpus="none"), options(), NODES)
    flags = of_run(folders[0]) if count == 1 else of_array(Path("/results/.slurm-x"), count)
    script = batch_script(request, flags, folders)
    read = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)
    assert (read.returncode, read.stderr) == (0, "")
    assert "export CUDA_VISIBLE_DEVICES=" in script  # a GPU of the node would not be its own
    named = '#SBATCH "--output=/results/it\'s %%j 0/log.txt"'
    assert (named if count == 1 else "#SBATCH --output=/results/.slurm-x/%a") in script.splitlines()
    body = script.partition("#!/bin/bash\n")[2]
    lines = body.splitlines()
    assert not [line for line in lines[lines.index("folders=(") :] if line.startswith("#SBATCH")]


def test_lines_of_the_site_take_nothing_from_the_script(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that a signal reaches ends after its Python has, whatever the lines have set."""
    python = tmp_path / "python"
    python.write_text(
        '#!/bin/bash\nkill -USR1 $PPID; sleep 0.5; cp "$3/stop" "$3/asked"\n'
        'echo "$1 $3" > "$3/told"; touch "$3/record.json"\n'
    )
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    (tmp_path / "job.json").write_text("{}")
    setup = ["set -eu", "start=$(date) options=none folder=/", "echo one \\", "  two"]
    request = make_request(Cluster(setup=setup), options(), NODES)
    script = batch_script(request, of_run(tmp_path), [tmp_path])
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("one two\n")
    assert (tmp_path / "told").read_text() == f"{START} {tmp_path}\n"
    assert (tmp_path / "asked").exists()
    assert not (tmp_path / "stop").exists()  # the run is complete: nobody is left to hear of it


def test_settings_of_sbatch_that_would_submit_something_else_are_not_taken_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("SBATCH_ARRAY_INX", "SBATCH_WAIT", "SBATCH_ACCOUNT", "SLURM_JOB_ID"):
        monkeypatch.setenv(name, "1")
    told = ask("env").out.splitlines()
    assert [line for line in told if line.startswith(("SBATCH_", "SLURM_"))] == ["SBATCH_ACCOUNT=1"]
