"""Jobs on a Ray cluster: one task a run, owned by an actor that outlives the driver.

`launcher.py` is the driver's side, `remote.py` what runs in Ray's processes, `node.py` what a task does on its node.
"""

from benchmark.launchers.ray_cluster.launcher import RayLauncher

__all__ = ["RayLauncher"]
