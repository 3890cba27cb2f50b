"""Jobs on Slurm, by its own commands: no library stands between, and nothing of accounting is needed."""

from benchmark.launchers.slurm.launcher import SlurmLauncher

__all__ = ["SlurmLauncher"]
