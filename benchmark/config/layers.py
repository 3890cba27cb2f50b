"""The layers that a row's recipe names, found on the disk and made into one config, before a row's own settings."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from benchmark.config.bases import State, state_of
from benchmark.config.config_file import load_config, merged, plain
from benchmark.config.foreign import load_foreign
from benchmark.config.imports import named_modules
from benchmark.config.labels import OUTLINE
from benchmark.config.replace import Part, made_part, replace_parts
from benchmark.config.retarget import fill_dataset
from benchmark.config.shrink import shrink
from benchmark.config.shrink.weights import load_nothing
from benchmark.config.sources import Looks, Names, own_files
from benchmark.config.tree import Config
from benchmark.config.vocabulary.words import mapping_of
from benchmark.data.dataset import Dataset
from benchmark.errors import UserError, attempt
from benchmark.experiment.rows.base import Foreign, InPlace, Layer
from benchmark.experiment.rows.evaluated import EVALUATED
from benchmark.experiment.rows.made import is_made
from benchmark.writing.addresses import public

MERGED, FOREIGN = "merged", "foreign"


class Found(NamedTuple):
    """A layer as a cache can tell it apart from others.

    Attributes:
        file: The config file; empty for a mapping.
        state: What changes when the file does, or one that it rests on.
        mapping: A mapping of plain values, pickled; empty for a file.
        kind: `MERGED`, `FOREIGN`, or the kind of part that it takes the place of.
        called: What the row calls a config that is whole, or a part that takes the place of another.
    """

    file: str = ""
    state: State = ()
    mapping: bytes = b""
    kind: str = MERGED
    called: str = ""

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.file or self.called or "a mapping of the row's recipe"

    @property
    def in_place(self) -> bool:
        """Whether it takes the place of what stands there."""
        return self.kind not in (MERGED, FOREIGN)

    def part(self) -> Part:
        """It as what takes the place of what stands there."""
        if not self.file:
            return made_part(self.called)
        return Part(self.read(), self.called)

    def read(self) -> Config:
        """Its content, not to be changed."""
        if self.in_place and not self.file:
            return self.part().config
        return load_config(Path(self.file)) if self.file else dict(pickle.loads(self.mapping))


class Base(NamedTuple):
    """What layers come to.

    Attributes:
        config: The config, pickled: reading that is ten times faster than ``deepcopy``.
        unfilled: What could not be filled in from the data set.
        lost: Which own files of the training data a later part has replaced.
        changes: What was changed to make a config of others fit, and to do less of it than plain sizes say.
        outline: What labels are made from, before a profile shortens it, pickled; empty where no config is whole.
        looked: Whether it was looked on the disk for what names in it stand for.
    """

    config: bytes
    unfilled: tuple[str, ...]
    lost: tuple[str, ...]
    changes: tuple[str, ...]
    outline: bytes
    looked: bool


def find_layers(layers: Sequence[Layer], roots: Sequence[Path]) -> tuple[Found, ...]:
    """The layers to merge, in order.

    Raises:
        UserError: With every layer that is missing.
    """
    found = [_find(layer, roots) for layer in layers]
    missing = [layer for layer, one in zip(layers, found, strict=True) if one is None]
    if missing:
        places = ", ".join(str(root) for root in roots)
        raise UserError([f"no part {_name(layer)} in {places}" for layer in missing])
    return tuple(one for one in found if one is not None)


def _name(layer: Layer) -> object:
    return layer.layer if isinstance(layer, InPlace) else layer


def _find(layer: Layer, roots: Sequence[Path]) -> Found | None:
    if isinstance(layer, Mapping):
        return Found(mapping=pickle.dumps(layer))
    if isinstance(layer, Foreign):
        found = _on_disk(layer.config, roots, FOREIGN)
        return found and found._replace(called=layer.name)
    if isinstance(layer, InPlace) and is_made(layer.layer):
        return Found(kind=layer.kind, called=layer.layer)
    if isinstance(layer, InPlace):
        found = _on_disk(layer.layer, roots, layer.kind)
        return found and found._replace(called=layer.name)
    return _on_disk(layer, roots, MERGED)


def _on_disk(name: str, roots: Sequence[Path], kind: str) -> Found | None:
    for root in roots:
        with suppress(OSError):
            path = os.path.join(root, name)  # noqa: PTH118 - in a hot loop
            return Found(path, state_of(path), kind=kind)
    return None


# 10 KB each; rows come in any order, and a cache that is too small never hits.
@lru_cache(maxsize=4096)
def base_config(layers: tuple[Found, ...], dataset: Dataset, folder: Path) -> Base:
    """The config before a row's own settings.

    Args:
        layers: First to last.
        dataset: Fills in every annotation file, image folder, class list and number of classes.
        folder: Of the experiment file.

    Raises:
        UserError: With everything that is wrong with a layer.
    """
    before = Looks.count
    making = _Making(dataset, Names(dataset, folder, "train"))
    for in_place, group in groupby(layers, key=lambda layer: layer.in_place):
        same = list(group)
        making.put_in_place(same) if in_place else making.add(same)
    # Only now: a `_delete_` that has found nothing to delete may be waiting for a later part.
    config = plain(making.config)
    start = config.get("load_from")
    limits = config.pop("shrink", None)
    if limits is not None:
        making.changes += shrink(config, limits)
        making.changes = _left(making.changes, config)
    if config.pop(EVALUATED, False):
        load_nothing(config.get("model"))
        making.changes.append(f"checkpoint: {public(str(start))}, evaluated and not trained")
    elif making.outline and start:
        making.changes.append(_start(start, config))
    unfilled = fill_dataset(config, dataset, folder)
    told = (tuple(unfilled), making.replaced(), tuple(making.changes))
    return Base(pickle.dumps(config), *told, making.outline, Looks.count > before)


def _left(changes: Sequence[str], config: Config) -> list[str]:
    """The changes without what a profile has taken back: of random weights it keeps no statistics."""
    kept = mapping_of(mapping_of(config.get("model")).get("backbone")).get("norm_eval")
    return [line for line in changes if kept is not False or line != "backbone.norm_eval: True"]


def _start(named: object, config: Config) -> str:
    """Says what a whole config starts from, if the profile leaves it that."""
    if not config.get("load_from"):
        return "load_from dropped: the profile loads no weights"
    return f"load_from: {public(str(named))}"


@dataclass
class _Making:
    """A config of which some layers are merged."""

    dataset: Dataset
    names: Names
    config: Config = field(default_factory=dict)
    lost: dict[Path, str] = field(default_factory=dict)
    changes: list[str] = field(default_factory=list)
    outline: bytes = b""

    def add(self, layers: Iterable[Found]) -> None:
        for layer in layers:
            if layer.kind != FOREIGN:
                self._merge(layer.read(), layer.name)
                continue
            try:
                own, changes = load_foreign(Path(layer.file), self.dataset)
            except UserError as error:
                said = f"config '{layer.called}'"
                raise UserError(f"{said}: {problem}" for problem in error.problems) from None
            self.changes += changes
            self._merge(own, layer.name)
            self._keep_outline()

    def put_in_place(self, layers: Sequence[Found]) -> None:
        config = plain(self.config)
        try:
            parts = _parts(layers)
            changes = replace_parts(config, parts, self.names.folder)
        except UserError as error:
            where = "replace" if self.outline else "parts"
            raise UserError(f"{where}: {problem}" for problem in error.problems) from None
        told = [line for part in parts.values() for line in part.told]
        # A row of parts is made of nothing else: that they fit each other is no change of it.
        self.changes += [*(changes if self.outline else ()), *told]
        self._replace(config, layers[0].name)
        if self.outline:
            self._keep_outline()

    def _keep_outline(self) -> None:
        self.outline = pickle.dumps({k: self.config[k] for k in OUTLINE if k in self.config})

    def _merge(self, own: Config, name: str) -> None:
        # Most parts say nothing of data, and looking for files takes longer than to merge them.
        before = own_files(self.config, self.names) if "train_dataloader" in own else set()
        try:
            self.config = _with_imports(merged(own, self.config), own, self.config)
        except TypeError as error:
            raise UserError(f"{name}: {error}") from None
        if before:
            self.lost |= dict.fromkeys(before - own_files(self.config, self.names), name)

    def _replace(self, config: Config, name: str) -> None:
        before = own_files(self.config, self.names)
        self.config = config
        self.lost |= dict.fromkeys(before - own_files(self.config, self.names), name)

    def replaced(self) -> tuple[str, ...]:
        again = own_files(self.config, self.names) if self.lost else set()
        return tuple(_replaced(path, name) for path, name in self.lost.items() if path not in again)


def _parts(layers: Iterable[Found]) -> dict[str, Part]:
    problems: list[str] = []
    made = {layer.kind: attempt(problems, layer.part) for layer in layers}
    if problems:
        raise UserError(problems)
    return {kind: part for kind, part in made.items() if part is not None}


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
