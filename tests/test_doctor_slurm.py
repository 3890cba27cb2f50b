"""The first contact with a Slurm cluster: whatever is wrong is one message, with what to do."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command import Bench, here, run_detboard, wait_until
from slurm_cluster import SlurmCluster
from test_doctor import lines

import benchmark
from benchmark.experiment.cluster import Cluster
from benchmark.launchers import make_launcher
from benchmark.sweep.nodes import look_at_node

SITE = "DETBOARD_CLUSTER"


def site(folder: Path, **keys: Any) -> str:
    """A file of the site."""
    path = folder / "cluster.yaml"
    asked = {"gpus": "none", "cpus": 1, **keys}
    path.write_text("".join(f"{key}: {value!r}\n" for key, value in asked.items()))
    return str(path)


def doctor(
    slurm: SlurmCluster, folder: Path, *more: str, **keys: Any
) -> tuple[int, dict[str, str], str]:
    """The exit status, what was found, and all that was said."""
    environment = {**slurm.environment, SITE: site(folder, **keys)}
    command = ["doctor", "--launcher", "slurm", "--results", str(folder / "results"), *more]
    done = run_detboard(*command, **environment)
    assert not (folder / "results").exists(), "something of the check is left"
    assert "PENDING" not in slurm.jobs().values() and "RUNNING" not in slurm.jobs().values()
    return done.returncode, lines(done.stdout), done.stdout + done.stderr


def _on_node(slurm: SlurmCluster, name: str, *command: str) -> None:
    """Runs a command in the world of a node."""
    (daemon,) = slurm.call("pgrep", "-f", f"^slurmd -D -N {name} -f {slurm.folder}/").split()
    slurm.call("nsenter", "--target", daemon, "--mount", "--pid", "--wd=/", *command)


@pytest.mark.slow
def test_a_job_looks_at_its_node(slurm: SlurmCluster, tmp_path: Path) -> None:
    status, found, said = doctor(slurm, tmp_path, nodes="n2")
    assert status == 0, said
    assert found["slurm"].startswith("slurm-wlm ") and "is UP" in found["slurm"]
    assert "--nodelist=n2" in found["asks for"]
    assert found["partition low"].startswith("up, time no limit, the default, where jobs go; n")
    assert "4 CPUs, 16 GB, 2 toy" in found["partition low"]
    assert found["partition brief"].startswith("up, time 00:05:00")
    assert found["node"].startswith("n2: ")
    assert "all packages as here" in found["packages"]
    assert found["locks"] == "the driver's is seen on the node"
    assert found["renaming"].startswith("atomic: ")
    assert found["imports"].startswith("mmdet, in ")
    assert "running: Slurm job" in said


def test_a_setup_line_that_fails_is_shown_with_what_to_do(
    slurm: SlurmCluster, tmp_path: Path
) -> None:
    status, found, _ = doctor(slurm, tmp_path, setup=["module load cuda"])
    assert status == 1
    assert "module: command not found" in found["job"]
    assert "to do: a batch job reads no .bashrc" in found["job"]


def test_a_node_that_does_not_see_the_results_folder(slurm: SlurmCluster, tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    _on_node(slurm, "n1", "mount", "-t", "tmpfs", "none", str(hidden))
    status, found, _ = doctor(slurm, hidden, nodes="n1")
    assert status == 1
    assert "ended before it had looked at anything" in found["job"]
    assert "to do: its log was not made: the node does not see the run folder" in found["job"]


def test_a_node_without_the_environment(slurm: SlurmCluster, tmp_path: Path) -> None:
    hidden = str(Path(benchmark.__file__).parents[1])
    _on_node(slurm, "n1", "mount", "-t", "tmpfs", "none", hidden)
    try:
        status, found, _ = doctor(slurm, tmp_path, nodes="n1")
    finally:
        _on_node(slurm, "n1", "umount", "--lazy", hidden)
    assert status == 1
    assert f"this node has no {hidden}/" in found["job"]
    assert "to do: the node has not the environment that the driver runs in" in found["job"]


def test_what_no_node_can_give_is_refused_before_any_job(
    slurm: SlurmCluster, tmp_path: Path
) -> None:
    before = slurm.jobs()
    status, _, said = doctor(slurm, tmp_path, partition="hihg", memory="9T")
    assert status == 2
    assert "'hihg': the cluster has no such partition" in said and "did you mean 'high'" in said
    assert "cluster.memory" in said
    assert slurm.jobs() == before


def test_ctrl_c_ends_the_job_that_waits(slurm: SlurmCluster, tmp_path: Path) -> None:
    environment = {**os.environ, **slurm.environment, SITE: site(tmp_path, sbatch=["--hold"])}
    command = ["doctor", "--launcher", "slurm", "--results", str(tmp_path / "results")]
    started = subprocess.Popen(
        [sys.executable, "-m", "benchmark", *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=environment,
    )
    wait_until(lambda: "PENDING" in slurm.jobs().values(), "a job that is held")
    assert started.stdout is not None
    while "waiting: Slurm job" not in (line := started.stdout.readline()):
        assert line, "it has ended"
    assert "held; 'scontrol release" in line
    started.send_signal(signal.SIGINT)
    _, errors = started.communicate(timeout=30)
    assert started.returncode == 130
    assert "interrupted: the job is ended, and nothing of it is left" in errors
    assert "PENDING" not in slurm.jobs().values()
    assert not (tmp_path / "results").exists()


def test_a_job_that_waits_for_too_long_is_ended(
    slurm: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, value in slurm.environment.items():
        monkeypatch.setenv(key, value)
    launcher = make_launcher("slurm", 1, Cluster(gpus="none", cpus=1, sbatch=["--hold"]))
    said: list[str] = []
    (found,) = look_at_node(launcher, tmp_path / "results" / "runs", said.append, 0.5)
    assert found.problem and found.found.startswith("queued for ")
    assert "Slurm job" in found.found and "'--wait MINUTES'" in found.remedy
    assert "PENDING" not in slurm.jobs().values()
    assert not (tmp_path / "results").exists()


_FULL = """#!/bin/bash
# As a site with accounting says it, to all that is not a mere try.
if [[ "$*" != *--test-only* && ! -e {flag} ]]; then
  touch {flag}
  echo "sbatch: error: QOSMaxSubmitJobPerUserLimit" >&2
  echo "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit limit, user's size \
and/or time limits)" >&2
  exit 1
