"""From the names of a row's parts to one plain, standalone mmdet config.

Parts are ordinary mmengine config files. They are merged in this order, with mmengine's own rules:
runtime, dataset, schedule, head, neck, backbone, profile, overrides. mmengine itself is imported
only for a part that uses its special syntax (``{{ }}``, ``read_base``), since planning a sweep must
not wait half a second for it.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from benchmark.config.config_file import load_config, merged, plain
from benchmark.config.overrides import apply_overrides
from benchmark.config.retarget import fill_dataset
from benchmark.config.shrink import shrink
from benchmark.data.dataset import Dataset
from benchmark.errors import UserError, allowed
from benchmark.experiment.experiment import PART_FOLDERS, PART_KINDS, Experiment, Row

_SHIPPED = Path(__file__).resolve().parents[2] / "configs"
_MERGE_ORDER = ("dataset", "schedule", "head", "neck", "backbone", "profile")


def config_roots(experiment_path: Path) -> list[Path]:
    """The folders to look for parts in, the first that has a part wins.

    Args:
        experiment_path: The experiment file; ``configs/`` beside its folder, then within it, come
            first.

    Returns:
        Existing folders, then the ``configs/`` that is shipped with the package.
    """
    folder = experiment_path.resolve().parent
    own = [path for path in (folder.parent / "configs", folder / "configs") if path.is_dir()]
    return list(dict.fromkeys([*own, _SHIPPED]))


def part_names(kind: str, roots: Sequence[Path]) -> list[str]:
    """Names of the parts of a kind (a key of `PART_FOLDERS`) in all roots, sorted."""
    folder = PART_FOLDERS[kind]
    found = {path.stem for root in roots for path in (root / folder).glob("*.py")}
    return sorted(name for name in found if not name.startswith("_"))


def check_parts(experiment: Experiment, roots: Sequence[Path] | None = None) -> list[str]:
    """Looks for every part that an experiment names.

    Args:
        experiment: The experiment.
        roots: Folders to look in, `config_roots` of the experiment if None.

    Returns:
        A message for each name that is not a part, with the names that are; empty if all is well.
    """
    roots = config_roots(experiment.path) if roots is None else roots
    known = {kind: part_names(kind, roots) for kind in PART_FOLDERS}
    named = [
        ("dataset.part", "dataset", experiment.dataset.part),
        ("profile", "profile", experiment.profile),
        *(
            (f"row '{row.name}': {kind}", kind, getattr(row.parts, kind))
            for row in experiment.rows
            for kind in PART_KINDS
        ),
    ]
    return [
        f"{field}: no part '{name}'; {allowed(name, known[kind])}"
        for field, kind, name in named
        if name not in known[kind]
    ]


def compose(
    row: Row,
    dataset: Dataset,
    *,
    dataset_part: str,
    profile: str,
    seed: int,
    overrides: Mapping[str, Any],
    roots: Sequence[Path],
) -> dict[str, Any]:
    """Merges a row's parts into one plain mmdet config, which stands alone.

    Args:
        row: Names the parts; its own overrides come before ``overrides``.
        dataset: Fills in every annotation file, image folder, class list and number of classes.
        dataset_part: Name of the part under ``configs/datasets/``.
        profile: Name of the part under ``configs/profiles/``.
        seed: Becomes ``randomness.seed``.
        overrides: Key paths and values, see `apply_overrides`.
        roots: Folders to look for parts in, see `config_roots`.

    Returns:
        A config of its own: changing it changes no other.

    Raises:
        UserError: With every part that is missing or broken, and every override that does not fit.
    """
    names = {**row.parts.model_dump(), "dataset": dataset_part, "profile": profile}
    files = _part_files(row.name, names, roots)
    config: dict[str, Any] = pickle.loads(_base_config(files, dataset))
    wanted = [*row.overrides.items(), *overrides.items()]
    if problems := apply_overrides(config, wanted):
        raise UserError([f"row '{row.name}': {problem}" for problem in problems])
    if any(isinstance(value, dict | list) for _, value in wanted):
        # What was put in whole has not seen the data set yet, and belongs to the caller.
        config = plain(config)
        fill_dataset(config, dataset)
    _mend_workers(config)
    config["randomness"] = {**(config.get("randomness") or {}), "seed": seed}
    return config


def _part_files(
    row: str, names: Mapping[str, str], roots: Sequence[Path]
) -> tuple[tuple[Path, int], ...]:
    """The files to merge, in order, each with the time of its last change for the cache."""
    wanted = ["runtime.py", *(f"{PART_FOLDERS[kind]}/{names[kind]}.py" for kind in _MERGE_ORDER)]
    found = [_find(name, roots) for name in wanted]
    missing = [name for name, file in zip(wanted, found, strict=True) if file is None]
    if missing:
        places = ", ".join(str(root) for root in roots)
        raise UserError([f"row '{row}': no part {name} in {places}" for name in missing])
    return tuple(file for file in found if file is not None)


def _find(name: str, roots: Sequence[Path]) -> tuple[Path, int] | None:
    for root in roots:
        with suppress(OSError):
            return root / name, (root / name).stat().st_mtime_ns
    return None


# 10 KB each; rows come in any order, and a cache that is too small never hits.
@lru_cache(maxsize=4096)
def _base_config(files: tuple[tuple[Path, int], ...], dataset: Dataset) -> bytes:
    """The config before overrides, pickled: reading that is ten times faster than ``deepcopy``."""
    config: dict[str, Any] = {}
    for file, _ in files:
        try:
            config = merged(load_config(file), config)
        except TypeError as error:
            raise UserError(f"{file}: {error}") from None
    # Only now: a `_delete_` that has found nothing to delete may be waiting for a later part.
    config = plain(config)
    limits = config.pop("shrink", None)
    if limits is not None:
        shrink(config, limits)
    fill_dataset(config, dataset)
    return pickle.dumps(config)


def _mend_workers(config: dict[str, Any]) -> None:
    """Without worker processes, torch refuses to keep them alive or to let them fetch ahead."""
    for name in ("train_dataloader", "val_dataloader", "test_dataloader"):
        loader = config.get(name) or {}
        if loader.get("num_workers") == 0:
            loader["persistent_workers"] = False
            loader.pop("prefetch_factor", None)
