"""What the cluster has: partitions, and what their nodes offer, as ``sinfo`` says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from benchmark.launchers.slurm.commands import check_up, lines

_FIELDS = "%P|%a|%l|%c|%m|%f|%G|%N"  # the nodes last
_ASK_S = 8.0


@dataclass(frozen=True)
class Group:
    """Nodes of a partition that are alike.

    Attributes:
        partition: Its name.
        is_default: Jobs that name no partition go there.
        state: ``up``, or why it starts nothing: ``down``, ``drain``, ``inact``.
        limit_s: The longest time limit, in seconds; None for none.
        cpus: CPUs of a node.
        memory_mb: Memory of a node.
        features: What a constraint may ask for.
        gpus: How many GPUs of each type a node has; the type may be empty.
        nodes: Their names, as Slurm lists them: ``n[1-4]``.
    """

    partition: str
    is_default: bool
    state: str
    limit_s: int | None
    cpus: int
    memory_mb: int
    features: frozenset[str]
    gpus: dict[str, int] = field(hash=False)
    nodes: str = ""

    def has_gpus(self, kind: str | None) -> int:
        """GPUs of a node of one type; of all, if that is None."""
        return self.gpus.get(kind, 0) if kind is not None else sum(self.gpus.values())


def look() -> list[Group]:
    """Groups of nodes of every partition.

    Raises:
        NoAnswer: Slurm does not say.
    """
    check_up()
    told = lines("sinfo", "-h", "-a", "-e", "-o", _FIELDS, limit_s=_ASK_S)
    return [group for line in told if (group := parse(line))]


def of_partitions(groups: Iterable[Group], names: str | None) -> list[Group]:
    """Those that jobs may come to that ask for some partitions, ``a,b``; or for none."""
    wanted = set(names.split(",")) if names else None
    return [g for g in groups if (g.is_default if wanted is None else g.partition in wanted)]


def parse(line: str) -> Group | None:
    """Reads a line of ``sinfo``; None of one that is something else."""
    parts = line.strip().split("|", 7)
    if len(parts) < 8:
        return None
    name, state, limit, cpus, memory, features, gres, nodes = (part.strip() for part in parts)
    return Group(
        partition=name.removesuffix("*"),
        is_default=name.endswith("*"),
        state=state,
        limit_s=seconds(limit),
        cpus=_number(cpus),
        memory_mb=_number(memory),
        features=frozenset(features.split(",")) - {"(null)", ""},
        gpus=gpus_of(gres),
        nodes=nodes,
    )


def gpus_of(gres: str) -> dict[str, int]:
    """GPUs of each type in a list of resources: ``gpu:a100:4(S:0-1),gpu:2,shard:8`` has 4 ``a100`` and 2 without."""
    found: dict[str, int] = {}
    for item in gres.split(","):
        kind, *rest = item.partition("(")[0].split(":")
        if kind != "gpu":
            continue
        count = int(rest[-1]) if rest and rest[-1].isdecimal() else 1
        name = rest[0] if len(rest) > 1 or (rest and not rest[0].isdecimal()) else ""
        found[name] = found.get(name, 0) + count
    return found


def seconds(limit: str) -> int | None:
    """Seconds of a time limit as Slurm writes them: ``90``, ``1:30``, ``12:00:00``, ``2-12``; None for none, or ``0``.

    Raises:
        ValueError: It is no such limit.
    """
    if limit.lower() in ("infinite", "unlimited", "-1", "n/a"):
        return None
    days, dash, rest = limit.rpartition("-")
    parts = [int(part) for part in rest.split(":")]
    if len(parts) > 3 or any(part < 0 for part in parts):
        raise ValueError(limit)
    if dash:  # hours first
        hours, minutes, secs = [*parts, 0, 0][:3]
        return ((int(days) * 24 + hours) * 60 + minutes) * 60 + secs or None
    # Minutes, minutes:seconds, hours:minutes:seconds.
    hours, minutes, secs = parts if len(parts) == 3 else [0, *parts, 0][:3]
    return (hours * 60 + minutes) * 60 + secs or None


def are_away() -> list[str]:
    """Nodes that start no jobs for now, down or drained: ``sbatch --test-only`` takes them for none.

    Raises:
        NoAnswer: Slurm does not say.
    """
    states = "down,drain,fail,maint,no_respond,unknown"
    return lines("sinfo", "-h", "-a", "-N", "-t", states, "-o", "%N", limit_s=_ASK_S)


def megabytes(memory: str) -> int:
    """Megabytes of memory as ``sbatch --mem`` takes them: ``4000``, ``32G``.

    Raises:
        ValueError: It is none.
    """
    units = {"K": 1 / 1024, "M": 1, "G": 1024, "T": 1024 * 1024}
    text = memory.strip().upper().removesuffix("B")
    factor = units.get(text[-1:], 0)
    return int(int(text[:-1]) * factor) if factor else int(text)


def _number(text: str) -> int:
    digits = text.rstrip("+")  # of nodes that are not all alike
    return int(digits) if digits.isdecimal() else 0
