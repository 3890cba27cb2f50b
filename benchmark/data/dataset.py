"""Where a COCO-format dataset is, what its classes are, and the hashes of its annotation files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmark.data.absent import spelt
from benchmark.data.annotations import Annotations, Category
from benchmark.data.memory import Memory
from benchmark.errors import UserError, attempt, few, printable, why
from benchmark.experiment.experiment import DataSource, SplitPaths
from benchmark.files import is_file

_SAMPLE = 20  # image files that are looked up to find the images' folder


@dataclass(frozen=True)
class Split:
    """One half of a dataset.

    Attributes:
        annotations: Absolute path of the COCO annotation file.
        images: Absolute path of the folder that the ``file_name`` of an image is relative to.
        sha256: Hex SHA-256 of the annotation file's bytes; empty for a file that is not there.
    """

    annotations: Path
    images: Path
    sha256: str


@dataclass(frozen=True)
class Fold:
    """Which part of a divided data set stands in the place of val; all other parts together are train.

    Attributes:
        number: From 0.
        count: How many parts there are.
        sha256: Hex SHA-256 of the division: which images are in which part.
        whole: The split that was divided.
        parts: Of each part, hex SHA-256 of the annotation files of its train and val.
    """

    number: int
    count: int
    sha256: str
    whole: Split
    parts: tuple[tuple[str, str], ...]


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
        masks: Whether every object of both splits has a mask, see `benchmark.data.entries.is_masked`.
        fold: Of a divided data set, which part ``val`` is; None where nothing is divided.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    val: Split
    masks: bool = False
    fold: Fold | None = None

    @property
    def hashes(self) -> tuple[str, str]:
        """What makes two datasets the same: SHA-256 of the annotation files of train and val.

        Of a divided one, whichever part it is, those of the file that was divided and of the division.
        """
        if self.fold is not None:
            return self.fold.whole.sha256, self.fold.sha256
        return self.train.sha256, self.val.sha256

    @property
    def folds(self) -> tuple[Dataset, ...]:
        """The data set of each part, in order; this one alone where nothing is divided."""
        if self.fold is None:
            return (self,)
        return tuple(self.with_fold(number) for number in range(self.fold.count))

    def with_fold(self, number: int) -> Dataset:
        """The same divided data set with another part in the place of val.

        Raises:
            ValueError: Nothing is divided, or there is no such part.
        """
        if self.fold is None or not 0 <= number < self.fold.count:
            raise ValueError(f"no part {number} of {self.name}")
        hashes = self.fold.parts[number]
        train, val = (
            replace(
                split,
                annotations=split.annotations.with_name(fold_file(number, name)),
                sha256=sha256,
            )
            for name, split, sha256 in zip(
                ("train", "val"), (self.train, self.val), hashes, strict=True
            )
        )
        return replace(self, train=train, val=val, fold=replace(self.fold, number=number))

    @property
    def is_absent(self) -> bool:
        """Whether it is only stated by an experiment, see `stated_dataset`."""
        return not any(self.hashes)


def fold_file(number: int, split: str) -> str:
    """Name of the annotation file of a fold's ``train`` or ``val``."""
    return f"fold-{number}-{split}.json"


def describe(
    root: Path, name: str | None = None, cache: Path | None = None, alone: bool = False
) -> Dataset:
    """Finds the dataset in a folder with ``train.json`` and ``val.json``.

    The ``file_name`` of an image is relative to the folder, to its ``images/``, or to its
    ``train/`` and ``val/``: each split takes the one that holds its files.

    Args:
        root: The folder, as ``--data-root`` names it.
        name: Name for display; the folder's name if None.
        cache: File that remembers what large annotation files hold, so that they are parsed once;
            it is made where it is missing. None parses every time.
        alone: Whether ``train.json`` is all that counts, as for folds: it stands in the place of val, too.

    Raises:
        UserError: With every problem: a file that is missing or not COCO JSON, categories that
            differ between the splits, images that are nowhere.
    """
    root = root.expanduser().resolve()
    if not root.is_dir():
        raise UserError(
            f"{root}: no such folder; the data is a folder with train.json and val.json "
            "('detboard data synthesize DIR' draws one to try)"
        )
    return _found(name or root.name, *_places_in(root, alone), cache)


def describe_source(
    source: DataSource, base: Path, cache: Path | None = None, alone: bool = False
) -> Dataset:
    """Finds the dataset that an experiment's ``dataset`` block names.

    Its paths are relative to ``base``, the experiment file's folder; ``cache`` and ``alone`` are as in `describe`.

    Raises:
        UserError: As `describe` does, and when the block names no data, or ``classes`` that are
            not those of the data.
    """
    if source.root:
        root = base / source.root.expanduser()
        if not root.exists():
            raise UserError(
                f"{root.resolve()}: no such folder, which the experiment file names as 'root' under 'dataset': "
                "give --data-root DIR (a folder with train.json and val.json; 'detboard data synthesize DIR' draws "
                "one to try), or name yours there"
            )
        dataset = describe(root, source.name, cache, alone)
    elif places := _places(source, base, alone):
        dataset = _found(_name(source, places[0]), *places, cache)
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


def check_fits(dataset: Dataset, cache: Path | None = None) -> None:
    """Looks at a data set of which train is another annotation file than the one that it was described with.

    Raises:
        UserError: The file cannot be read, its categories are not those of val, or its images are not in their folder.
    """
    train, val = (
        _Place(split.annotations, (split.images,), split.images)
        for split in (dataset.train, dataset.val)
    )
    _found(dataset.name, train, val, cache)


