"""Which validation images the rows of an experiment are judged on, for those that have no config that says so."""

from __future__ import annotations

import pickle
from collections.abc import Mapping

from benchmark.config.layers import base_config, find_layers
from benchmark.config.retarget import dataset_leaves
from benchmark.config.sampled import sampled
from benchmark.data.dataset import Dataset
from benchmark.data.memory import Memory
from benchmark.experiment.rows.base import Surroundings, part_file


def judged_images(dataset: Dataset, around: Surroundings, memory: Memory) -> Mapping[str, object]:
    """Which validation images the data set part takes under the profile.

    Args:
        dataset: The data.
        around: The part and the profile.
        memory: Remembers what is in large annotation files.

    Returns:
        Empty if it is all of them. Else ``images``, the number of which the first are taken, and ``indices``, the
        positions where the first ones do not show all classes; the numbers count as ``indices`` of mmengine do.
    """
    names = (
        "runtime.py",
        part_file("dataset", around.dataset),
        part_file("profile", around.profile),
    )
    base = base_config(find_layers(names, around.roots), dataset, around.folder)
    config = pickle.loads(base.config)
    first = next(dataset_leaves(config.get("val_dataloader")), {}).get("indices")
    if first is None:
        return {}
    known = sampled(config, dataset, {}, memory) or config
    taken = next(dataset_leaves(known.get("val_dataloader")), {}).get("indices")
    return {"images": first, "indices": taken}
