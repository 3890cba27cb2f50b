"""What stands in the way of jobs on a cluster, found before any is submitted."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from benchmark.errors import UserError, allowed, few
from benchmark.experiment.cluster import Cluster
from benchmark.launchers.layout import lay_out
from benchmark.launchers.slurm import site
from benchmark.launchers.slurm.commands import NoAnswer, ask
from benchmark.launchers.slurm.request import asks_gpus, expanded, room
from benchmark.launchers.slurm.script import wrong_setup
from benchmark.launchers.slurm.site import Group

_TRY_S = 10.0
_NO_SBATCH = (
    "--launcher slurm: there is no sbatch on this machine: is it a login node of the cluster? Some sites want 'module "
    "load slurm' first"
)
_NOWHERE = "Requested node configuration"
_OWN_FLAGS = {
    "--array": "a", "--chdir": "D", "--clusters": "M", "--help": "h", "--output": "o", "--signal": "",
    "--test-only": "", "--usage": "", "--version": "V", "--wait": "W", "--wrap": "",
}  # fmt: skip
"""Flags, with their letters, without which a job is not found again, or does not do its run."""
_DO = {
    _NOWHERE: (
        "no node has all of it at once: ask for fewer GPUs, CPUs or features, or less memory (cluster.cpus, memory, "
        "constraint)"
    ),
    "Invalid account": (
        "set cluster.account to one of yours: 'sacctmgr show assoc user=$USER format=account,partition,qos' lists them"
    ),
    "Invalid qos": "set cluster.qos to one of yours: 'sacctmgr show assoc user=$USER format=account,qos' lists them",
    "group not permitted": "take a partition that you may use (cluster.partition)",
    "access/permission denied": "ask the site's administrators, or take another partition or account",
    "requires time": "set cluster.time",
}
"""What to do about what ``sbatch`` says: of accounts and quality of service only accounting knows."""


@dataclass(frozen=True)
class Site:
    """What the cluster has.

    Attributes:
        groups: Its nodes; empty where it does not say.
        unreachable: Why it cannot be asked from here; empty if it can.
    """

    groups: list[Group]
    unreachable: str = ""


def look() -> Site:
    """Asks the cluster what it has."""
    if shutil.which("sbatch") is None:
        return Site([], _NO_SBATCH)
    try:
        return Site(site.look())
    except NoAnswer as no:
        why = (
            f"--launcher slurm: the controller of the cluster does not answer ({no}); 'scontrol ping' says which it is "
            "and whether it is up; SLURM_CONF names another cluster's configuration"
        )
        return Site([], why)


def wrong_requests(cluster: Cluster, gpus: Mapping[str, int], groups: Sequence[Group]) -> list[str]:
    """Everything in what jobs ask for that no node of the cluster can give.

    Args:
        cluster: What the experiment says.
        gpus: Number of GPUs that a row asks for, by its name.
        groups: All nodes of the cluster.
    """
    found = [*_partitions(cluster, groups)]
    nodes = site.of_partitions(groups, cluster.partition) if not found else list(groups)
    found += [
        *_time(cluster, nodes),
        *_memory(cluster, nodes),
        *_features(cluster, nodes),
        *_names(cluster, groups),
        *_kinds(cluster, nodes),
        *_flags(cluster),
    ]
    if cluster.store:
        found.append(
            f"cluster.store: {cluster.store}: jobs of Slurm work in the results folder itself, on the file system that "
            "the nodes share; leave it out, or run on a Ray cluster (--launcher ray)"
        )
    if wrong := wrong_setup(cluster.setup):
        found.append(f"cluster.setup: bash cannot read it: {wrong}")
    for row, number in gpus.items():
        found += _row(cluster, row, number, nodes)
    return found


def refused(flags: Sequence[str]) -> str:
    """What ``sbatch`` says against a job that asks for this, without submitting one; empty if nothing."""
    script = "#!/bin/bash\n:\n"
    try:
        answer = ask("sbatch", "--test-only", *flags, text=script, limit_s=_TRY_S)
    except NoAnswer as no:
        return str(no)
    if answer.status == 0 or (_NOWHERE in answer.err and _some_are_away()):
        return ""
    return f"sbatch would refuse it: {in_words(answer.err)}"


def _some_are_away() -> bool:
    """Whether a job may wait for a node that is down or drained: whether that has all of it, ``sbatch`` will say."""
    with suppress(NoAnswer):
        return bool(site.are_away())
    return False


def in_words(said: str) -> str:
    """What ``sbatch`` says against a request, and what to do, where that is known."""
    said = said.replace("allocation failure: ", "").replace("Batch job submission failed: ", "")
    return next((f"{said}; {do}" for words, do in _DO.items() if words in said), said)


def _partitions(cluster: Cluster, groups: Sequence[Group]) -> Iterator[str]:
    known = {group.partition: group.state for group in groups}
    for name in cluster.partition.split(",") if cluster.partition else []:
        if name not in known:
            yield f"cluster.partition: '{name}': the cluster has no such partition; {allowed(name, known)}"
        elif known[name] != "up":
            yield f"cluster.partition: '{name}' is {known[name]}: it starts no jobs; see 'sinfo -p {name}'"
    if not cluster.partition and groups and not any(group.is_default for group in groups):
        yield f"cluster.partition: is not set, and the cluster has no default; {allowed('', known)}"


def _time(cluster: Cluster, nodes: Sequence[Group]) -> Iterator[str]:
    limits = [group.limit_s for group in nodes]
    if cluster.time is None:
        most = max((limit for limit in limits if limit is not None), default=0)
        if most and None not in limits and most <= cluster.warn_s:
            yield (
                f"cluster.warn_s: jobs leave {cluster.warn_s} s before the end of their time, and the partition's "
                f"limit is {duration(most)}: no time is left to work in; lower cluster.warn_s"
            )
        return
    try:
        asked = site.seconds(cluster.time)
    except ValueError:
        yield (
            f"cluster.time: '{cluster.time}' is no time limit; write minutes (90), 12:00:00 or 2-12:00:00"
        )
        return
    if asked is not None and asked <= cluster.warn_s:
        yield (
            f"cluster.time: {cluster.time} is {asked} s, and jobs leave cluster.warn_s = {cluster.warn_s} s before its "
            "end: no time is left to work in; lower cluster.warn_s, or raise cluster.time"
        )
    if limits and None not in limits:
        most = max(limit for limit in limits if limit is not None)
        if asked is None or asked > most:
            names = few(dict.fromkeys(group.partition for group in nodes))
            yield (
                f"cluster.time: {cluster.time} is over the limit of partition {names}, {duration(most)}; ask "
                "for less: a run that needs longer is queued again and goes on"
            )


def _flags(cluster: Cluster) -> Iterator[str]:
    """Further flags: each is one word of the command line, and some are the launcher's own."""
    for flag in cluster.sbatch:
        name = re.split(r"[=\s]", flag, maxsplit=1)[0]
        if not flag.startswith("-"):
            yield f"cluster.sbatch: '{flag}' is no flag; write --NAME=VALUE, each on a line of its own"
        elif own := _own_flag(name):
            use = "; use cluster.warn_s" if own == "--signal" else ""
            yield f"cluster.sbatch: '{flag}': {own} is DetBoard's own, its jobs need theirs; leave it out{use}"
        elif spaced := re.fullmatch(r"(--[\w-]+)\s+(.*)", flag):
            yield f"cluster.sbatch: '{flag}': write {spaced[1]}={spaced[2]}"


