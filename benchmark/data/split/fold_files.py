"""Fold files: which images of an annotation file each fold trains on, and which it is validated on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from benchmark.data.annotations import HOLDOUT
from benchmark.data.split.divide import Division, Wanted
from benchmark.errors import UserError, fault_of, few, not_read
from benchmark.files import read_json, write_text
from benchmark.yaml_file import Strict, validated

_FILES = "fold-[0-9]*.json"


class Divided(Strict):
    """The annotation file that was divided.

    Attributes:
        file: Its name.
        sha256: Hex SHA-256 of its bytes.
    """

    file: str
    sha256: str


class FoldFile(Strict):
    """One fold, or the one division of a holdout.

    Attributes:
        schema_version: Version of this layout.
        fold: From 0.
        folds: How many folds there are; 1 of a holdout.
        seed: What they were drawn with.
        group: The key of the images, or the pattern over their file names, by which they stay together.
        duplicates: Whether near-duplicates stay together.
        data: What was divided.
        train: Ids of the images to train on, sorted.
        val: Ids of the images to validate on, sorted.
        groups: Ids of the images of each group of more than one.
    """

    schema_version: Literal[1] = 1
    fold: Annotated[int, Field(ge=0)]
    folds: Annotated[int, Field(ge=1)]
    seed: int
    group: str | None
    duplicates: bool
    data: Divided
    train: tuple[int, ...]
    val: tuple[int, ...]
    groups: tuple[tuple[int, ...], ...] = ()


def fold_files(division: Division) -> dict[str, str]:
    """The text of each fold file by its name: ``fold-0.json``, ...; ``holdout.json`` of a holdout."""
    wanted = asdict(division.wanted)
    return {
        HOLDOUT if division.wanted.held else f"fold-{number}.json": _text(
            FoldFile(
                fold=number,
                folds=len(division.parts),
                **{key: wanted[key] for key in ("seed", "group", "duplicates")},
                data=Divided(file=division.file, sha256=division.sha256),
                train=division.others(number),
                val=part,
                groups=division.groups,
            )
        )
        for number, part in enumerate(division.parts)
    }


def _text(fold: FoldFile) -> str:
    """JSON, a key a line: the same division gives the same bytes."""
    plain = fold.model_dump(mode="json")
    lines = (
        f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}"
        for key, value in plain.items()
    )
    return "{\n" + ",\n".join(lines) + "\n}\n"


def write_fold_files(division: Division, folder: Path) -> list[Path]:
    """Writes the fold files of a division into a folder, each atomically."""
    texts = fold_files(division)
    for name, text in texts.items():
        write_text(folder / name, text)
    return [folder / name for name in texts]


def read_fold_files(folder: Path) -> Division:
    """Reads back the fold files in a folder; of one of the files, those beside it.

    Raises:
        UserError: With every problem: there is none, one is missing or is no fold file, they are of several divisions,
            or their parts do not divide the images.
    """
    place = folder.parent if folder.is_file() else folder
    paths = sorted(place.glob(_FILES), key=lambda path: (len(path.name), path.name))
    paths = [path for path in paths if path.stem.removeprefix("fold-").isdecimal()]
    if not paths:
        raise UserError(
            f"folds: {folder}: no fold-0.json, fold-1.json, ... there; 'detboard data split FILE --folds 5' writes "
            "them, or give a number of folds"
        )
    problems: list[str] = []
    found = [fold for path in paths if (fold := _read(path, problems)) is not None]
    problems = problems or _unlike(place, found)
    if problems:
        raise UserError(problems)
    return _division(found)


def _read(path: Path, problems: list[str]) -> FoldFile | None:
    try:
        return validated(FoldFile, read_json(path), path, "a fold file")
    except UserError as error:
        problems += [f"folds: {told}" for told in error.problems]
    except OSError as error:
        raise not_read(path, error) from fault_of(error)
    except ValueError as error:
        problems.append(f"folds: {path}: not JSON: {error}")
    return None


def _unlike(folder: Path, found: Sequence[FoldFile]) -> list[str]:
    """Why fold files do not make one division; none if they do."""
    first = found[0]
    if any(
        (f.folds, f.data.sha256, f.seed) != (first.folds, first.data.sha256, first.seed)
        for f in found
    ):
        return [f"folds: {folder}: its files are of several divisions; divide the data again"]
    numbers = [fold.fold for fold in found]
    if numbers != list(range(first.folds)):
        lost = {*range(first.folds)} - {*numbers}
        named = few(
            f"fold-{n}.json" for n in sorted(lost or {n for n in numbers if numbers.count(n) > 1})
        )
        return [f"folds: {folder}: fold files are missing or not called by their number: {named}"]
    if first.folds < 2:
        return [f"folds: {folder}: one fold divides nothing; 2 are needed"]
    return _not_parts(folder, found)


def _not_parts(folder: Path, found: Sequence[FoldFile]) -> list[str]:
    every = {*found[0].train, *found[0].val}
    held = [image for fold in found for image in fold.val]
    problems = [
        f"folds: {folder}/fold-{f.fold}.json: train and val are not all images, each once"
        for f in found
        if {*f.train, *f.val} != every or len(f.train) + len(f.val) != len(every)
    ]
    if len(held) != len(every) or {*held} != every:
        problems.append(
            f"folds: {folder}: not every image is in 'val' of one fold, and of one only"
        )
    return problems


def _division(found: Sequence[FoldFile]) -> Division:
    first = found[0]
    wanted = Wanted(first.folds, first.seed, first.group, first.duplicates)
    ids = tuple(sorted((*first.train, *first.val)))
    parts = tuple(tuple(sorted(fold.val)) for fold in found)
    return Division(wanted, first.data.file, first.data.sha256, ids, parts, first.groups)
