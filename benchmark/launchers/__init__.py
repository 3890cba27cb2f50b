"""Ways to start a job. A new one is one module and one line in `LAUNCHERS`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Protocol

from benchmark.errors import UserError, allowed
from benchmark.launchers.base import AUTO, Job, Launcher, Pool

if TYPE_CHECKING:
    from benchmark.experiment.cluster import Cluster

__all__ = ["AUTO", "LAUNCHERS", "Job", "Launcher", "Pool", "check_launcher", "make_launcher"]

LAUNCHERS = {
    "local": "benchmark.launchers.local:LocalLauncher",
    "inprocess": "benchmark.launchers.inprocess:InProcessLauncher",
    "slurm": "benchmark.launchers.slurm:SlurmLauncher",
    "ray": "benchmark.launchers.ray_cluster:RayLauncher",
}


class _Kind(Protocol):
    """The class of a launcher."""

    heeds_cluster: bool

    def __call__(self, slots: int | None, cluster: Cluster) -> Launcher:
        """Makes one."""


def check_launcher(name: str) -> None:
    """Nothing, if there is such a launcher.

    Raises:
        UserError: No launcher has that name.
    """
    if name not in LAUNCHERS:
        raise UserError(f"--launcher {name}: no such launcher; {allowed(name, LAUNCHERS)}")


def make_launcher(name: str, slots: int | None = None, cluster: Cluster | None = None) -> Launcher:
    """Makes the launcher called ``name``; its module is imported only now.

    Args:
        name: A key of `LAUNCHERS`.
        slots: Runs side by side; None for as many as the launcher thinks right, `AUTO` for as many as find memory.
        cluster: What an experiment asks of a cluster, to which the file of the site is added where the launcher heeds
            it; None for one that only finds jobs, whatever that file says.

    Raises:
        UserError: No launcher has that name, it is to find how many runs share a device and does not, or it heeds the
            file of the site, and that is wrong.
    """
    from benchmark.experiment.cluster import Cluster, on_site

    check_launcher(name)
    module, _, attribute = LAUNCHERS[name].partition(":")
    kind: _Kind = getattr(importlib.import_module(module), attribute)
    asked = cluster or Cluster()
    if cluster is not None and kind.heeds_cluster:
        asked = on_site(cluster)
    if slots == AUTO and not getattr(kind, "finds_slots", False):
        raise UserError(
            f"--slots auto: --launcher {name} does not share out this machine's memory; give the most that are to be "
            "started at once, or leave --slots out"
        )
    launcher = kind(slots, asked)
    if not asked.store or not launcher.mirrors:
        return launcher
    from benchmark.launchers.stored import Stored

    return Stored(launcher, asked)