def stated_dataset(source: DataSource, base: Path, alone: bool = False) -> Dataset | None:
    """The dataset of an experiment whose data is not on this machine, as its ``dataset`` block states it.

    Its paths are relative to ``base``, the experiment file's folder; ``alone`` is as in `describe`.

    Returns:
        Classes and paths of the block, ``images/`` below a ``root``; the hashes are empty. None where an annotation
        file is there, or where the block does not say classes and place: then `describe_source` says what is wrong.
    """
    places = _places(source, base, alone)
    if source.classes is None or places is None:
        return None
    if any(place.annotations.exists() for place in places):
        return None
    train, val = (Split(place.annotations, place.usual_folder, sha256="") for place in places)
    return Dataset(_name(source, places[0]), tuple(source.classes), train, val)


def is_of_source(
    dataset: Dataset, source: DataSource, base: Path, cache: Path | None = None
) -> bool | None:
    """Whether a dataset is the one that an experiment's ``dataset`` block names.

    It is by the hashes that the block records; without them if it lies where the block says, or has the same
    annotations as what lies there. Paths of the block are relative to ``base``; ``cache`` is as in `describe`.

    Returns:
        None where the block names no data.
    """
    if dataset.fold is not None:
        return _is_divided(dataset.fold.whole, source, base, cache)
    if source.sha256 is not None:
        return dataset.hashes == (source.sha256.train, source.sha256.val)
    places = _places(source, base)
    if places is None:
        return None
    if [place.annotations for place in places] == [
        s.annotations for s in (dataset.train, dataset.val)
    ]:
        return True
    try:
        return describe_source(source, base, cache).hashes == dataset.hashes
    except UserError:  # it is not on this machine
        return False


def _is_divided(
    whole: Split, source: DataSource, base: Path, cache: Path | None = None
) -> bool | None:
    """Whether a split that was divided is what a ``dataset`` block names as train; None where it names no data."""
    if source.sha256 is not None:
        return whole.sha256 == source.sha256.train
    places = _places(source, base, alone=True)
    if places is None or places[0].annotations == whole.annotations:
        return None if places is None else True
    try:
        return describe_source(source, base, cache, alone=True).train.sha256 == whole.sha256
    except UserError:  # it is not on this machine
        return False


def source_name(source: DataSource, base: Path) -> str | None:
    """The name of the data that a ``dataset`` block names, whether it is there or not; None where it names none."""
    places = _places(source, base, alone=source.val is None)
    return _name(source, places[0]) if places else None


def hashes_text(dataset: Dataset) -> str:
    """The lines of an experiment file that say that published values are of this dataset."""
    train, val = dataset.hashes
    return f'dataset:\n  sha256: {{train: "{train}", val: "{val}"}}'


@dataclass(frozen=True)
class _Place:
    """Where a split is said to be: its annotation file, and the folders its images may be in."""

    annotations: Path
    folders: tuple[Path, ...]
    usual_folder: Path


def _places(source: DataSource, base: Path, alone: bool = False) -> tuple[_Place, _Place] | None:
    """Where a ``dataset`` block says the splits are; None if it does not."""

    def absolute(path: Path) -> Path:
        return (base / path.expanduser()).resolve()

    def place(paths: SplitPaths) -> _Place:
        images = absolute(paths.images)
        return _Place(absolute(paths.annotations), (images,), images)

    if source.root:
        return _places_in(absolute(source.root), alone)
    val = source.train if alone else source.val
    return (place(source.train), place(val)) if source.train and val else None


def _places_in(root: Path, alone: bool = False) -> tuple[_Place, _Place]:
    images = root / "images"
    train, val = (
        _Place(root / f"{split}.json", (root, images, root / split), images)
        for split in ("train", "train" if alone else "val")
    )
    return train, val


def _name(source: DataSource, train: _Place) -> str:
    return source.name or train.annotations.parent.name


@dataclass(frozen=True)
class _Outline:
    """What is kept of an annotation file: some file names spread over its images, and whether all boxes have masks."""

    sha256: str
    categories: tuple[Category, ...]
    files: tuple[str, ...]
    masks: bool


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
        masks=in_train.masks and in_val.masks,
    )


def _outline(path: Path, cache: Path | None) -> _Outline:
    return Memory(cache).answer(path, "outline/2", _Outline, _outline_of)


def _outline_of(annotations: Annotations) -> _Outline:
    path, names = annotations.path, annotations.images.names
    if not len(annotations.images):
        raise UserError(f"{path}: 'images' is empty")
    if not names:
        raise UserError(f"{path}: the entries of 'images' have no 'file_name'")
    # Splits made of several folders show in a spread sample.
    sample = names[:: max(1, len(names) // _SAMPLE)][:_SAMPLE]
    return _Outline(annotations.sha256, annotations.categories, tuple(sample), annotations.masks)


def _images_folder(place: _Place, files: Sequence[str]) -> Path:
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
    train: _Place, val: _Place, in_train: _Outline, in_val: _Outline
) -> list[str]:
    if in_train.categories == in_val.categories:
        return []
    shown = [
        f"  {place.annotations}: "
        + printable(", ".join(f"{key}={name}" for key, name in outline.categories))
        for place, outline in ((train, in_train), (val, in_val))
    ]
    return [
        "train and val must list the same categories (id and name) in the same order, for that "
        "order numbers the labels:\n" + "\n".join(shown)
    ]
