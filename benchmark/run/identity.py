"""The id of a run: what changes its result, as eight hex digits."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path

from benchmark.config.tree import LISTS, LOADERS, WITHIN, Config, content_of, is_list
from benchmark.config.written import as_counted
from benchmark.data.dataset import Dataset
from benchmark.run.contents import OF_FILES, Contents, may_be_path
from benchmark.run.spec import SCHEMA_VERSION, of_seed

# What says nothing of the result, by its place: who watches, where output goes, how many hands work. The same key in
# another place may mean anything, and counts.
# Where the data lies: in its place the hash of the annotation file counts.
_WHERE = frozenset({"ann_file", "backend_args", "data_prefix", "data_root"})
# The places of the first are also names that mmdet's base files give to what they fill in further down.
_AT_TOP = _WHERE | {"launcher", "log_level", "vis_backends", "visualizer", "work_dir"}
_EVALUATORS = ("val_evaluator", "test_evaluator")
_IN_LOADERS = frozenset({"num_workers", "persistent_workers"})
# Without a value they ask for nothing, wherever they stand: mmdet writes ``backend_args=None`` in every transform.
_LOOKED_INTO = (str, *WITHIN)
_SILENT = _AT_TOP | _IN_LOADERS | {"resume", "seed"}


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
        dataset: The dataset; only the hashes of its annotation files count, not where they lie, and of a divided one
            which fold it is.
        seed: Random seed.
        profile: Name of the profile.
        gpus: Number of processes that train together: the batch grows with it.
        given: Hashes of what the recipe was given beside the config, by name.
    """
    around = json.dumps([SCHEMA_VERSION, dataset.hashes, seed, profile, gpus])
    if dataset.fold is not None:
        around += f"fold {dataset.fold.number}"
    if given:  # an id without them is what it was before there were any
        around += json.dumps(dict(given), sort_keys=True)
    same = config if isinstance(config, str) else essence(config, dataset)
    return hashlib.sha256(f"{around}\n{same}".encode()).hexdigest()[:8]


def essence(config: Mapping[str, object], dataset: Dataset | None = None) -> str:
    """What of a config changes the result, as JSON: the same for all seeds of a row.

    See `Essences`, which also says which files count.
    """
    return Essences(dataset, Contents()).of(config)[0]


class Essences:
    """What of configs changes the result, and the files that they name beside the data set's annotations.

    Args:
        dataset: The data set that the configs were made for. Its annotation files do not count here; those that a part
            of a config has of its own do. None: every annotation file is taken for the data set's.
        contents: Reads the files, of which each is what it was when it was first read.
    """

    def __init__(self, dataset: Dataset | None, contents: Contents) -> None:
        self._dataset = dataset
        self._contents = contents
        # Rows differ in few of their entries: of a thousand, each entry is written once.
        self._known: dict[tuple[str, bytes], tuple[str, dict[str, str]]] = {}

    def of(self, config: Mapping[str, object]) -> tuple[str, dict[str, str]]:
        """The essence of a composed config as JSON, and the hex SHA-256 of its files by the text that names them.

        In the essence a file's hash stands for its path. (Annotation files are named with their ``data_root``.)
        """
        files: dict[str, str] = {}
        entries: dict[str, str] = {}
        for key, value in as_counted(dict(config)).items():
            if counts_at_top(key, value):
                entries[key], named = self._entry(key, value)
                files.update(named)
        # As json.dumps writes a mapping with sorted keys.
        return f"{{{', '.join(entries[key] for key in sorted(entries))}}}", files

    def _entry(self, key: str, value: object) -> tuple[str, dict[str, str]]:
        content = content_of(value)
        if content is None:
            return self._written(key, value)
        if (key, content) not in self._known:
            self._known[key, content] = self._written(key, value)
        return self._known[key, content]

    def _written(self, key: str, value: object) -> tuple[str, dict[str, str]]:
        reader = _Reader(self._contents)
        plain = reader.below(key, counting_below(key, value, self._dataset))
        text = json.dumps(plain, sort_keys=True, default=str)
        return f"{json.dumps(key)}: {text}", reader.files


