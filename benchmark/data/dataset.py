"""Where a COCO-format dataset is, what its classes are, and the hashes of its annotation files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmark.data.layouts import LaidOut, laid_out
from benchmark.data.places import Place, Places, found, hashes_at
from benchmark.data.splits import Dataset as Dataset
from benchmark.data.splits import Fold as Fold
from benchmark.data.splits import Split as Split
from benchmark.data.splits import fold_file as fold_file
from benchmark.errors import UserError
from benchmark.experiment.data_source import DataSource, SplitPaths


def describe(
    root: Path, name: str | None = None, cache: Path | None = None, alone: bool = False
) -> Dataset:
    """Finds the dataset in a folder with ``train.json`` and ``val.json``, and with ``test.json`` if it has one.

    The ``file_name`` of an image is relative to the folder, to its ``images/``, or to its
    ``train/``, ``val/`` and ``test/``: each split takes the one that holds its files. Folders as Roboflow and COCO lay
    them out are read as they are, see `benchmark.data.layouts`.

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
    return _described(root.expanduser().resolve(), name, cache, alone)


def _described(
    root: Path, name: str | None, cache: Path | None, alone: bool, test: Place | None = None
) -> Dataset:
    if not root.is_dir():
        what = "a file" if root.exists() else "no such folder"
        raise UserError(
            f"{root}: {what}; the data is a folder with train.json and val.json ('detboard data import SRC DIR' makes "
            "one of other formats, 'detboard data synthesize DIR' draws one to try)"
        )
    _refuse_others(root, ("train",) if alone else ("train", "val"))
    in_root = _place_in(root, "test")
    there = in_root.annotations.exists() or in_root.annotations.is_symlink()
    held_out = test or (in_root if there else None)
    return found(name or root.name, Places(*_places_in(root, alone), held_out), cache)


def _refuse_others(root: Path, splits: Sequence[str]) -> None:
    """Refuses a folder in a format that is to be imported, or in a layout that lacks a split or has it twice.

    Raises:
        UserError: It is such a folder.
    """
    if _is_own(root):
        return
    laid = laid_out(root)
    problems = [
        f"{root}: {_shown(laid.get(split, ()))} for {split}: name annotations and images of train and val under "
        f"'dataset' in the experiment, or make a data root of it with 'detboard data import {root} DIR'"
        for split in splits
        if len(laid.get(split, ())) != 1
    ]
    if laid and problems:
        raise UserError(problems)
    if not laid and (formats := _formats(root)):
        raise UserError(
            f"{root}: this is {' and '.join(formats)}; 'detboard data import {root} DIR' makes a data root of it"
        )


def _shown(files: Sequence[LaidOut]) -> str:
    return " and ".join(str(one.annotations) for one in files) or "there is no annotation file"


def _formats(root: Path) -> list[str]:
    from benchmark.data.importing.data_root import DATA_ROOT
    from benchmark.data.importing.recognise import formats_of

    return [form.title for form in formats_of(root) if form is not DATA_ROOT]


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
        dataset = _described(root.resolve(), source.name, cache, alone, _test_place(source, base))
    elif places := _places(source, base, alone):
        of = Places(*places, _test_place(source, base))
        dataset = found(_name(source, places[0], base), of, cache)
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
        Place(split.annotations, (split.images,), split.images)
        for split in (dataset.train, dataset.val)
    )
    found(dataset.name, Places(train, val), cache)


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
    return Dataset(_name(source, places[0], base), tuple(source.classes), train, val)


def is_of_source(
    dataset: Dataset, source: DataSource, base: Path, cache: Path | None = None
) -> bool | None:
    """Whether a dataset is the one that an experiment's ``dataset`` block names.

    It is by the hashes that the block records; without them if it has the annotations that lie where the block says
    now, or, where none can be read, if it lay there. Paths of the block are relative to ``base``; ``cache`` is as in
    `describe`.

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
    return _lies_at(places, (dataset.train, dataset.val), cache)


def is_here(source: DataSource, base: Path, cache: Path | None = None) -> bool:
    """Whether annotations can be read where an experiment's ``dataset`` block says; arguments as of `is_of_source`."""
    places = _places(source, base, alone=source.val is None)
    return places is not None and hashes_at(places, cache) is not None


