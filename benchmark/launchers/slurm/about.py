"""What Slurm says of itself to somebody who asks whether jobs can be started: versions, partitions, limits."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence

from benchmark.experiment.cluster import Cluster
from benchmark.launchers.slurm import door, site
from benchmark.launchers.slurm.commands import NoAnswer, ask, lines
from benchmark.launchers.slurm.site import Group
from benchmark.run.finding import Finding
from benchmark.writing.words import counted

_ASK_S = 8.0
_SLOW_S = 5.0
_LIMITS = ("account", "qos", "maxjobs", "maxsubmitjobs", "grptres", "maxtres", "maxwall")


def about(cluster: Cluster, groups: Sequence[Group], flags: Sequence[str]) -> Iterator[Finding]:
    """Findings for `benchmark.launchers.base.Launcher.about`, where Slurm answers.

    Args:
        cluster: What the experiment and the site say.
        groups: All nodes of the cluster.
        flags: What a job of one process asks for.

    Raises:
        NoAnswer: It does not any more.
    """
    asked = {group.partition for group in site.of_partitions(groups, cluster.partition)}
    yield _itself()
    yield Finding("asks for", " ".join(flags))
    for name in dict.fromkeys(group.partition for group in groups):
        yield _partition(
            name, [group for group in groups if group.partition == name], name in asked
        )
    yield from _limits()


def _itself() -> Finding:
    began = time.monotonic()
    version = lines("sinfo", "--version", limit_s=_ASK_S)
    ping = ask("scontrol", "ping", limit_s=_ASK_S)
    seconds = time.monotonic() - began
    who = "; ".join(line.strip() for line in ping.out.splitlines())
    slow = "it is slow to answer: lower --slots" if seconds > _SLOW_S else ""
    return Finding("slurm", f"{version[0]}: {who} ({seconds:.2f} s)", slow)


def _partition(name: str, groups: Sequence[Group], is_asked: bool) -> Finding:
    first = groups[0]
    limit = door.duration(first.limit_s) if first.limit_s is not None else "no limit"
    notes = [first.state, f"time {limit}", *(["the default"] if first.is_default else [])]
    if is_asked:
        notes.append("where jobs go")
    kinds = "; ".join(dict.fromkeys(_nodes(group) for group in groups))
    return Finding(f"partition {name}", f"{', '.join(notes)}; {kinds}")


def _nodes(group: Group) -> str:
    """Nodes that are alike: ``n[1-4]: 64 CPUs, 500 GB, 4 a100``."""
    gpus = [f"{count} {kind or 'GPU'}" for kind, count in group.gpus.items()]
    sizes = [counted(group.cpus, "CPU"), f"{group.memory_mb / 1000:.0f} GB", *gpus]
    return f"{group.nodes}: {', '.join(sizes)}"


def _limits() -> Iterator[Finding]:
    """What accounting says of this user, where a site has it."""
    user = f"user={os.environ.get('USER') or os.getuid()}"
    call = ["sacctmgr", "-n", "-P", "show", "assoc", user, f"format={','.join(_LIMITS)}"]
    try:
        told = lines(*call, limit_s=_ASK_S)
    except NoAnswer:
        return  # no accounting, or none that users may ask
    for line in told:
        named = zip(_LIMITS, line.split("|"), strict=False)
        yield Finding("limits", ", ".join(f"{key} {value}" for key, value in named if value))
