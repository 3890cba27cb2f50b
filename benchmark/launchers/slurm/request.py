"""What a job asks of Slurm: flags of ``sbatch``, from the experiment's ``cluster`` and the row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmark.experiment.cluster import Cluster
from benchmark.launchers.child import to_json
from benchmark.launchers.layout import Layout, lay_out
from benchmark.launchers.slurm.commands import lines
from benchmark.launchers.slurm.site import Group
from benchmark.run.options import JobOptions


@dataclass(frozen=True)
class Request:
    """What several runs may ask for alike.

    Attributes:
        flags: Of ``sbatch``, without those that say which run it is.
        setup: Lines of shell before Python starts.
        options: What the job is told.
        layout: How its processes lie on nodes.
        step: Flags of ``srun`` where these are several nodes.
        on_cpus: It is to use no GPU: one that a node has is not its own, and without cgroups it would see it.
    """

    flags: tuple[str, ...]
    setup: tuple[str, ...]
    options: JobOptions
    layout: Layout
    step: tuple[str, ...]
    on_cpus: bool = False

    @property
    def key(self) -> tuple[tuple[str, ...], tuple[str, ...], str]:
        """Equal for runs that ask for the same."""
        return self.flags, self.setup, to_json(self.options)


def make_request(cluster: Cluster, options: JobOptions, groups: Sequence[Group]) -> Request:
    """What a run asks for.

    Args:
        cluster: What the experiment says.
        options: What the job is told; its resources say how many processes train together.
        groups: What the cluster has, see `benchmark.launchers.slurm.site.of_partitions`.

    Raises:
        UserError: The processes are not as many on each of the nodes that they need.
    """
    layout = lay_out(options.resources.processes, room(cluster, groups))
    size = _size(cluster, layout)
    flags = [
        *_named(cluster),
        *size,
        *_gpus(cluster, layout, groups),
        *_nodes(cluster, groups),
        "--requeue",
        "--open-mode=append",
        f"--signal=B:USR1@{cluster.warn_s}",
        *cluster.sbatch,
    ]
    told = replace(options, leased=True)
    return Request(tuple(flags), tuple(cluster.setup), told, layout, tuple(size), cluster.on_cpus)


def of_run(folder: Path) -> list[str]:
    """Flags that say which run a job is of, by itself."""
    return [
        f"--job-name={folder.name}",
        f"--chdir={folder}",
        f"--output={_literal(folder / 'log.txt')}",
    ]


def of_array(links: Path, count: int) -> list[str]:
    """Flags of an array whose runs' logs are found by links in a folder, called ``0``, ``1``, ...."""
    return [
        "--job-name=detboard",
        f"--array=0-{count - 1}",
        f"--chdir={links}",
        f"--output={_literal(links)}/%a",
    ]


def asks_gpus(cluster: Cluster, groups: Sequence[Group]) -> bool:
    """Whether jobs ask for GPUs: of a type that is named, or where their nodes have any."""
    if cluster.gpus is not None:
        return not cluster.on_cpus
    return any(group.has_gpus(None) for group in groups)


def _named(cluster: Cluster) -> list[str]:
    told = {
        "partition": cluster.partition,
        "account": cluster.account,
        "qos": cluster.qos,
        "time": cluster.time,
        "mem": cluster.memory,
        "constraint": cluster.constraint,
        "mail-user": cluster.mail,
        "mail-type": "END,FAIL" if cluster.mail else None,
    }
    return [f"--{key}={value}" for key, value in told.items() if value]


def room(cluster: Cluster, groups: Sequence[Group]) -> int:
    """How many processes of a run go on one node: as many as it has GPUs, by the experiment or by Slurm."""
    kind = None if cluster.gpus is None or cluster.on_cpus else cluster.gpus
    most = max((group.has_gpus(kind) for group in groups), default=0)
    said = "gpus_per_node" in cluster.model_fields_set or not asks_gpus(cluster, groups)
    return cluster.gpus_per_node if said or not most else most


def _size(cluster: Cluster, layout: Layout) -> list[str]:
    """One task on each node: the processes there are its own affair."""
    cpus = f"--cpus-per-task={cluster.cpus * layout.each}"
    return [f"--nodes={layout.nodes}", f"--ntasks={layout.nodes}", "--ntasks-per-node=1", cpus]


def _gpus(cluster: Cluster, layout: Layout, groups: Sequence[Group]) -> list[str]:
    """Those of each node. Not ``--gpus``, which clusters refuse that choose nodes in the older way."""
    kind = f"{cluster.gpus}:" if cluster.gpus else ""
    return [f"--gres=gpu:{kind}{layout.each}"] if asks_gpus(cluster, groups) else []


def _nodes(cluster: Cluster, groups: Sequence[Group]) -> list[str]:
    """One of several nodes may be taken: ``--nodelist`` would ask for all of them at once."""
    if not cluster.nodes:
        return []
    wanted = expanded(cluster.nodes)
    if len(wanted) == 1:
        return [f"--nodelist={wanted[0]}"]
    others = [name for group in groups for name in expanded(group.nodes) if name not in wanted]
    return [f"--exclude={','.join(dict.fromkeys(others))}"] if others else []


def expanded(nodes: str) -> list[str]:
    """Names of a list of nodes, ``n[1-3]``.

    Raises:
        NoAnswer: Slurm is not on this machine.
    """
    return lines("scontrol", "show", "hostnames", nodes) if "[" in nodes else nodes.split(",")


def _literal(path: Path) -> str:
    """A path in which Slurm is to replace nothing: it writes job numbers for ``%j`` and the like."""
    return str(path).replace("%", "%%")