def is_test_of_source(
    test: str, dataset: Dataset, source: DataSource, base: Path, cache: Path | None = None
) -> bool:
    """Whether annotations of a test split are those that an experiment's ``dataset`` block names.

    Args:
        test: Their SHA-256.
        dataset: What they were found with; it tells where the annotations cannot be read.
        source: The block.
        base: What its paths are relative to.
        cache: As in `describe`.
    """
    if source.sha256 is not None:
        return source.sha256.test == test
    place = _test_place(source, base)
    if place is None and source.root:
        place = _place_in(_absolute(base, source.root), "test")
    if place is None:
        return False
    hashes, own = hashes_at([place], cache), dataset.test
    if hashes is None:
        return own is not None and (own.sha256, own.annotations) == (test, place.annotations)
    return hashes == (test,)


def _is_divided(
    whole: Split, source: DataSource, base: Path, cache: Path | None = None
) -> bool | None:
    """Whether a split that was divided is what a ``dataset`` block names as train; None where it names no data."""
    if source.sha256 is not None:
        return whole.sha256 == source.sha256.train
    places = _places(source, base, alone=True)
    return None if places is None else _lies_at(places[:1], (whole,), cache)


def _lies_at(places: Sequence[Place], splits: Sequence[Split], cache: Path | None) -> bool:
    """Whether places hold the annotations of splits; if they are not on this machine, whether these lay there."""
    hashes = hashes_at(places, cache)
    if hashes is None:
        return [p.annotations for p in places] == [split.annotations for split in splits]
    return list(hashes) == [split.sha256 for split in splits]


def source_name(source: DataSource, base: Path) -> str | None:
    """The name of the data that a ``dataset`` block names, whether it is there or not; None where it names none."""
    places = _places(source, base, alone=source.val is None)
    return _name(source, places[0], base) if places else None


def validation_file(source: DataSource, base: Path, root: Path | None = None) -> Path | None:
    """The annotation file of the validation split of a ``dataset`` block, or of a folder in its place, if it is there.

    Paths of the block are relative to ``base``, the experiment file's folder.
    """
    if root is not None:
        places: tuple[Place, ...] = _places_in(root.expanduser().resolve())
    else:
        places = _places(source, base) or ()
    return next((place.annotations for place in places[1:] if place.annotations.exists()), None)


def hashes_text(dataset: Dataset) -> str:
    """The lines of an experiment file that say that published values are of this dataset."""
    hashes = dict(zip(("train", "val"), dataset.hashes, strict=True))
    if dataset.test is not None and dataset.test.labelled:
        hashes["test"] = dataset.test.sha256
    told = ", ".join(f'{split}: "{sha256}"' for split, sha256 in hashes.items())
    return f"dataset:\n  sha256: {{{told}}}"


def _places(source: DataSource, base: Path, alone: bool = False) -> tuple[Place, Place] | None:
    """Where a ``dataset`` block says the splits are that are trained and validated on; None if it does not."""

    def place(paths: SplitPaths) -> Place:
        images = _absolute(base, paths.images)
        return Place(_absolute(base, paths.annotations), (images,), images)

    if source.root:
        return _places_in(_absolute(base, source.root), alone)
    val = source.train if alone else source.val
    return (place(source.train), place(val)) if source.train and val else None


def _test_place(source: DataSource, base: Path) -> Place | None:
    """Where a ``dataset`` block says the test split is; None if it does not."""
    if source.test is None:
        return None
    images = _absolute(base, source.test.images)
    annotations = source.test.annotations
    place = _absolute(base, annotations) if annotations else images
    return Place(place, (images,), images, named=True)


def _absolute(base: Path, path: Path) -> Path:
    return (base / path.expanduser()).resolve()


def _places_in(root: Path, alone: bool = False) -> tuple[Place, Place]:
    return _place_in(root, "train"), _place_in(root, "train" if alone else "val")


def _place_in(root: Path, split: str) -> Place:
    laid = () if _is_own(root) else laid_out(root).get(split, ())
    if len(laid) == 1:
        return Place(laid[0].annotations, tuple(laid[0].folders), laid[0].folders[0])
    images = root / "images"
    return Place(root / f"{split}.json", (root, images, root / split), images)


def _is_own(root: Path) -> bool:
    """Whether it has a file of the layout that goes before all others."""
    return any((root / f"{split}.json").exists() for split in ("train", "val"))


def _name(source: DataSource, train: Place, base: Path) -> str:
    folder = _absolute(base, source.root) if source.root else train.annotations.parent
    return source.name or folder.name
