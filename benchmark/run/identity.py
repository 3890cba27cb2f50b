"""The id of a run: what changes its result, as eight hex digits."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping

from benchmark.data.dataset import Dataset
from benchmark.run.spec import SCHEMA_VERSION

# Keys of a config that do not change what is measured: where things lie, who watches, how many hands work.
NOT_IDENTITY = frozenset(
    {
        "ann_file",
        "backend_args",
        "data_prefix",
        "data_root",
        "launcher",
        "log_level",
        "num_workers",
        "persistent_workers",
        "resume",
        "seed",
        "vis_backends",
        "visualizer",
        "work_dir",
    }
)


def identity(
    config: Mapping[str, object] | str,
    dataset: Dataset,
    seed: int,
    profile: str,
    gpus: int = 1,
    given: Mapping[str, str] | None = None,
) -> str:
    """The 8 hex digits that change when anything changes that the result depends on.

    Args:
        config: The composed config, from a plan or loaded from a run's ``config.py``; or its `essence`, where
            that is known: computing it takes far longer than the rest.
        dataset: The dataset; only the hashes of its annotation files count, not where they lie.
        seed: Random seed.
        profile: Name of the profile.
        gpus: Number of processes that train together: the batch grows with it.
        given: Hashes of what the recipe was given beside the config, by name.
    """
    around = json.dumps([SCHEMA_VERSION, dataset.hashes, seed, profile, gpus])
    if given:  # an id without them is what it was before there were any
        around += json.dumps(dict(given), sort_keys=True)
    same = config if isinstance(config, str) else essence(config)
    return hashlib.sha256(f"{around}\n{same}".encode()).hexdigest()[:8]


def essence(config: Mapping[str, object]) -> str:
    """What of a config changes the result, as JSON: the same for all seeds of a row."""
    return json.dumps(_essence(config), sort_keys=True, default=str)


def _essence(value: object) -> object:
    if isinstance(value, dict):  # not Mapping: a check of an abstract class is ten times slower
        return {str(k): _essence(v) for k, v in value.items() if k not in NOT_IDENTITY}
    if isinstance(value, list | tuple):
        return [_essence(item) for item in value]
    return value


def run_id(row: str, seed: int, profile: str, digest: str) -> str:
    """A readable id that is a safe name of a folder and of a tracked run: ``retinanet_r50-s0-smoke-1a2b3c4d``."""
    prefix = re.sub(r"[^A-Za-z0-9_.]+", "_", row).strip("_.")[:60] or "row"
    return f"{prefix}-s{seed}-{profile}-{digest}"
