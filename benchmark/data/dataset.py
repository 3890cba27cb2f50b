"""Where a COCO-format dataset is, what its classes are, and the hashes of its annotation files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmark.errors import UserError, attempt
from benchmark.experiment.experiment import DataSource, SplitPaths
from benchmark.files import read_json, write_json

SHOWN = 5  # offenders that a message names
_SAMPLE = 20  # image files that are looked up to find the images' folder
_CACHED_FROM_BYTES = 1 << 20  # reading a smaller file is as quick as looking it up
_CACHE_VERSION = 1


@dataclass(frozen=True)
class Split:
    """One half of a dataset.

    Attributes:
        annotations: Absolute path of the COCO annotation file.
        images: Absolute path of the folder that the ``file_name`` of an image is relative to.
        sha256: Hex SHA-256 of the annotation file's bytes.
    """

    annotations: Path
    images: Path
    sha256: str


@dataclass(frozen=True)
class Dataset:
    """A COCO-format dataset on disk.

    Attributes:
        name: Short name for display, the folder's name unless the experiment gives one.
        classes: Category names in label order. mmdet numbers labels in the order in which the
            annotation file lists its categories, whatever their ids, so this is the order of
            ``categories`` in train.json.
        train: The training split.
        val: The validation split.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    val: Split

    @property
    def hashes(self) -> tuple[str, str]:
        """SHA-256 of the annotation files of train and val: what makes two datasets the same."""
        return self.train.sha256, self.val.sha256


def describe(root: Path, name: str | None = None, cache: Path | None = None) -> Dataset:
    """Finds the dataset in a folder with ``train.json`` and ``val.json``.

    The ``file_name`` of an image is relative to the folder, to its ``images/``, or to its
    ``train/`` and ``val/``: each split takes the one that holds its files.

    Args:
        root: The folder, as ``--data-root`` names it.
        name: Name for display; the folder's name if None.
        cache: File that remembers what large annotation files hold, so that they are parsed once;
            it is made where it is missing. None parses every time.

    Raises:
        UserError: With every problem: a file that is missing or not COCO JSON, categories that
            differ between the splits, images that are nowhere.
    """
    root = root.expanduser().resolve()
    if not root.is_dir():
        raise UserError(
            f"{root}: no such folder; the data is a folder with train.json and val.json"
        )
    places = {
        split: _Place(root / f"{split}.json", (root, root / "images", root / split))
        for split in ("train", "val")
    }
    return _found(name or root.name, places["train"], places["val"], cache)


def describe_source(source: DataSource, base: Path, cache: Path | None = None) -> Dataset:
    """Finds the dataset that an experiment's ``dataset`` block names.

    Args:
        source: The block.
        base: The experiment file's folder, which its paths are relative to.
        cache: As in `describe`.

    Raises:
        UserError: As `describe` does, and when the block names no data, or ``classes`` that are
            not those of the data.
    """
    if source.root:
        dataset = describe(base / source.root.expanduser(), source.name, cache)
    elif source.train and source.val:
        train, val = (_Place.of(paths, base) for paths in (source.train, source.val))
        name = source.name or train.annotations.parent.name
        dataset = _found(name, train, val, cache)
    else:
        raise UserError(
            "no data: give --data-root DIR (a folder with train.json and val.json), or 'root', or "
            "'train' and 'val', under 'dataset' in the experiment file"
        )
    if source.classes is not None and tuple(source.classes) != dataset.classes:
        raise UserError(
            f"dataset.classes: the data has other classes (names and order count)\n"
            f"  experiment: {', '.join(source.classes)}\n"
            f"  {dataset.train.annotations}: {', '.join(dataset.classes)}"
        )
    return dataset


def read_annotations(path: Path) -> dict[str, Any]:
    """Reads a COCO annotation file.

    Returns:
        The file's content; ``images``, ``annotations`` and ``categories`` are lists, and every
        category has an integer ``id`` and a ``name`` that no other has.

    Raises:
        UserError: With every problem that is in the way of that.
    """
    return _parsed(path, _bytes_of(path))


@dataclass(frozen=True)
class _Place:
    """Where a split is said to be: its annotation file, and the folders its images may be in."""

    annotations: Path
    folders: tuple[Path, ...]

    @classmethod
    def of(cls, paths: SplitPaths, base: Path) -> _Place:
        def absolute(path: Path) -> Path:
            return (base / path.expanduser()).resolve()

        return cls(absolute(paths.annotations), (absolute(paths.images),))


@dataclass(frozen=True)
class _Outline:
    """What is kept of an annotation file: its hash, ``[id, name]`` of each category, file names."""

    sha256: str
    categories: list[list[Any]]
    files: list[str]


def _found(name: str, train: _Place, val: _Place, cache: Path | None) -> Dataset:
    problems: list[str] = []
    outlines = [attempt(problems, _outline, place.annotations, cache) for place in (train, val)]
    in_train, in_val = outlines
    folders = [
        attempt(problems, _images_folder, place, outline.files)
        for place, outline in zip((train, val), outlines, strict=True)
        if outline
    ]
    if in_train and in_val:
        problems += _category_differences(train, val, in_train, in_val)
    train_images, val_images = folders if len(folders) == 2 else (None, None)
    if problems or not (in_train and in_val and train_images and val_images):
        raise UserError(problems)
    return Dataset(
        name,
        tuple(name for _, name in in_train.categories),
        Split(train.annotations, train_images, in_train.sha256),
        Split(val.annotations, val_images, in_val.sha256),
    )


