"""A COCO annotation file: parsed once, its images and boxes as numpy columns."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmark.data.entries import Entry, box_fault, image_fault, is_masked
from benchmark.data.faults import in_place_of_text
from benchmark.errors import UserError, fault_of, few, lone_surrogate, not_read, printable, shown

if TYPE_CHECKING:  # who finds a file's outline in the cache parses nothing, and needs no numpy
    import numpy as np
    from numpy.typing import NDArray

HOLDOUT = "holdout.json"
"""What says how an annotation file was divided; beside ``train.json`` and ``val.json`` of the parts."""
_OWN = ("train.json", "val.json", "test.json", "import.json")
_BIGGEST_ID = 2**63 - 1


class Category(NamedTuple):
    """A class as an annotation file lists it."""

    id: int
    name: str


@dataclass(frozen=True)
class Images:
    """The images of a split, each column N long.

    Attributes:
        ids: int64.
        files: ``file_name`` of each.
        width: Pixels, int64.
        height: Pixels, int64.
        faults: A line about each entry that is left out of the columns.
        names: Every ``file_name``, those of entries that are left out as well.
    """

    ids: NDArray[np.int64]
    files: list[str]
    width: NDArray[np.int64]
    height: NDArray[np.int64]
    faults: list[str]
    names: list[str]

    def __len__(self) -> int:
        """Number of entries, those that are left out of the columns as well."""
        return len(self.ids) + len(self.faults)

    def rows(self, image_ids: NDArray[np.int64]) -> NDArray[np.intp]:
        """The row of each id, shape (M,); any row where the id is not listed. Needs at least one image."""
        from benchmark.statistics.ids import places

        return places(image_ids, self.ids)  # the last for one that is not listed


@dataclass(frozen=True)
class Boxes:
    """The annotations of a split, each column N long.

    Attributes:
        ids: int64.
        image_ids: int64.
        category_ids: int64.
        xywh: Boxes in pixels, shape (N, 4), float64.
        area: Square pixels, float64.
        crowd: Whether the box holds a crowd, bool.
        ignore: Whether mmdet is told to leave it out of a training, bool; COCO's evaluation takes no notice.
        faults: A line about each entry that is left out of the columns.
    """

    ids: NDArray[np.int64]
    image_ids: NDArray[np.int64]
    category_ids: NDArray[np.int64]
    xywh: NDArray[np.float64]
    area: NDArray[np.float64]
    crowd: NDArray[np.bool_]
    ignore: NDArray[np.bool_]
    faults: list[str]


@dataclass(frozen=True)
class Annotations:
    """What an annotation file holds. It is shared by all who read the file: nobody changes it.

    Attributes:
        path: The file.
        sha256: Hex SHA-256 of its bytes.
        categories: In the order of the file; no id and no name repeats.
        images: Its images.
        boxes: Its boxes.
        masks: Whether it has boxes, and each of them a mask, see `is_masked`.
    """

    path: Path
    sha256: str
    categories: tuple[Category, ...]
    images: Images
    boxes: Boxes
    masks: bool

    @property
    def images_without_box(self) -> int:
        """How many of the sound entries of ``images`` no sound annotation belongs to."""
        import numpy as np

        return int(np.count_nonzero(~np.isin(self.images.ids, self.boxes.image_ids)))

    @property
    def boxes_per_class(self) -> dict[str, int]:
        """Number of boxes, crowds included, by class name."""
        return self.per_class()

    def per_class(self, chosen: NDArray[np.bool_] | None = None) -> dict[str, int]:
        """How many of the chosen boxes each class has, in the order of the file; of all boxes if None."""
        import numpy as np

        held = self.boxes.category_ids if chosen is None else self.boxes.category_ids[chosen]
        ids, counts = np.unique(held, return_counts=True)
        count_of = dict(zip(ids.tolist(), counts.tolist(), strict=True))
        return {name: count_of.get(key, 0) for key, name in self.categories}

    def to_coco(self) -> dict[str, list[dict[str, object]]]:
        """The plain values of a COCO file that evaluating boxes needs, and no other field.

        Raises:
            UserError: The file has entries that are left out of the columns.
        """
        faults = [*self.images.faults, *self.boxes.faults]
        if faults:
            raise UserError(f"{self.path}: entries with a field missing or wrong: {few(faults)}")
        images, boxes = self.images, self.boxes
        return {
            "images": _entries(id=images.ids.tolist(), file_name=images.files),
            "annotations": _entries(
                image_id=boxes.image_ids.tolist(),
                category_id=boxes.category_ids.tolist(),
                bbox=boxes.xywh.tolist(),
                area=boxes.area.tolist(),
                iscrowd=boxes.crowd.tolist(),
            ),
            "categories": [category._asdict() for category in self.categories],
        }


def _entries(**columns: Sequence[object]) -> list[dict[str, object]]:
    return [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]


def read_annotations(path: Path, of_images: bool = False) -> Annotations:
    """Reads a COCO annotation file; one that was read before and has not changed is not read again.

    Entries of ``images`` and ``annotations`` with a field missing or wrong are left out, and told among ``faults``.

    Args:
        path: The file.
        of_images: Whether it may list images alone, as that of a test split does whose objects are kept secret:
            ``annotations`` and ``categories`` may then be empty, or missing.

    Raises:
        UserError: With every problem: the file cannot be read or is not JSON, ``images``, ``annotations`` or
            ``categories`` is no list, a category lacks an integer ``id`` or a ``name``, or repeats one.
    """
    return _read(path, stamp(path), of_images)


def stamp(path: Path) -> tuple[int, ...]:
    """Changes when the file does, its size first: ctime and inode also see a copy that kept its old mtime."""
    try:
        stat = path.stat()
    except OSError:
        return (0,)
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino


@lru_cache(maxsize=3)  # the splits of a data set: 60 MB for COCO's
def _read(path: Path, _stamp: tuple[int, ...], of_images: bool) -> Annotations:
    data = _bytes_of(path)
    content = _parsed(path, data, of_images)
    no_classes = of_images and not content["categories"]
    return Annotations(
        path,
        hashlib.sha256(data).hexdigest(),
        () if no_classes else _categories(path, content["categories"]),
        _images(content["images"]),
        _boxes(content["annotations"]),
        bool(content["annotations"]) and all(map(is_masked, content["annotations"])),
    )


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        if path.is_symlink():
            raise UserError(
                f"{path}: a link to {printable(str(path.readlink()))}, which is not there"
            ) from None
        raise UserError(f"{path}: no such annotation file{_others(path)}") from None
    except OSError as error:
        raise not_read(path, error) from fault_of(error)


def _others(path: Path) -> str:
    """What may be meant: exports call their files ``result.json`` and so on; or there is nothing to validate on yet."""
    folder = path.parent
    if path.name not in ("train.json", "val.json"):  # an experiment or a command names it
        return there_are(folder)
    if parts := sorted(path.parent for path in folder.glob(f"*/{HOLDOUT}")):
        return f"; a part was held out in {few(map(str, parts))}: give that folder"
    if (folder / "fold-0.json").exists():
        return f"; these are fold files, which an experiment takes with 'folds: {folder}' beside the data they divide"
    if there := there_are(folder, _OWN):
        return (
            f"{there}: name both files under 'dataset' in the experiment, "
            "as train: {annotations: FILE, images: FOLDER} and val likewise"
        )
    return _division(folder)


def there_are(folder: Path, aside: Sequence[str] = ()) -> str:
    """Names the JSON files in a folder and those in it, other than some, for a message; empty where there are none."""
    found = [str(f.relative_to(folder)) for way in ("*.json", "*/*.json") for f in folder.glob(way)]
    found = [printable(n) for n in found if n not in aside]
    return f"; there {'is' if len(found) == 1 else 'are'} {few(sorted(found))}" if found else ""


def _division(folder: Path) -> str:
    if not (folder / "train.json").exists():
        return ""
    command = f"detboard data split {folder / 'train.json'} --holdout 0.1"
    return (
        f"; '{command}' holds images out, and writes both files into a folder to give in place of this one; an "
        "experiment with 'folds: 5' needs none"
    )


def _parsed(path: Path, data: bytes, of_images: bool) -> dict[str, list[object]]:
    if not data.strip():
        raise UserError(f"{path}: not JSON: the file is empty")
    try:
        # Decoded by hand: json accepts UTF-16 and byte order marks, which mmdet's reader does not.
        content = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON: {in_place_of_text(data) or error}") from None
    if not isinstance(content, dict):
        kind = type(content).__name__
        raise UserError(f"{path}: not COCO annotations: a {kind}, not an object with 'images'")
    keys = ("images", "annotations", "categories")
    if of_images:
        content = {"annotations": [], "categories": [], **content}
    problems = [
        f"{path}: not COCO annotations: '{key}' {'is no list' if key in content else 'is missing'}"
        for key in keys
        if not isinstance(content.get(key), list)
    ]
    if problems:
        raise UserError(problems)
    return {key: content[key] for key in keys}


def _categories(path: Path, entries: Sequence[object]) -> tuple[Category, ...]:
    if not entries:
        raise UserError(f"{path}: 'categories' is empty: there is nothing to detect")
    categories = [_category(entry) for entry in entries]
    bad = [
        f"number {number}: {entry!r}"
        for number, (entry, category) in enumerate(zip(entries, categories, strict=True), start=1)
        if category is None
    ]
    if bad:
        told = f"{len(bad)} categories lack an integer 'id' (of 64 bits at most) or a 'name'"
        raise UserError(f"{path}: {told}: {few(bad)}")
    good = tuple(category for category in categories if category is not None)
    problems = [*_repeated(path, good), *_unwritable(path, good)]
    if problems:
        raise UserError(problems)
    return good


def _unwritable(path: Path, categories: Sequence[Category]) -> list[str]:
    places = [(name, lone_surrogate(name)) for _, name in categories]
    lone = [f"{printable(name)} at character {place}" for name, place in places if place]
    what = "category names with half of a surrogate pair, which no table can hold: write them anew"
    return [f"{path}: {what} ({len(lone)}): {few(lone)}"] if lone else []


def _category(entry: object) -> Category | None:
    if not isinstance(entry, dict):
        return None
    key, name = entry.get("id"), entry.get("name")
    if type(key) is int and abs(key) <= _BIGGEST_ID and isinstance(name, str) and name:
        return Category(key, name)
    return None


def _repeated(path: Path, categories: Sequence[Category]) -> list[str]:
    ids = [
        str(key) for key, count in sorted(Counter(c.id for c in categories).items()) if count > 1
    ]
    ids_of: dict[str, list[int]] = {}
    for key, name in sorted(categories):
        ids_of.setdefault(name, []).append(key)
    names = [f"{name} (ids {few(map(str, ids))})" for name, ids in ids_of.items() if len(ids) > 1]
    why = "a class goes by its name: rename one in both files, or remove the one that has no boxes"
    told = [f"{path}: category ids repeat: {few(ids)}"] if ids else []
    return [
        *told,
        *([f"{path}: category names repeat: {printable(few(names))}; {why}"] if names else []),
    ]


def _images(entries: Sequence[object]) -> Images:
    good, faults = _sorted_out(entries, image_fault)
    files = [str(entry["file_name"]) for entry in good]
    return Images(
        ids=_integers(good, "id"),
        files=files,
        width=_integers(good, "width"),
        height=_integers(good, "height"),
        faults=faults,
        names=_names(entries) if faults else files,
    )


def _names(entries: Sequence[object]) -> list[str]:
    names = [entry.get("file_name") for entry in entries if isinstance(entry, dict)]
    return [name for name in names if isinstance(name, str) and name and not lone_surrogate(name)]


def _boxes(entries: Sequence[object]) -> Boxes:
    import numpy as np

    good, faults = _sorted_out(entries, box_fault)
    return Boxes(
        ids=_integers(good, "id"),
        image_ids=_integers(good, "image_id"),
        category_ids=_integers(good, "category_id"),
        xywh=np.array([entry["bbox"] for entry in good], np.float64).reshape(-1, 4),
        area=np.array([entry["area"] for entry in good], np.float64),
        crowd=np.array([bool(entry.get("iscrowd", 0)) for entry in good], np.bool_),
        ignore=np.array([bool(entry.get("ignore", False)) for entry in good], np.bool_),
        faults=faults,
    )


def _integers(entries: Sequence[Entry], key: str) -> NDArray[np.int64]:
    import numpy as np

    return np.array([entry[key] for entry in entries], np.int64)


def _sorted_out(
    entries: Sequence[object], fault_of: Callable[[Entry], str | None]
) -> tuple[list[Entry], list[str]]:
    good: list[Entry] = []
    faults: list[str] = []
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry, dict):
            faults.append(f"number {number} is {shown(entry)}, not an object")
        elif fault := fault_of(entry):
            name = f"id {entry['id']!r}" if "id" in entry else f"number {number}"
            faults.append(f"{name}: {fault}")
        else:
            good.append(entry)
    return good, faults
