"""The classes of a YOLO data set, and where ``data.yaml`` says that its splits are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from benchmark.data.absent import outside
from benchmark.data.importing.ledger import NO_SPLIT_FOLDER, SAME_NAME, Ledger
from benchmark.data.importing.lookup import inner_path, lines_of
from benchmark.data.layouts import listed, split_of
from benchmark.errors import UserError, shown
from benchmark.yaml_file import read_yaml

_LISTS = (
    "classes.txt",
    "labels/classes.txt",
    "obj.names",
    "data/obj.names",
    "names.txt",
    "labels.txt",
)
_NAMES = re.compile(r"^(?:\{\s*)?['\"]?names['\"]?\s*:", re.MULTILINE)
_KEYS = ("train", "val", "valid", "test")


@dataclass(frozen=True)
class Names:
    """What a source says of itself.

    Attributes:
        numbered: Each class with its number.
        splits: Folders of images, or lists of them, by the split; empty where nothing says so.
        keypoints: How many numbers the keypoints of a line are; 0 where there are none.
    """

    numbered: Sequence[tuple[int, str]]
    splits: Mapping[str, Sequence[Path]]
    keypoints: int

    @property
    def classes(self) -> list[str]:
        """In the order of their numbers, each once."""
        return list(dict.fromkeys(name for _, name in sorted(self.numbered)))

    @cached_property
    def by_number(self) -> dict[int, str]:
        """Each class by its number."""
        return dict(self.numbered)


def names_file(root: Path) -> Path | None:
    """The file that names the classes of a source; None where there is none."""
    yamls = [path for end in (".yaml", ".yml") for path in listed(root, end)]
    first = [path for path in yamls if path.stem in ("data", "dataset")]
    named = [path for path in [*first, *yamls] if names_classes(path)]
    lists = [root / name for name in _LISTS if (root / name).is_file()]
    return next(iter([*named, *lists, *listed(root, ".names")]), None)


def names_classes(path: Path) -> bool:
    """Whether a YAML file is one of a YOLO data set, which has ``names``; one that cannot be read is not."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return bool(_NAMES.search(file.read(1 << 16)))
    except OSError:
        return False


def read_names(path: Path, root: Path, ledger: Ledger) -> Names:
    """Reads what `names_file` has found; splits that are not there are entered in the ledger.

    Raises:
        UserError: It cannot be read, or its names are none.
    """
    if path.suffix.lower() not in (".yaml", ".yml"):
        return Names(_listed(path), {}, 0)
    content = read_yaml(path, "a YOLO data set is a mapping with 'names'")
    numbered = _numbered(path, content.get("names"))
    for name, count in Counter(name for _, name in numbered).items():
        if count > 1:
            ledger.note(SAME_NAME, f"{path}: {name}")
    splits = _splits(path, root, content, ledger)
    return Names(numbered, splits, _keypoints(content.get("kpt_shape")))


def _listed(path: Path) -> list[tuple[int, str]]:
    lines = lines_of(path)
    while lines and not lines[-1]:
        lines.pop()
    if "" in lines:
        raise UserError(
            f"{path}: line {lines.index('') + 1} is empty, and the number of a class is that of its line: "
            "remove it, or name the class"
        )
    return list(enumerate(lines))


def _numbered(path: Path, names: object) -> list[tuple[int, str]]:
    pairs = list(enumerate(names)) if isinstance(names, list) else []
    if isinstance(names, dict):
        pairs = list(names.items())
    bad = [(key, name) for key, name in pairs if not (_is_index(key) and _is_name(name))]
    if bad or not pairs:
        raise UserError(
            f"{path}: 'names' is a list of class names, or a mapping of numbers to them; this is "
            f"{shown(bad[0][1] if bad else names)}: write names like no, on or 1 in quotes"
        )
    return [(int(key), str(name)) for key, name in pairs]


def _is_index(key: object) -> bool:
    return str(key).isdecimal()


def _is_name(name: object) -> bool:
    """Whether YAML has read a text, or a number, which is a name as it is written."""
    return (isinstance(name, str) and bool(name.strip())) or type(name) is int


def _keypoints(shape: object) -> int:
    if isinstance(shape, list) and len(shape) == 2 and all(type(value) is int for value in shape):
        return int(shape[0]) * int(shape[1])
    return 0


def _splits(
    path: Path, root: Path, content: Mapping[str, object], ledger: Ledger
) -> dict[str, list[Path]]:
    base = _base(path, content.get("path"))
    found: dict[str, list[Path]] = {}
    for key in _KEYS:
        value = content.get(key)
        for one in value if isinstance(value, list) else [value]:
            place = _place(base, root, str(one)) if one else None
            if place:
                found.setdefault(split_of(key), []).append(place)
            elif one:
                ledger.leave(NO_SPLIT_FOLDER, f"{path}: {key}: {one}")
    return found


def _base(path: Path, told: object) -> Path:
    """What the splits are relative to: ``path`` of the file, where that is within the source."""
    inner = Path(str(told)) if told else Path()
    within = not outside(str(inner)) and (path.parent / inner).is_dir()
    return path.parent / inner if within else path.parent


def _place(base: Path, root: Path, told: str) -> Path | None:
    """A folder or list within the source: Roboflow writes ``../train/images`` for ``train/images``."""
    told = told.replace("\\", "/")  # as Windows writes paths
    if told in (".", "./"):
        return base
    for folder in (base, root):
        if inner := inner_path(folder, told, Path.exists):
            return folder / inner
    return None