def _outline(path: Path, cache: Path | None) -> _Outline:
    key, stamp = str(path), _stamp(path)
    worth_caching = cache is not None and stamp[0] >= _CACHED_FROM_BYTES
    known = _read_cache(cache) if cache is not None and worth_caching else {}
    if known.get(key, {}).get("stamp") == stamp:
        return _Outline(**known[key]["outline"])
    data = _bytes_of(path)
    content = _parsed(path, data)
    outline = _Outline(
        hashlib.sha256(data).hexdigest(),
        [[category["id"], category["name"]] for category in content["categories"]],
        _sample_of_files(path, content["images"]),
    )
    if cache is not None and worth_caching:
        _write_cache(cache, {**known, key: {"stamp": stamp, "outline": asdict(outline)}})
    return outline


def _stamp(path: Path) -> list[int]:
    """Changes when the file does: ctime and inode also see a copy that kept its old mtime."""
    try:
        stat = path.stat()
    except OSError:
        return [0]
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]


def _read_cache(cache: Path) -> dict[str, Any]:
    try:
        content = read_json(cache)
        return dict(content["files"]) if content["version"] == _CACHE_VERSION else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}  # it only saves time: the annotation files hold all that it does


def _write_cache(cache: Path, files: dict[str, Any]) -> None:
    try:
        write_json(cache, {"version": _CACHE_VERSION, "files": files})
    except OSError:
        return  # a results folder that cannot be written is reported by whoever needs it


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such annotation file") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None


def _parsed(path: Path, data: bytes) -> dict[str, Any]:
    try:
        # Decoded by hand: json accepts UTF-16 and byte order marks, which mmdet's reader does not.
        content = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON: {error}") from None
    if not isinstance(content, dict):
        kind = type(content).__name__
        raise UserError(f"{path}: not COCO annotations: a {kind}, not an object with 'images'")
    problems = [
        f"{path}: not COCO annotations: '{key}' {'is no list' if key in content else 'is missing'}"
        for key in ("images", "annotations", "categories")
        if not isinstance(content.get(key), list)
    ]
    if problems:
        raise UserError(problems)
    if problems := _category_problems(path, content["categories"]):
        raise UserError(problems)
    return content


def _category_problems(path: Path, categories: list[Any]) -> list[str]:
    if not categories:
        return [f"{path}: 'categories' is empty: there is nothing to detect"]
    bad = [index for index, value in enumerate(categories) if not _is_category(value)]
    if bad:
        shown = first(f"number {index + 1}: {categories[index]!r}" for index in bad)
        return [f"{path}: {len(bad)} categories lack an integer 'id' or a 'name': {shown}"]
    problems = []
    for key in ("id", "name"):
        values = [category[key] for category in categories]
        repeated = sorted({value for value in values if values.count(value) > 1})
        if repeated:
            problems.append(f"{path}: category {key}s repeat: {first(map(str, repeated))}")
    return problems


def _is_category(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and type(value.get("id")) is int
        and isinstance(value.get("name"), str)
        and value["name"] != ""
    )


def _sample_of_files(path: Path, images: Sequence[Any]) -> list[str]:
    """File names spread over the list: splits made of several folders show in a spread sample."""
    if not images:
        raise UserError(f"{path}: 'images' is empty")
    picked = images[:: max(1, len(images) // _SAMPLE)][:_SAMPLE]
    names = [image.get("file_name") for image in picked if isinstance(image, dict)]
    files = [name for name in names if isinstance(name, str) and name]
    if not files:
        raise UserError(f"{path}: the entries of 'images' have no 'file_name'")
    return files


def _images_folder(place: _Place, files: list[str]) -> Path:
    held = {folder: sum(_is_file(folder / name) for name in files) for folder in place.folders}
    best = max(place.folders, key=lambda folder: held[folder])  # the first of equals
    if held[best]:
        return best
    tried = ", ".join(str(folder) for folder in place.folders)
    raise UserError(
        f"{place.annotations}: its images are not there: {first(files)}\n  looked in: {tried}"
    )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False


def _category_differences(
    train: _Place, val: _Place, in_train: _Outline, in_val: _Outline
) -> list[str]:
    if in_train.categories == in_val.categories:
        return []
    shown = [
        f"  {place.annotations}: " + ", ".join(f"{key}={name}" for key, name in outline.categories)
        for place, outline in ((train, in_train), (val, in_val))
    ]
    return [
        "train and val must list the same categories (id and name) in the same order, for that "
        "order numbers the labels:\n" + "\n".join(shown)
    ]


def first(items: Iterable[str], limit: int = SHOWN) -> str:
    """The first few of what may be many, joined: ``a, b, c ... and 39 more``."""
    items = list(items)
    rest = len(items) - limit
    return ", ".join(items[:limit]) + (f" ... and {rest} more" if rest > 0 else "")
