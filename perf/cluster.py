"""Times what a short run costs beyond its work: on this machine, on Slurm and on Ray, each against the scheduler alone.

    python perf/cluster.py --runs 4

Every way trains the same configs (a tiny detector, a seed each) on the same synthetic images, one run at a time. What a
run costs is the time from its submission to its record, less the seconds of training and validation that its record
says. The Slurm and the Ray cluster are started for this on loopback, two nodes each, as the tests do it. Beside them
are mmdet's own ``tools/train.py`` as plain ``sbatch`` jobs, and mmengine's ``Runner`` in plain Ray tasks; these keep no
such account, so that the median of the work of the sweep on the same cluster is taken from their time. Jobs on
the clusters have one CPU.
"""

from __future__ import annotations

import argparse
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from evaluation import machine
from overhead import EXPERIMENT, ROW, Step, detboard, synthetic, time_sweep

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "tests"))  # the clusters
_POLL_S = 0.02


@dataclass(frozen=True)
class Costs:
    """What runs cost beyond their work, in seconds.

    Attributes:
        name: The way that they went.
        first: The first of them, which finds nothing loaded.
        later: The others.
        work: What each of them worked; empty where the way keeps no account.
    """

    name: str
    first: float
    later: tuple[float, ...]
    work: tuple[float, ...] = ()


def swept(name: str, data: Path, folder: Path, seeds: Sequence[int]) -> Costs:
    """Runs of ``detboard sweep --launcher NAME``, one at a time."""
    *steps, _ = time_sweep(data, folder / f"results-{name}", seeds, "off", name)
    runs = [step for step in steps if isinstance(step, Step)]
    costs = [run.recorded - run.prepared - run.work_s for run in runs]
    work = tuple(run.work_s for run in runs)
    return Costs(f"detboard, {name}", costs[0], tuple(costs[1:]), work)


def plain(name: str, configs: Sequence[Path], like: Costs, go: Callable[[Path], None]) -> Costs:
    """Runs of a scheduler alone, one after the other; they work as long as those of a sweep on it."""
    costs, work_s = [], statistics.median(like.work)
    for config in configs:
        start = time.perf_counter()
        go(config)
        costs.append(time.perf_counter() - start - work_s)
    return Costs(name, costs[0], tuple(costs[1:]))


def configs_of(data: Path, folder: Path, seeds: Sequence[int]) -> list[Path]:
    """The runs' configs as files, for tools that know nothing of a sweep."""
    return [_config_of(data, folder, seed) for seed in seeds]


def _config_of(data: Path, folder: Path, seed: int) -> Path:
    chosen = ["--rows", ROW, "--seeds", str(seed), "--data-root", str(data)]
    text = detboard("config", str(EXPERIMENT), *chosen, "--results", str(folder / "results"))
    path = folder / f"stock-{seed}.py"
    path.write_text(text, encoding="utf-8")
    return path


@contextmanager
def slurm(folder: Path) -> Iterator[None]:
    """Two nodes of Slurm, which the commands of this process know."""
    from slurm_cluster import slurm_cluster

    with slurm_cluster(folder) as cluster, variables(**cluster.environment):
        yield


def sbatch(config: Path) -> None:
    """Trains a config with mmdet's own script in a batch job, until that has ended."""
    import mmdet  # only here: it is slow to import, and all that is needed is its path

    script = Path(mmdet.__file__).parent / ".mim" / "tools" / "train.py"
    work = ["--work-dir", str(config.with_suffix(""))]
    # mmcv's compiled operators are served by the package.
    command = [sys.executable, "-m", "benchmark.ops", str(script), str(config), *work]
    log, status = config.with_suffix(".log"), config.with_suffix(".status")
    asked = ["--cpus-per-task=1", f"--output={log}", f"--chdir={REPOSITORY}"]
    # Not sbatch --wait: it looks for the end of its job seconds apart.
    wrapped = f"{shlex.join(command)}; echo $? > {shlex.quote(str(status))}"
    subprocess.run(["sbatch", *asked, "--wrap", wrapped], check=True, capture_output=True)
    while not (status.exists() and (ended := status.read_text())):
        time.sleep(_POLL_S)
    if ended.strip() != "0":
        sys.exit(log.read_text(errors="replace")[-2000:])