fi
exec {sbatch} "$@"
"""


def test_a_queue_that_takes_no_more_is_waited_for(
    slurm: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    script = _FULL.format(flag=tmp_path / "refused", sbatch=shutil.which("sbatch"))
    (programs / "sbatch").write_text(script)
    # As `sacctmgr -P` writes it where a site has accounting, which this cluster has not.
    told = "vision|normal,long||50|gres/gpu=8||2-00:00:00"
    (programs / "sacctmgr").write_text(f"#!/bin/sh\necho '{told}'\n")
    for program in programs.iterdir():
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv(SITE, site(tmp_path, setup=["false"]))
    for key, value in slurm.environment.items():
        monkeypatch.setenv(key, value)
    monkeypatch.setattr("benchmark.launchers.slurm.sending.AGAIN_S", 0.5)
    done = here(["doctor", "--launcher", "slurm", "--results", str(tmp_path / "results")])
    assert (tmp_path / "refused").exists()
    assert "waiting: not submitted yet: QOSMaxSubmitJobPerUserLimit" in done.stdout
    limits = "account vision, qos normal,long, maxsubmitjobs 50, grptres gres/gpu=8, maxwall 2-00"
    assert lines(done.stdout)["limits"].startswith(limits)
    job = lines(done.stdout)["job"]
    assert "Slurm job " in job and "a line of cluster.setup has failed: false" in job


def test_no_scheduler_is_here(tmp_path: Path) -> None:
    done = run_detboard("doctor", "--launcher", "slurm", PATH=str(tmp_path))
    assert done.returncode == 1
    assert "there is no sbatch on this machine: is it a login node" in done.stdout


def test_a_sweep_does_not_send_all_its_runs_to_the_same_end(
    slurm: SlurmCluster, synthetic_data: Path, tmp_path: Path
) -> None:
    bench = Bench(synthetic_data, tmp_path / "results")
    before = slurm.jobs()
    asked = site(tmp_path, setup=["module load cuda"])
    done = bench.run(
        "sweep", "--launcher", "slurm", "--slots", "1", **slurm.environment, **{SITE: asked}
    )
    assert done.returncode == 1, done.stdout
    assert len(slurm.jobs()) == len(before) + 1
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert "its job ended before DetBoard began in it, and so would those of other runs" in error
    assert "module: command not found" in done.stdout and "a batch job reads no .bashrc" in error
    assert "'detboard doctor --launcher slurm'" in error
    assert "Traceback" not in done.stderr


def test_try_outs_end_with_the_first_that_does_not_begin(
    slurm: SlurmCluster, synthetic_data: Path, tmp_path: Path
) -> None:
    bench = Bench(synthetic_data, tmp_path / "results")
    asked = site(tmp_path, setup=["module load cuda"])
    more = ("--launcher", "slurm", "--slots", "1", "--preflight")
    done = bench.run("sweep", *more, **slurm.environment, **{SITE: asked})
    assert done.returncode == 1
    assert done.stdout.count("not tried while its process started") == 1
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert error.startswith("error: row 'plain' could not be tried: Slurm job ")
    assert "a batch job reads no .bashrc" in error and "no run was begun" in error
