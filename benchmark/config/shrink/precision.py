"""Full precision in place of mixed: what is shrunk runs on any machine."""

from __future__ import annotations

from benchmark.config import faster
from benchmark.config.tree import Config


def use_full_precision(config: Config, changes: list[str]) -> None:
    """Trains and evaluates in full precision, in place: mixed precision needs a GPU.

    It does so on a machine with a GPU as well: a run is the same run wherever it is made, and its config is the one
    that was trained. A row's own ``set`` comes later, and may ask for mixed precision again.

    Args:
        config: A merged config.
        changes: Takes a line for each thing that was changed.
    """
    for line in faster.use_full_precision(config):
        kind = "half" if line.endswith("dropped") else "mixed"
        changes.append(f"{line}: {kind} precision needs a GPU")
