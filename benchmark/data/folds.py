"""The folds of an experiment: its training split divided, with annotation files of each fold in the results folder.

They lie in ``results/folds/<16 hex digits>/``: ``fold-0-train.json`` and ``fold-0-val.json`` and so on, and last
``folds.json`` with their hashes, so that they are made and read once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter

from benchmark.data.annotations import read_annotations
from benchmark.data.dataset import Dataset, Fold, Split, fold_file, validation_file
from benchmark.data.split.divide import Division, Wanted, check_objects, divided
from benchmark.data.split.fold_files import read_fold_files, write_fold_files
from benchmark.data.split.parts import part_of
from benchmark.errors import UserError, fault_of, few, not_written
from benchmark.experiment.data_source import DataSource
from benchmark.files import (
    is_file,
    read_bytes,
    read_json,
    remove_leftovers,
    replacing,
    sha256_file,
    write_json,
)

_KEPT = "folds.json"
_SPLITS = ("train", "val")


@dataclass(frozen=True)
class _Kept:
    """What ``folds.json`` holds.

    Attributes:
        data: Hex SHA-256 of the file that was divided.
        sha256: Of the division, see `Division.digest`.
        wanted: What was asked for.
        parts: Of each fold, hex SHA-256 of the annotation files of its train and val.
        drawn: Whether it was divided here; a folder of fold files may have been changed, whatever it says of itself.
    """

    data: str
    sha256: str
    wanted: Wanted
    parts: tuple[tuple[str, str], ...]
    drawn: bool = True


def in_folds(whole: Dataset, folds: int | Path, base: Path, results: Path) -> Dataset:
    """The first fold of a data set whose training split is divided; `Dataset.folds` are all of them.

    Args:
        whole: The data set; only its training split counts.
        folds: Into how many parts it is divided, with seed 0 and near-duplicates together; or a folder of fold files.
        base: What the folder is relative to.
        results: The results folder, which keeps the annotation files of each fold.

    Raises:
        UserError: The data cannot be divided so, or the fold files divide other data.
    """
    store = results.resolve() / "folds"
    if isinstance(folds, int):
        known = (found for found in _all_kept(store) if _is_of(found, whole, folds))
        kept = next(known, None) or _made(store, whole, _divide(whole, Wanted(folds)), drawn=True)
    else:
        division = read_fold_files((base / folds.expanduser()).resolve())
        _check_is_of(division, whole, folds)
        kept = _read(_folder(store, division.digest)) or _made(store, whole, division, drawn=False)
    return _dataset(whole, kept, _folder(store, kept.sha256))


def left_aside(source: DataSource, base: Path, root: Path | None = None) -> str:
    """A word on the validation split of a data set that is divided, which counts for nothing; empty without one.

    Args:
        source: The ``dataset`` block of the experiment.
        base: What its paths are relative to.
        root: A dataset folder in its place.
    """
    val = validation_file(source, base, root)
    return f"{val} is left aside: the folds divide the training split alone" if val else ""


def _is_of(kept: _Kept, whole: Dataset, count: int) -> bool:
    return kept.drawn and kept.data == whole.train.sha256 and kept.wanted == Wanted(count)


def _divide(whole: Dataset, wanted: Wanted) -> Division:
    annotations = read_annotations(whole.train.annotations)
    return divided(annotations, wanted, whole.train.images)[0]


def _check_is_of(division: Division, whole: Dataset, folder: Path) -> None:
    if division.sha256 != whole.train.sha256:
        raise UserError(
            f"folds: {folder}: folds of other data: they divide a {division.file} with SHA-256 "
            f"{division.sha256[:12]}…, and {whole.train.annotations} has {whole.train.sha256[:12]}…; divide it with "
            "'detboard data split', or give a number of folds"
        )


def _folder(store: Path, digest: str) -> Path:
    return store / digest[:16]


def _dataset(whole: Dataset, kept: _Kept, folder: Path) -> Dataset:
    train, val = (
        Split(folder / fold_file(0, name), whole.train.images, sha256)
        for name, sha256 in zip(_SPLITS, kept.parts[0], strict=True)
    )
    fold = Fold(0, len(kept.parts), kept.sha256, whole.train, kept.parts)
    return replace(whole, train=train, val=val, fold=fold)


def _all_kept(store: Path) -> Iterator[_Kept]:
    for path in sorted(store.glob(f"*/{_KEPT}")):
        if (kept := _read(path.parent)) is not None:
            yield kept


def _read(folder: Path) -> _Kept | None:
    """What a folder keeps; None where it is not whole, so that it is made anew."""
    try:
        kept = TypeAdapter(_Kept).validate_json(read_bytes(folder / _KEPT))
    except (OSError, ValueError):
        return None
    hashes = {
        folder / fold_file(number, split): sha256
        for number, part in enumerate(kept.parts)
        for split, sha256 in zip(_SPLITS, part, strict=True)
    }
    if not all(map(is_file, hashes)):
        return None
    return kept if all(_is_as_made(path, sha256) for path, sha256 in hashes.items()) else None


def _is_as_made(path: Path, sha256: str) -> bool:
    """Whether a file of a fold holds what it was made with: one that is older than ``folds.json`` does."""
    made = (path.parent / _KEPT).stat().st_mtime_ns
    return path.stat().st_mtime_ns <= made or sha256_file(path) == sha256


def _made(store: Path, whole: Dataset, division: Division, *, drawn: bool) -> _Kept:
    """Writes the annotation files of every fold, the fold files beside them, and what is known of them last."""
    if division.sha256 != whole.train.sha256:
        raise UserError(f"{whole.train.annotations} has changed meanwhile; give the command again")
    annotations = read_annotations(whole.train.annotations)
    if other := sorted({*annotations.images.ids.tolist()} ^ {*division.ids}):
        raise UserError(
            f"folds: they do not divide the images of {annotations.path}: ids of one of both alone are "
            f"{few(map(str, other))}; divide it with 'detboard data split', or give a number of folds"
        )
    check_objects(annotations, division)
    folder = _folder(store, division.digest)
    try:
        return _written(folder, whole, division, drawn)
    except OSError as error:
        raise not_written(error.filename or folder, error) from fault_of(error)


def _written(folder: Path, whole: Dataset, division: Division, drawn: bool) -> _Kept:
    remove_leftovers(folder)  # of a kill while they were written
    content = read_json(whole.train.annotations)
    hashes = []
    for number, val in enumerate(division.parts):
        train = division.others(number)
        written = [_write(folder / fold_file(number, "train"), content, train)]
        written.append(_write(folder / fold_file(number, "val"), content, val))
        hashes.append((written[0], written[1]))
    write_fold_files(division, folder)
    kept = _Kept(division.sha256, division.digest, division.wanted, tuple(hashes), drawn)
    write_json(folder / _KEPT, asdict(kept))
    return kept


def _write(path: Path, content: dict[str, object], ids: Sequence[int]) -> str:
    """Writes those entries of an annotation file that are of some images, and gives the hex SHA-256 of the file."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(part_of(content, ids)))
    return sha256_file(path)
