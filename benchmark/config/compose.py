"""From the layers that a row's recipe names to one plain, standalone mmdet config.

Layers are ordinary mmengine config files, or mappings. They are merged in the recipe's order, with mmengine's own
rules; overrides come last. mmengine itself is imported only for a file that uses its special syntax (``{{ }}``,
``read_base``), since planning a sweep must not wait half a second for it.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from benchmark.config.config_file import load_config, merged, plain, with_bases
from benchmark.config.imports import named_modules
from benchmark.config.overrides import apply_overrides, given_twice, key_path, passed_over
from benchmark.config.retarget import fill_dataset
from benchmark.config.shipped import SHIPPED
from benchmark.config.shrink import shrink
from benchmark.config.sizes import give_tuples
from benchmark.config.sources import Names, own_files
from benchmark.config.tree import LOADERS, Config
from benchmark.config.vocabulary.runtime import sections
from benchmark.data.dataset import Dataset
from benchmark.errors import UserError
from benchmark.experiment.experiment import Experiment, Row
from benchmark.experiment.rows.base import Layer, Surroundings, no_such_part

# A config file and the time of its last change, or a mapping, pickled: what a cache can tell apart.
_Found = tuple[str, int] | bytes


def config_roots(experiment_path: Path) -> list[Path]:
    """The folders to look for parts in, the first that has a part wins.

    They are ``configs/`` beside the folder of the experiment file and within it, where these exist, then the
    ``configs/`` that is shipped with the package.
    """
    folder = experiment_path.resolve().parent
    own = [path for path in (folder.parent / "configs", folder / "configs") if path.is_dir()]
    return list(dict.fromkeys([*own, SHIPPED]))


def surroundings_of(experiment: Experiment, profile: str) -> Surroundings:
    """What the recipes of an experiment's rows may rest on, under a profile that may be another than its own."""
    path, part = experiment.path, experiment.dataset.part
    return Surroundings(path.resolve().parent, tuple(config_roots(path)), part, profile)


def check_recipes(experiment: Experiment, around: Surroundings) -> list[str]:
    """What stands in the way of an experiment's rows.

    Returns:
        A message for each name that is not a part, and whatever else a recipe objects to, with what is allowed;
        empty if all is well.
    """
    parts = [("dataset.part", "dataset", around.dataset), ("profile", "profile", around.profile)]
    looked_up = [(field, no_such_part(kind, name, around.roots)) for field, kind, name in parts]
    return [
        *(f"{field}: {problem}" for field, problem in looked_up if problem),
        *(f"row '{row.name}': {p}" for row in experiment.rows for p in row.recipe.problems(around)),
    ]


def compose(
    row: Row, dataset: Dataset, around: Surroundings, *, seed: int, overrides: Mapping[str, object]
) -> Config:
    """Merges the layers of a row's recipe into one plain mmdet config, which stands alone.

    Args:
        row: Names the layers; its own overrides come before ``overrides``.
        dataset: Fills in every annotation file, image folder, class list and number of classes.
        around: Where files are looked for, dataset part and profile.
        seed: Becomes ``randomness.seed``.
        overrides: Key paths and values, see `apply_overrides`.

    Returns:
        A config of its own: changing it changes no other.

    Raises:
        UserError: With every layer that is missing or broken, and every override that does not fit.
    """
    layers = _found(row.name, row.recipe.layers(around), around.roots)
    base, unfilled, lost = _base_config(layers, dataset, around.folder)
    config: Config = pickle.loads(base)
    wanted = [*row.overrides.items(), *overrides.items()]
    # A tuned row has those of its study behind those of the row that was tuned.
    own = row.overrides
    twice = [] if row.study else given_twice(own) + passed_over(own)
    problems = twice or apply_overrides(config, wanted)
    if not problems:
        if unfilled or any(isinstance(value, dict | list) for _, value in wanted):
            # What was put in whole has not seen the data set yet, and belongs to the caller.
            config = plain(config)
            give_tuples(config)
            problems = fill_dataset(config, dataset, around.folder)
        problems += [] if any(_is_training_data(key) for key, _ in wanted) else lost
        problems += sections(config)
    if problems:
        raise UserError([f"row '{row.name}': {problem}" for problem in problems])
    _mend_workers(config)
    config["randomness"] = {**(config.get("randomness") or {}), "seed": seed}
    return config


