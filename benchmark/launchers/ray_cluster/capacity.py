"""What a run's task asks of one node, and which nodes have that."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmark.experiment.cluster import Cluster
from benchmark.writing.words import counted

_TYPE = "accelerator_type:"
_BYTES = re.compile(r"(\d+)([KMGT]?)B?", re.IGNORECASE)
_POWER = {"K": 10, "": 20, "M": 20, "G": 30, "T": 40}


@dataclass(frozen=True)
class Node:
    """A machine of the cluster.

    Attributes:
        name: Its host's name.
        resources: How much of what it has, in Ray's words: ``CPU``, ``GPU``, ``memory`` (bytes),
            ``accelerator_type:T4``.
    """

    name: str
    resources: Mapping[str, float]

    def __str__(self) -> str:
        has = [counted(int(self.resources.get(key, 0)), key) for key in ("CPU", "GPU")]
        memory = self.resources.get("memory", 0) / 2**30
        kinds = ", ".join(self.types())
        return ", ".join(
            [*has, *([f"{memory:.0f} GiB"] if memory else []), *([kinds] if kinds else [])]
        )

    def types(self) -> list[str]:
        """Types of its GPUs, as Ray calls them."""
        return [key.removeprefix(_TYPE) for key in self.resources if key.startswith(_TYPE)]


@dataclass(frozen=True)
class Ask:
    """What a task asks of one node.

    Attributes:
        cpus: CPUs of all of its processes.
        gpus: GPUs of all of its processes.
        kind: Type of these, as Ray calls it; empty for any.
        memory: Bytes; 0 for any.
    """

    cpus: int
    gpus: int = 0
    kind: str = ""
    memory: int = 0

    def options(self) -> dict[str, Any]:
        """As Ray takes them."""
        asked: dict[str, Any] = {"num_cpus": self.cpus, "num_gpus": self.gpus}
        if self.kind and self.gpus:
            asked["accelerator_type"] = self.kind
        if self.memory:
            asked["memory"] = self.memory
        return asked

    def bundle(self) -> dict[str, float]:
        """As Ray's placement groups take it."""
        asked = {"CPU": self.cpus, "GPU": self.gpus, "memory": self.memory}
        kind = {f"{_TYPE}{self.kind}": 0.001} if self.kind and self.gpus else {}
        return {**{key: float(number) for key, number in asked.items() if number}, **kind}

    def fits(self, node: Node) -> int:
        """How many such tasks a node runs at once."""
        asked = {"CPU": self.cpus, "GPU": self.gpus, "memory": self.memory}
        if self.gpus and self.kind and self.kind not in node.types():
            return 0
        return min(
            int(node.resources.get(key, 0) // number) for key, number in asked.items() if number
        )

    def __str__(self) -> str:
        gpu = f"{self.kind} GPU" if self.kind else "GPU"
        parts = [counted(self.gpus, gpu)] if self.gpus else []
        parts.append(counted(self.cpus, "CPU"))
        if self.memory:
            parts.append(f"{self.memory / 2**30:g} GiB of memory")
        return ", ".join(parts)


def nodes_of(listed: Iterable[Mapping[str, Any]]) -> list[Node]:
    """The living nodes of those that `ray.nodes` lists."""
    return [
        Node(str(node["NodeManagerHostname"]), node["Resources"])
        for node in listed
        if node["Alive"]
    ]


def ask_of(cluster: Cluster, processes: int, nodes: Sequence[Node], slots: int | None) -> Ask:
    """What a run of so many processes asks for.

    Where ``cpus`` is not given, it is its default, or as many as the largest node has and ``slots`` runs share.

    Args:
        cluster: What the experiment and the site say.
        processes: Number of processes that train together.
        nodes: Of the cluster.
        slots: Runs that are to go side by side; None for as many as fit.
    """
    gpus = 0 if cluster.on_cpus or not has_gpus(nodes) else processes
    cpus = cluster.cpus * processes
    if "cpus" not in cluster.model_fields_set:
        numbers = [int(node.resources.get("CPU", 0)) for node in nodes]
        share = sum(numbers) // slots if slots else cpus
        cpus = max(1, min(cpus, share, max(numbers, default=1)))
    return Ask(cpus, gpus, kind_of(cluster, nodes), bytes_of(cluster.memory))


def room(cluster: Cluster, nodes: Sequence[Node]) -> int:
    """How many processes of a run go on one node: as many as it has GPUs, by the experiment or by Ray."""
    most = max((int(node.resources.get("GPU", 0)) for node in nodes), default=0)
    said = "gpus_per_node" in cluster.model_fields_set or cluster.on_cpus or not most
    return cluster.gpus_per_node if said else most


def has_gpus(nodes: Iterable[Node]) -> bool:
    """Whether any node has a GPU."""
    return any(node.resources.get("GPU", 0) >= 1 for node in nodes)


def kind_of(cluster: Cluster, nodes: Iterable[Node]) -> str:
    """The type of GPU that is asked for, as nodes call it, or as it is written if none has it; empty for any."""
    if cluster.gpus is None or cluster.on_cpus:
        return ""
    wanted = cluster.gpus.casefold()
    kinds = {kind for node in nodes for kind in node.types()}
    return next((kind for kind in sorted(kinds) if kind.casefold() == wanted), cluster.gpus)


def bytes_of(memory: str | None) -> int:
    """Bytes of ``32G`` or ``4000``, which are MiB, as sbatch has it; 0 of what is no such text."""
    found = _BYTES.fullmatch(memory or "")
    return int(found[1]) << _POWER[found[2].upper()] if found else 0


def side_by_side(ask: Ask, nodes: Iterable[Node]) -> int:
    """How many such tasks all nodes run at once."""
    return sum(ask.fits(node) for node in nodes)


def obstacle(row: str, ask: Ask, nodes: Sequence[Node], where: str, asked: int = 1) -> str:
    """Why a row's tasks would wait for ever; empty if so many nodes as are ``asked`` for can run one each."""
    fit = sum(bool(ask.fits(node)) for node in nodes)
    if fit >= asked:
        return ""
    if fit:
        return f"row {row}: asks for {ask} on each of {asked} nodes; {where} has {counted(fit, 'such node')}"
    kinds = sorted({kind for node in nodes for kind in node.types()})
    if ask.gpus and ask.kind and ask.kind not in kinds:
        there = f"there are {', '.join(kinds)}" if kinds else "its nodes name no types"
        return f"row {row}: cluster.gpus: {ask.kind}: {where} has no such GPUs; {there}"
    largest = max(
        nodes, key=lambda node: (node.resources.get("GPU", 0), node.resources.get("CPU", 0))
    )
    has = ", ".join(counted(int(largest.resources.get(key, 0)), key) for key in ("GPU", "CPU"))
    who = f"the largest node of {where}" if len(nodes) > 1 else where
    see = "see the row's gpus, cluster.cpus and cluster.memory"
    return f"row {row}: asks for {ask} on one node; {who} has {has}: {see}"