def _own_flag(name: str) -> str:
    """Which of them a name is, cut short as ``sbatch`` takes it; empty of another."""
    for long, letter in _OWN_FLAGS.items():
        cut = name.startswith("--") and len(name) > 4 and long.startswith(name)
        if cut or (letter and name.startswith(f"-{letter}")):
            return long
    return ""


def _memory(cluster: Cluster, nodes: Sequence[Group]) -> Iterator[str]:
    if cluster.memory is None:
        return
    try:
        asked = site.megabytes(cluster.memory)
    except ValueError:
        yield f"cluster.memory: '{cluster.memory}' is no amount of memory; write 32G, or megabytes"
        return
    most = max((group.memory_mb for group in nodes), default=0)
    if nodes and asked > most:
        yield f"cluster.memory: {cluster.memory}: no node has more than {most} MB; ask for less"


def _features(cluster: Cluster, nodes: Sequence[Group]) -> Iterator[str]:
    """A constraint by one name; what joins several, ``sbatch`` reads."""
    asked = cluster.constraint
    known = {name for group in nodes for name in group.features}
    if asked and nodes and re.fullmatch(r"[\w.-]+", asked) and asked not in known:
        yield f"cluster.constraint: '{asked}': no node has this feature; {allowed(asked, known)}"


def _names(cluster: Cluster, groups: Sequence[Group]) -> Iterator[str]:
    if not cluster.nodes:
        return
    with suppress(NoAnswer):
        known = {name for group in groups for name in expanded(group.nodes)}
        for name in expanded(cluster.nodes):
            if name not in known:
                yield f"cluster.nodes: '{name}': the cluster has no such node; {allowed(name, known)}"


def _kinds(cluster: Cluster, nodes: Sequence[Group]) -> Iterator[str]:
    kind = cluster.gpus
    known = {kind for group in nodes for kind in group.gpus}
    if kind is None or cluster.on_cpus or not nodes or kind in known:
        return
    named = sorted(known - {""})
    if not known:
        yield f"cluster.gpus: '{kind}': no node has GPUs; 'gpus: none' runs jobs on CPUs"
    elif named or "" not in known:
        yield f"cluster.gpus: '{kind}': no node has GPUs of this type; {allowed(kind, named)}"


def _row(cluster: Cluster, row: str, number: int, nodes: Sequence[Group]) -> Iterator[str]:
    """What a row asks of each of its nodes."""
    if not nodes:
        return
    try:
        layout = lay_out(number, room(cluster, nodes))
    except UserError as error:
        yield f"row {row}: {error}"
        return
    kind = cluster.gpus if cluster.gpus in {k for group in nodes for k in group.gpus} else None
    most = max(group.has_gpus(kind) for group in nodes)
    if asks_gpus(cluster, nodes) and most and layout.each > most:
        yield (
            f"row {row}: asks for {layout.each} GPUs of a node (cluster.gpus_per_node = {cluster.gpus_per_node}); no "
            f"node has more than {most}"
        )
    cpus = max(group.cpus for group in nodes)
    if cpus and cluster.cpus * layout.each > cpus:
        yield (
            f"row {row}: asks for {cluster.cpus * layout.each} CPUs of a node (cluster.cpus = {cluster.cpus} for each "
            f"of {layout.each} processes); no node has more than {cpus}; lower cluster.cpus"
        )


def duration(seconds: int) -> str:
    """A time limit as Slurm writes it: ``2-12:00:00``."""
    days, rest = divmod(seconds, 24 * 3600)
    hours, rest = divmod(rest, 3600)
    clock = f"{hours:02}:{rest // 60:02}:{rest % 60:02}"
    return f"{days}-{clock}" if days else clock