def source_files(row: Row, around: Surroundings) -> tuple[str, ...]:
    """Absolute paths of the config files that a row is composed from, and of the files that these rest on.

    Raises:
        UserError: A layer is missing.
    """
    found = _found(row.name, row.recipe.layers(around), around.roots)
    return _resting_on(tuple(layer for layer in found if isinstance(layer, tuple)))


@lru_cache(maxsize=4096)
def _resting_on(files: tuple[tuple[str, int], ...]) -> tuple[str, ...]:
    paths = [path for file, _ in files for path in with_bases(Path(file))]
    return tuple(dict.fromkeys(map(str, paths)))


def _found(row: str, layers: Sequence[Layer], roots: Sequence[Path]) -> tuple[_Found, ...]:
    """The layers to merge, in order."""
    found = [_find(la, roots) if isinstance(la, str) else pickle.dumps(la) for la in layers]
    missing = [layer for layer, file in zip(layers, found, strict=True) if file is None]
    if missing:
        places = ", ".join(str(root) for root in roots)
        raise UserError([f"row '{row}': no part {n} in {places}" for n in missing])
    return tuple(file for file in found if file is not None)


def _find(name: str, roots: Sequence[Path]) -> tuple[str, int] | None:
    for root in roots:
        with suppress(OSError):
            path = os.path.join(root, name)  # noqa: PTH118 - in a hot loop
            return path, os.stat(path).st_mtime_ns  # noqa: PTH116 - as above
    return None


# 10 KB each; rows come in any order, and a cache that is too small never hits.
@lru_cache(maxsize=4096)
def _base_config(
    layers: tuple[_Found, ...], dataset: Dataset, folder: Path
) -> tuple[bytes, tuple[str, ...], tuple[str, ...]]:
    """The config before overrides, what could not be filled in, and which own files a later part has replaced.

    It is pickled: reading that is ten times faster than ``deepcopy``.
    """
    config: Config = {}
    names, lost = Names(dataset, folder, "train"), dict[Path, str]()
    for layer in layers:
        own, name = _read(layer)
        # Most parts say nothing of data, and looking for files takes longer than to merge them.
        before = own_files(config, names) if "train_dataloader" in own else set()
        try:
            config = _with_imports(merged(own, config), own, config)
        except TypeError as error:
            raise UserError(f"{name}: {error}") from None
        lost |= dict.fromkeys(before - own_files(config, names), name) if before else {}
    again = own_files(config, names) if lost else set()
    replaced = [_replaced(path, name) for path, name in lost.items() if path not in again]
    # Only now: a `_delete_` that has found nothing to delete may be waiting for a later part.
    config = plain(config)
    limits = config.pop("shrink", None)
    if limits is not None:
        shrink(config, limits)
    unfilled = fill_dataset(config, dataset, folder)
    return pickle.dumps(config), tuple(unfilled), tuple(replaced)


def _with_imports(config: Config, own: Config, before: Config) -> Config:
    """A part's modules beside those of the parts before it: each part's classes are in its own, and all are needed."""
    said = own.get("custom_imports") or {}
    ours, theirs = named_modules(before), named_modules(own)
    if not ours or not theirs or "_delete_" in said:
        return config
    both = list(dict.fromkeys([*ours, *theirs]))
    return {**config, "custom_imports": {**config["custom_imports"], "imports": both}}


def _replaced(path: Path, name: str) -> str:
    return (
        f"train_dataloader.dataset: {name} puts another data set in the place of the one that reads {path}, which an "
        "earlier part names; put that one into the row's 'set', which comes last, or take another part"
    )


def _is_training_data(key: str) -> bool:
    """Whether an override says what is read: then the row's own words stand for those of its parts."""
    return key_path(key) in ("train_dataloader", "train_dataloader.dataset")


def _read(layer: _Found) -> tuple[Config, str]:
    """A layer's content, not to be changed, and what to call it."""
    if isinstance(layer, bytes):
        return dict(pickle.loads(layer)), "a mapping of the row's recipe"
    path = Path(layer[0])
    return load_config(path), str(path)


def _mend_workers(config: Config) -> None:
    """Without worker processes, torch refuses to keep them alive or to let them fetch ahead."""
    for name in LOADERS:
        loader = config.get(name) or {}
        if loader.get("num_workers") == 0:
            loader["persistent_workers"] = False
            loader.pop("prefetch_factor", None)