class _Reader:
    """Copies values with the hash of a file in place of its path."""

    def __init__(self, contents: Contents) -> None:
        self.files: dict[str, str] = {}
        self._contents = contents
        self._words: set[object] = contents.words

    def below(self, key: str, value: object) -> object:
        """The value of a key; where only files are named, one may have a name like a word."""
        if key in OF_FILES and isinstance(value, str) and not may_be_path(value):
            return self._hashed(value, self._contents.of_file(value))
        return self.plain(value)

    def plain(self, value: object) -> object:
        # Half a million values are in a thousand configs: what needs no call gets none. Not Mapping, and no union: such
        # checks are ten times slower.
        if isinstance(value, dict):
            return {
                str(k): self.below(k, v) if isinstance(v, _LOOKED_INTO) else v
                for k, v in value.items()
                if v is not None or k not in _SILENT  # as in `counts`
            }
        if isinstance(value, LISTS):
            return [self.plain(v) if isinstance(v, _LOOKED_INTO) else v for v in value]
        return value if value in self._words or not isinstance(value, str) else self._content(value)

    def _content(self, text: str) -> str:
        if not may_be_path(text):
            self._words.add(text)
            return text
        return self._hashed(text, self._contents.of(text))

    def _hashed(self, text: str, sha256: str | None) -> str:
        if sha256 is None:
            return text
        self.files[text] = sha256
        return f"sha256:{sha256}"


def counts_at_top(key: str, value: object) -> bool:
    """Whether a top-level entry of a config may change the result."""
    return key not in _AT_TOP and (key != "resume" or bool(value))


def counts(key: str, value: object) -> bool:
    """Whether an entry further down asks for anything: a key of those that count by their place needs a value."""
    return value is not None or key not in _SILENT


def counting_below(key: str, value: object, dataset: Dataset | None = None) -> object:
    """What of a top-level entry may change the result, left out of a copy where anything is."""
    if key == "randomness" and isinstance(value, dict):
        return _without(value, {"seed"})  # it counts apart
    if key not in LOADERS and key not in _EVALUATORS:
        return value
    if key in LOADERS and isinstance(value, dict):
        value = _without(value, _IN_LOADERS)
    if dataset is None:
        return _with_leaves(value, None)
    split = dataset.train if key == "train_dataloader" else dataset.val
    return _with_leaves(value, str(split.annotations))


def _without(value: Config, keys: Collection[str]) -> Config:
    return {k: v for k, v in value.items() if k not in keys}


def _with_leaves(node: object, annotations: str | None) -> object:
    """A copy in which what reads annotations does not say where they and the images lie, unless they are its own."""
    if isinstance(node, dict):
        if "ann_file" in node:
            return {**_without(node, _WHERE), **_own_data(node, annotations)}
        return {key: _with_leaves(value, annotations) for key, value in node.items()}
    return [_with_leaves(item, annotations) for item in node] if is_list(node) else node


def _own_data(leaf: Config, annotations: str | None) -> Config:
    """Which annotations a leaf reads, where these are not the data set's, and what beside images."""
    prefixes = leaf.get("data_prefix")
    beside = _without(prefixes, {"img"}) if isinstance(prefixes, dict) else {}
    own: Config = {"data_prefix": beside} if beside else {}
    path = leaf["ann_file"]
    if annotations is not None and path != annotations and isinstance(path, str) and path:
        own["ann_file"] = str(Path(str(leaf.get("data_root") or "")) / path)
    return own


def run_id(row: str, seed: int, profile: str, digest: str, fold: int | None = None) -> str:
    """A readable id that is a safe name of a folder and of a tracked run: ``retinanet_r50-s0-smoke-1a2b3c4d``.

    That of a fold has its number, ``retinanet_r50-s0-f2-smoke-1a2b3c4d``. Two names of rows never share one: a name
    that cannot stand there as it is has its own hash behind it, ``r50_fpn-5d41402a-s0-smoke-1a2b3c4d``.
    """
    prefix = _squeezed(row)
    if prefix != row:
        prefix += f"-{hashlib.sha256(row.encode()).hexdigest()[:8]}"
    return f"{prefix}-{of_seed(seed, fold)}-{profile}-{digest}"


def digest_of(run_id: str) -> str:
    """The digits of a run's id, which stay when its row is renamed."""
    return run_id.rpartition("-")[2]


def former_run_id(row: str, seed: int, profile: str, digest: str, fold: int | None = None) -> str:
    """The id that runs had as long as different names could share one; trials of studies, which cannot, have it."""
    return f"{_squeezed(row)}-{of_seed(seed, fold)}-{profile}-{digest}"


def _squeezed(row: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.]+", "_", row).strip("_.")[:60] or "row"
