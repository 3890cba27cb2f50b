"""From where the splits of a dataset are said to be to the dataset: what is there, and whether it fits together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.data.absent import spelt
from benchmark.data.annotations import Annotations, Category
from benchmark.data.image_folder import IMAGE_SUFFIXES, hash_of, images_in
from benchmark.data.memory import Memory
from benchmark.data.splits import Dataset, Split
from benchmark.errors import UserError, attempt, few, printable, why
from benchmark.files import is_file

_SAMPLE = 20  # image files that are looked up to find the images' folder


@dataclass(frozen=True)
class Place:
    """Where a split is said to be.

    Attributes:
        annotations: Its annotation file.
        folders: The folders its images may be in.
        usual_folder: The one that it is said of where its images are in none.
        named: Whether an experiment names it; else it is looked for in a data root.
    """

    annotations: Path
    folders: tuple[Path, ...]
    usual_folder: Path
    named: bool = False


@dataclass(frozen=True)
class Places:
    """Where the splits of a data set are said to be."""

    train: Place
    val: Place
    test: Place | None = None


@dataclass(frozen=True)
class _Outline:
    """What is kept of an annotation file: some file names spread over its images, whether it has any box, and masks."""

    sha256: str
    categories: tuple[Category, ...]
    files: tuple[str, ...]
    masks: bool
    labelled: bool


def found(name: str, places: Places, cache: Path | None) -> Dataset:
    """Finds the dataset whose splits are said to be in some places.

    Args:
        name: Name for display.
        places: Where they are said to be.
        cache: As of `benchmark.data.dataset.describe`.

    Raises:
        UserError: With every problem, as `benchmark.data.dataset.describe` does.
    """
    problems: list[str] = []
    both = (places.train, places.val)
    outlines = [attempt(problems, _outline, place.annotations, cache) for place in both]
    in_train, in_val = outlines
    folders = [
        attempt(problems, _images_folder, place, outline.files)
        for place, outline in zip(both, outlines, strict=True)
        if outline
    ]
    if in_train and in_val:
        problems += _category_differences(places.train, places.val, in_train, in_val)
    test = attempt(problems, _test_split, places, outlines, cache)
    train_images, val_images = folders if len(folders) == 2 else (None, None)
    if problems or not (in_train and in_val and train_images and val_images):
        raise UserError(dict.fromkeys(problems))  # where train is val, too, it says all twice
    return Dataset(
        name,
        tuple(name for _, name in in_train.categories),
        Split(places.train.annotations, train_images, in_train.sha256),
        Split(places.val.annotations, val_images, in_val.sha256),
        masks=in_train.masks and in_val.masks,
        test=test,
    )


def _test_split(
    places: Places, others: Sequence[_Outline | None], cache: Path | None
) -> Split | None:
    """The test split, if there is said to be one; ``others`` are the outlines of train and val.

    Raises:
        UserError: With everything that is wrong with it.
    """
    place = places.test
    if place is None:
        return None
    if place.annotations == place.usual_folder:
        sha256 = hash_of(place.usual_folder, images_in(place.usual_folder))
        return Split(place.annotations, place.usual_folder, sha256, labelled=False)
    problems: list[str] = []
    outline = attempt(problems, _outline, place.annotations, cache, of_images=True)
    images = attempt(problems, _images_folder, place, outline.files) if outline else None
    if outline:
        problems += _test_differences(places, place, others, outline)
    if problems or outline is None or images is None:
        without = "leave 'test' out" if place.named else "move it away"
        problems[-1] += f"\n  mend it, or {without} to do without a test split"
        raise UserError(problems)
    return Split(place.annotations, images, outline.sha256, outline.labelled)


def _test_differences(
    places: Places, test: Place, others: Sequence[_Outline | None], outline: _Outline
) -> list[str]:
    """What keeps a test split from being held against train and val, whose outlines ``others`` are."""
    in_train, problems = others[0], []
    if in_train and outline.categories:
        problems = _category_differences(places.train, test, in_train, outline, "test")
    return problems + [
        f"{test.annotations}: the test split is the same file as {split}: what is judged on it must not have "
        "been trained or chosen on"
        for split, other in zip(("train", "val"), others, strict=True)
        if other and other.sha256 == outline.sha256
    ]


def images_at(path: Path) -> Split:
    """Images that boxes are to be found in, whatever objects are annotated: a folder, or what a COCO file lists.

    Args:
        path: A folder, all of whose images count; or a COCO file. The ``file_name`` of its images is relative to its
            folder, to ``images/`` in that, or to the folder of the file's name without its suffix.

    Raises:
        UserError: There is nothing of the kind, or its images are nowhere.
    """
    path = path.expanduser().absolute()
    if path.is_dir():
        return Split(path, path, hash_of(path, images_in(path)), labelled=False)
    if not path.exists():
        raise UserError(
            f"{path}: there is neither a folder of images nor a COCO file that lists some"
        )
    if path.suffix.lower() in IMAGE_SUFFIXES:
        raise UserError(f"{path}: give the folder of images, or a COCO file that lists some")
    folders = (path.parent, path.parent / "images", path.with_suffix(""))
    place = Place(path, folders, folders[1])
    outline = _outline(path, None, of_images=True)
    return Split(path, _images_folder(place, outline.files), outline.sha256, labelled=False)


def hashes_at(places: Iterable[Place], cache: Path | None) -> tuple[str, ...] | None:
    """Hex SHA-256 of the annotation files at some places; None where one cannot be read, or is none."""
    try:
        return tuple(_outline(place.annotations, cache).sha256 for place in places)
    except UserError:
        return None


def _outline(path: Path, cache: Path | None, of_images: bool = False) -> _Outline:
    return Memory(cache).answer(path, "outline/3", _Outline, _outline_of, of_images)


def _outline_of(annotations: Annotations) -> _Outline:
    path, names = annotations.path, annotations.images.names
    if not len(annotations.images):
        raise UserError(f"{path}: 'images' is empty")
    if not names:
        raise UserError(f"{path}: the entries of 'images' have no 'file_name'")
    # Splits made of several folders show in a spread sample.
    sample = tuple(names[:: max(1, len(names) // _SAMPLE)][:_SAMPLE])
    labelled = bool(len(annotations.boxes.ids) or annotations.boxes.faults)
    return _Outline(annotations.sha256, annotations.categories, sample, annotations.masks, labelled)


def _images_folder(place: Place, files: Sequence[str]) -> Path:
    held = {folder: sum(is_file(folder / name) for name in files) for folder in place.folders}
    best = max(place.folders, key=lambda folder: held[folder])  # the first of equals
    if held[best]:
        return best
    if refused := [
        f"{folder}: {why(error)}" for folder in place.folders if (error := _refusal(folder))
    ]:
        raise UserError(
            f"{place.annotations}: its images cannot be looked for: {'; '.join(refused)}"
        )
    tried = ", ".join(str(folder) for folder in place.folders)
    told = f"its images are not there: {printable(few(files))}\n  looked in: {tried}"
    raise UserError(f"{place.annotations}: {told}{_likely_cause(files, place.folders)}")


def _refusal(folder: Path) -> OSError | None:
    """What the file system says of a folder whose files cannot be seen; None of one that is open or not there."""
    try:
        (folder / "any").stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return error
    return None


def _likely_cause(files: Sequence[str], folders: Sequence[Path]) -> str:
    if any("://" in name for name in files):
        return "\n  'file_name' has URLs: fetch the images, and write their paths in one of these folders"
    if any("\\" in name for name in files):
        return "\n  'file_name' has backslashes, as Windows writes paths: write / in their place"
    near = ((name, spelt(str(folder / name))) for folder in folders for name in files)
    if found := next(((name, other) for name, other in near if other), None):
        told = printable(f"'{found[0]}' is there as '{found[1]}'")
        return f"\n  in another case or Unicode form, {told}"
    return ""


def _category_differences(
    train: Place, other: Place, in_train: _Outline, in_other: _Outline, split: str = "val"
) -> list[str]:
    if in_train.categories == in_other.categories:
        return []
    shown = [
        f"  {place.annotations}: "
        + printable(", ".join(f"{key}={name}" for key, name in outline.categories))
        for place, outline in ((train, in_train), (other, in_other))
    ]
    return [
        f"train and {split} must list the same categories (id and name) in the same order, for that "
        "order numbers the labels:\n" + "\n".join(shown)
    ]