@contextmanager
def ray() -> Iterator[None]:
    """Two nodes of Ray, which the commands of this process know."""
    from ray_cluster import ray_cluster

    with ray_cluster() as cluster, variables(**cluster.environment):
        yield


def task(config: Path) -> None:
    """Trains a config with mmengine's runner in a Ray task."""
    import ray as library

    @library.remote(num_cpus=1)
    def train(path: str, work: str) -> None:
        from benchmark import ops

        ops.install()
        from mmengine.config import Config
        from mmengine.runner import Runner

        content = Config.fromfile(path)
        content.work_dir = work
        content.experiment_name = Path(path).stem  # else two runs of a process are one
        Runner.from_cfg(content).train()

    library.get(train.remote(str(config), str(config.with_suffix(".ray"))))


@contextmanager
def connected() -> Iterator[None]:
    """This process is a driver of the cluster."""
    import ray as library

    path = {"PYTHONPATH": str(REPOSITORY)}
    library.init(os.environ["RAY_ADDRESS"], log_to_driver=False, runtime_env={"env_vars": path})
    try:
        yield
    finally:
        library.shutdown()


@contextmanager
def variables(**values: str) -> Iterator[None]:
    """Environment variables, for a while; without bytecode on disk, every process would compile all that it imports."""
    before = dict(os.environ)
    os.environ.update(values)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def measured(data: Path, folder: Path, seeds: Sequence[int]) -> list[Costs]:
    """All ways, one after the other."""
    found = [swept("local", data, folder, seeds)]
    configs = configs_of(data, folder, seeds)
    site = folder / "site.yaml"
    site.write_text("cpus: 1\ngpus: none\n", encoding="utf-8")
    asked = {"DETBOARD_CLUSTER": str(site), "OMP_NUM_THREADS": "1"}
    with slurm(folder / "slurm"), variables(**asked):
        found.append(swept("slurm", data, folder, seeds))
        found.append(plain("sbatch tools/train.py", configs, found[-1], sbatch))
    with ray(), variables(**asked):
        found.append(swept("ray", data, folder, seeds))
        with connected():
            found.append(plain("Ray task, mmengine's Runner", configs, found[-1], task))
    return found


def report(found: Sequence[Costs]) -> None:
    """Prints the table."""
    work = [seconds for costs in found for seconds in costs.work]
    print(f"work of a run: median {statistics.median(work):.2f} s ({_spread(work)})")
    print(f"{'seconds of a run beyond its work':34} {'first':>7} {'later':>7}  range of the later")
    for costs in found:
        later = statistics.median(costs.later)
        print(f"{costs.name:34} {costs.first:7.2f} {later:7.2f}  {_spread(costs.later)}")
    local, on_slurm, alone, on_ray, by_task = (statistics.median(c.later) for c in found)
    print(f"slurm / sbatch alone {on_slurm / alone:13.2f}")
    print(f"ray / task alone     {on_ray / by_task:13.2f}")
    print(f"slurm / local        {on_slurm / local:13.2f}")
    print(f"ray / local          {on_ray / local:13.2f}")


def _spread(values: Sequence[float]) -> str:
    return f"{min(values):.2f} to {max(values):.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description="short runs on clusters, beyond their work")
    parser.add_argument("--runs", type=int, default=4)
    options = parser.parse_args()
    if options.runs < 2:
        parser.error("--runs: give a number from 2, the first stands apart")
    print(f"{options.runs} runs a way; {machine()}", flush=True)
    with tempfile.TemporaryDirectory() as name:
        data = synthetic(Path(name, "data"), train=24, val=12, size=112)
        found = measured(data, Path(name), range(options.runs))
    report(found)


if __name__ == "__main__":
    main()
