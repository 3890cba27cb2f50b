"""From the layers that a row's recipe names to one plain, standalone mmdet config.

Layers are ordinary mmengine config files, or mappings. They are merged in the recipe's order, with mmengine's own
rules; overrides come last. mmengine itself is imported only for a file that uses its special syntax (``{{ }}``,
``read_base``), since planning a sweep must not wait half a second for it.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from benchmark.config.bases import State, files_of
from benchmark.config.config_file import plain
from benchmark.config.faster import asked_of, is_faster, make_faster, wrong_in
from benchmark.config.foreign import load_pruned
from benchmark.config.labels import OUTLINE, labels_of
from benchmark.config.layers import FOREIGN, MERGED, Base, Found, base_config, find_layers
from benchmark.config.overrides import apply_overrides, given_twice, key_path, passed_over
from benchmark.config.retarget import fill_dataset
from benchmark.config.shipped import SHIPPED
from benchmark.config.sizes import give_tuples
from benchmark.config.tree import LOADERS, Config
from benchmark.config.vocabulary.runtime import sections
from benchmark.config.vocabulary.words import mapping_of
from benchmark.data.dataset import Dataset
from benchmark.errors import UserError, attempt
from benchmark.experiment.experiment import Experiment, Row
from benchmark.experiment.rows.base import Surroundings, no_such_part
from benchmark.experiment.rows.zoo import is_of_mmdet


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
    places = (path.resolve().parent, tuple(config_roots(path)), part, profile)
    return Surroundings(*places, precision=experiment.precision, compile=experiment.compile)


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
        overrides: Key paths and values, see `apply_overrides`; ``precision`` and ``compile``, see `faster`.

    Returns:
        A config of its own: changing it changes no other. Empty of a row without layers.

    Raises:
        UserError: With every layer that is missing or broken, and every override that does not fit.
    """
    base = _base(row, dataset, around)
    if base is None:
        return _nothing_to_set(row)
    config: Config = pickle.loads(base.config)
    given = [*row.overrides.items(), *overrides.items()]
    wanted = [(key, value) for key, value in given if not is_faster(key)]
    # A tuned row has those of its study behind those of the row that was tuned.
    own = row.overrides
    twice = [] if row.study else given_twice(own) + passed_over(own)
    wrong = [*wrong_in(own), *wrong_in(overrides)]
    problems = [*(twice or apply_overrides(config, wanted)), *wrong]
    if not problems:
        if base.unfilled or any(isinstance(value, dict | list) for _, value in wanted):
            # What was put in whole has not seen the data set yet, and belongs to the caller.
            config = plain(config)
            give_tuples(config)
            problems = fill_dataset(config, dataset, around.folder)
        problems += [] if any(_is_training_data(key) for key, _ in wanted) else base.lost
        problems += make_faster(config, asked_of(row, around, overrides))
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
    found = _layers(row, around)
    return _resting_on(tuple(one.state for one in found if one.file))


def changes_of(row: Row, dataset: Dataset, around: Surroundings) -> tuple[str, ...]:
    """What was changed of the config of a row, one short line each; empty for a row of parts, which fit as they are.

    Raises:
        UserError: As `compose` does.
    """
    base = _base(row, dataset, around)
    return base.changes if base else ()


def labelled(row: Row, dataset: Dataset, around: Surroundings) -> Row:
    """A row with the labels that its config gives by default, for the titles that it has none for.

    They are those of the row in any profile, with what its own ``set`` has changed. Rows of parts have theirs from the
    names of these.

    Raises:
        UserError: As `compose` does.
    """
    base = _base(row, dataset, around)
    if base is None or not base.outline:
        return row
    config: Config = pickle.loads(base.outline)
    about = {key: value for key, value in row.overrides.items() if _top(key) in OUTLINE}
    apply_overrides(config, about.items())  # what is wrong with them is told by `compose`
    found = {**labels_of(config), **row.recipe.labels, **row.labels}
    return row.model_copy(update={"labels": found})


def original(row: Row, around: Surroundings) -> Config | None:
    """The config file that a row is made from, as it is, without variables; None of a row of parts.

    Raises:
        UserError: It cannot be loaded.
    """
    whole = (layer for layer in _layers(row, around) if layer.kind == FOREIGN)
    return next((load_pruned(Path(layer.file)) for layer in whole), None)


def layer_files(row: Row, around: Surroundings) -> list[str]:
    """Paths of the config files that a row's layers are.

    Raises:
        UserError: A layer is missing.
    """
    return [layer.file for layer in _layers(row, around)]


def is_of_parts_alone(row: Row, dataset: Dataset, around: Surroundings) -> bool:
    """Whether a row's layers are nothing but files that are merged, and its config of them says all by itself.

    Raises:
        UserError: As `compose` does.
    """
    base, layers = _base(row, dataset, around), _layers(row, around)
    merged_files = all(layer.kind == MERGED and layer.file for layer in layers)
    return base is not None and merged_files and not (base.looked or base.outline)


def _top(key: str) -> str:
    return key_path(key).partition(".")[0]


def _nothing_to_set(row: Row) -> Config:
    if row.overrides:
        keys = ", ".join(row.overrides)
        raise UserError(f"row '{row.name}': set: it has no config in which {keys} could be set")
    return {}


def _base(row: Row, dataset: Dataset, around: Surroundings) -> Base | None:
    """What a row's layers come to; None where it has none."""
    layers = _layers(row, around)
    if not layers:
        return None
    try:
        return base_config(layers, dataset, around.folder)
    except UserError as error:
        if all(layer.kind == MERGED for layer in layers):
            raise  # a part is many rows'
        raise UserError(f"row '{row.name}': {problem}" for problem in error.problems) from None


def _layers(row: Row, around: Surroundings) -> tuple[Found, ...]:
    problems: list[str] = []
    layers = attempt(problems, row.recipe.layers, around) or ()
    found = attempt(problems, find_layers, layers, around.roots) or ()
    if problems:
        raise UserError(f"row '{row.name}': {problem}" for problem in problems)
    return found


def layers_of(row: Row, around: Surroundings) -> list[tuple[str, Config]]:
    """What a row is composed from, first to last: what to call each layer, and its content, not to be changed.

    Raises:
        UserError: A layer is missing, or cannot be loaded.
    """
    return [(layer.name, layer.read()) for layer in _layers(row, around)]


@lru_cache(maxsize=4096)
def _resting_on(states: tuple[State, ...]) -> tuple[str, ...]:
    paths = [path for state in states for path in files_of(state)]
    # The version of mmdet, which every record has, says what is in its own.
    return tuple(dict.fromkeys(str(path) for path in paths if not is_of_mmdet(path)))


def _is_training_data(key: str) -> bool:
    """Whether an override says what is read: then the row's own words stand for those of its parts."""
    return key_path(key) in ("train_dataloader", "train_dataloader.dataset")


def _mend_workers(config: Config) -> None:
    """Without worker processes, torch refuses to keep them alive or to let them fetch ahead."""
    for name in LOADERS:
        loader = mapping_of(config.get(name))
        if loader.get("num_workers") == 0:
            loader["persistent_workers"] = False
            loader.pop("prefetch_factor", None)
