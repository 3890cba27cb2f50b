"""Files that a config names beside the data set's own: what is in them counts, not where they lie."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pydantic import TypeAdapter

from benchmark.config.tree import WITHIN, by_content, is_list
from benchmark.data.annotations import stamp
from benchmark.files import is_file, is_folder, read_bytes, sha256_file, write_json

_CACHE_VERSION = 1
# What mmengine's CheckpointLoader fetches, or has the path of, by a name of its own.
_FETCHED = re.compile(r"(\S+:)?(https?|torchvision|modelzoo|open-mmlab|openmmlab|mmcls|pavi|s3)://")
# Keys whose text is a file of weights or boxes, and never a model's name, wherever they stand.
OF_FILES = frozenset({"load_from", "teacher_ckpt", "proposal_file", "checkpoint"})
_OF_WEIGHTS = OF_FILES | {"pretrained"}


@dataclass(frozen=True)
class _Known:
    """The hash of a file, as long as its stamp is this one."""

    stamp: tuple[int, ...]
    sha256: str


@dataclass(frozen=True)
class _Cache:
    """What the cache file holds: hashes by absolute path."""

    version: int
    files: dict[str, _Known]


_CACHE = TypeAdapter(_Cache)


class Contents:
    """Hashes of the files that configs name, by the text that names them; each is read once, weights being large.

    Args:
        cache: File that remembers hashes by path, size and times of change, and what was in a file that is gone: a
            report of its runs needs it no more. It is made when a first file is hashed. None remembers nothing.

    Attributes:
        words: Texts that are known to name no file, for whoever reads many configs.
        absent: Texts that were asked for, and that might name a file and name none.
    """

    def __init__(self, cache: Path | None = None) -> None:
        self._cache = cache
        self.words: set[object] = set()
        self.absent: set[str] = set()
        self._known: dict[str, _Known] | None = None

    def of(self, text: str) -> str | None:
        """Hex SHA-256 of the file that a text names, or did when it was last there; None for any other text."""
        if not may_be_path(text):
            return None
        return self.of_file(text)

    def of_file(self, text: str) -> str | None:
        """As `of`, for a text that stands where only a file is named: that may have a name like a word."""
        path = named_path(text)
        if is_file(path):
            return self._hash(path)
        known = self._remembered().get(str(path))
        if known is None:
            self.absent.add(text)
            return None
        return known.sha256

    def _hash(self, path: Path) -> str:
        now = stamp(path)
        known = self._remembered().get(str(path))
        if known is None or known.stamp != now:
            known = self._remembered()[str(path)] = _Known(now, sha256_file(path))
            self._remember()
        return known.sha256

    def _remembered(self) -> dict[str, _Known]:
        if self._known is None:
            self._known = {}
            with suppress(
                OSError, ValueError
            ):  # it saves time only: the files hold all that it does
                content = _CACHE.validate_json(read_bytes(self._cache)) if self._cache else None
                if content is not None and content.version == _CACHE_VERSION:
                    self._known = content.files
        return self._known

    def _remember(self) -> None:
        if self._cache is not None:
            whole = _Cache(_CACHE_VERSION, self._remembered())
            with suppress(OSError):  # whoever needs the folder says that it cannot be written
                write_json(self._cache, _CACHE.dump_python(whole, mode="json"))


def named_path(text: str) -> Path:
    """The absolute path that a text in a config names, as mmengine takes it."""
    with suppress(RuntimeError):  # a user that this machine does not know
        return Path(text).expanduser().absolute()
    return Path(text).absolute()


@lru_cache(maxsize=4096)  # a thousand rows name the same few
def may_be_path(text: str) -> bool:
    """Whether a text may name a file: most of a config's are words, names of classes and addresses."""
    short = len(text) < 4096 and "\0" not in text and "\n" not in text
    return short and ("/" in text or "." in text) and not _FETCHED.match(text)


def addresses(config: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """The addresses that a config has where weights are named, with their key paths; a job fetches them."""
    yield from _addresses_below("", {k: v for k, v in config.items() if isinstance(v, str)})
    for key, value in config.items():
        if isinstance(value, WITHIN):
            yield from ((f"{key}.{path}", text) for path, text in _addresses_in(value))


@by_content
def _addresses_in(section: object) -> tuple[tuple[str, str], ...]:
    return tuple(_addresses_below("", section))


def _addresses_below(path: str, node: object) -> Iterator[tuple[str, str]]:
    of_weights = _texts_of_weights(path, node)
    yield from ((where, text) for where, _, text in of_weights if _FETCHED.match(text))


def called_in_row(key: str, recipe: str) -> str:
    """What a row of a recipe calls a key of its config: weights that are given are ``load_from`` there."""
    return "checkpoint" if (recipe, key) == ("checkpoint", "load_from") else key


def missing_files(config: Mapping[str, object], recipe: str = "") -> list[str]:
    """A message for each file of weights or boxes that a config names and that is not there.

    Texts like ``torchvision://resnet50`` and addresses are fetched when the model is built, and are not looked at.

    Args:
        config: Of a row.
        recipe: Key of the row's recipe, for what messages call the config's keys.
    """
    return [
        f"{called_in_row(path, recipe)}: {text}: {_lack(text)}; give a file that is there, or an address (https://, "
        "torchvision://)"
        for path, text in sorted(_files_named(config))
        if not is_file(named_path(text))
    ]


def _lack(text: str) -> str:
    return "a folder" if is_folder(named_path(text)) else "no such file"


def weights_files(config: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """The paths that a config has where weights are named, with their key paths; boxes are left out."""
    yield from (
        (path, text)
        for path, text in _files_named(config)
        if path.rpartition(".")[2] != "proposal_file"
    )


def _files_named(config: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """The texts that can only name files, with their key paths."""
    yield from _files_below("", {k: v for k, v in config.items() if isinstance(v, str)})
    for key, value in config.items():
        if isinstance(value, WITHIN):
            yield from ((f"{key}.{path}", text) for path, text in _files_in(value))


@by_content
def _files_in(section: object) -> tuple[tuple[str, str], ...]:
    return tuple(_files_below("", section))


def _files_below(path: str, node: object) -> Iterator[tuple[str, str]]:
    of_weights = _texts_of_weights(path, node)
    yield from ((where, text) for where, key, text in of_weights if _names_file(key, text))


def _texts_of_weights(path: str, node: object) -> Iterator[tuple[str, str, str]]:
    """Key path, key and text wherever weights or boxes may be named."""
    entries: Iterable[tuple[object, object]] = ()
    if isinstance(node, dict):
        entries = node.items()
    elif is_list(node):
        entries = enumerate(node)
    for key, value in entries:
        if not isinstance(value, str):
            yield from _texts_of_weights(f"{path}{key}.", value)
        elif key in _OF_WEIGHTS:
            yield f"{path}{key}", str(key), value


def _names_file(key: str, text: str) -> bool:
    if not text or _FETCHED.match(text):
        return False
    # A model's name may stand there, too: mmpretrain and timm know theirs by it.
    named = key == "pretrained" and text.endswith((".pth", ".pt", ".pkl", ".ckpt", ".safetensors"))
    return named or key in OF_FILES
