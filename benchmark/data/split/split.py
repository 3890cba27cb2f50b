"""Divides an annotation file, and writes what comes of it: fold files, annotation files of a holdout, and a page."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmark.data.annotations import Annotations, read_annotations, there_are
from benchmark.data.layouts import laid_out
from benchmark.data.places import Place, Places, found
from benchmark.data.split.divide import Division, Wanted, divided
from benchmark.data.split.fold_files import fold_files
from benchmark.data.split.groups import Groups
from benchmark.data.split.makeup import Makeup, makeup
from benchmark.data.split.parts import part_of
from benchmark.data.split.report import page
from benchmark.errors import UserError, attempt, fault_of, few, not_written
from benchmark.files import is_file, read_bytes, read_json, write_text


@dataclass(frozen=True)
class Made:
    """A division that was written.

    Attributes:
        division: Which images are where.
        groups: Which stay together.
        held: What the parts hold.
        folder: Where the files are.
        files: Their names.
        is_root: Whether the folder is one for ``--data-root``: a holdout whose images are known.
    """

    division: Division
    groups: Groups
    held: Makeup
    folder: Path
    files: tuple[str, ...]
    is_root: bool


def split(file: Path, wanted: Wanted, images: Path | None = None, out: Path | None = None) -> Made:
    """Divides an annotation file and writes the parts; the same again writes the same bytes.

    Args:
        file: The annotation file.
        wanted: How it is divided.
        images: Folder of its images; looked for beside the file if None. Needed for near-duplicates only.
        out: Folder for what is written; one beside the file that says how it was divided, if None.

    Raises:
        UserError: The file cannot be divided so, its images are not there, or the folder holds another division.
        MachineError: The files cannot be written.
    """
    file = file.expanduser().absolute()  # of a link what lies beside the link
    if file.is_dir():
        raise UserError(f"{file}: a folder; give the annotation file, as in {file / 'train.json'}")
    if not file.exists():
        raise UserError(f"{file}: no such annotation file{there_are(file.parent)}")
    annotations = read_annotations(file)
    problems: list[str] = []
    folder = attempt(problems, _images_of, file, images)
    if problems and (wanted.duplicates or images):
        raise UserError(problems)
    division, groups = divided(annotations, wanted, folder if wanted.duplicates else None)
    held = makeup(annotations, division, groups)
    texts = {**_files(annotations, division), "report.md": page(division, groups, held)}
    place = (out or file.parent / _usual_name(file, wanted)).expanduser().absolute()
    _refuse_other(place, texts)
    try:
        for name, text in texts.items():
            write_text(place / name, text)
        if wanted.held and folder is not None:
            _link(place / "images", folder)
    except OSError as error:
        raise not_written(place, error) from fault_of(error)
    return Made(division, groups, held, place, tuple(texts), bool(wanted.held and folder))


def _images_of(file: Path, images: Path | None) -> Path:
    folders = _likely_folders(file) if images is None else (images.expanduser().absolute(),)
    place = Place(file, folders, folders[0])
    try:
        return found(file.stem, Places(place, place), None).train.images
    except UserError as error:
        then = "give --images DIR; --no-duplicates looks for no near-duplicates and needs no images"
        raise UserError(
            [f"{problem}\n  {then}" for problem in dict.fromkeys(error.problems)]
        ) from None


def _likely_folders(file: Path) -> tuple[Path, ...]:
    """Where the images of an annotation file are: beside it, or where Roboflow and COCO lay them out."""
    root = file.parent
    laid = [one for files in laid_out(root.parent).values() for one in files]
    theirs = (folder for one in laid if one.annotations == file for folder in one.folders)
    return tuple(dict.fromkeys((root, root / "images", root / file.stem, *theirs)))


def _link(link: Path, images: Path) -> None:
    """Leads to the images from beside the annotation files of a holdout, whose names are relative to their folder."""
    if not os.path.lexists(link):
        link.symlink_to(os.path.relpath(images.resolve(), link.parent.resolve()))


def _usual_name(file: Path, wanted: Wanted) -> str:
    what = f"holdout-{wanted.held}-of-{wanted.count}" if wanted.held else f"folds-{wanted.count}"
    seed = f"-seed-{wanted.seed}" if wanted.seed else ""
    return f"{file.stem}-{what}{seed}"


def _files(annotations: Annotations, division: Division) -> dict[str, str]:
    """The fold files; of a holdout the annotation files of both parts, too."""
    files = fold_files(division)
    if not division.wanted.held:
        return files
    content = read_json(annotations.path)
    parts = {"train.json": division.others(0), "val.json": division.parts[0]}
    return files | {name: json.dumps(part_of(content, ids)) for name, ids in parts.items()}


def _refuse_other(folder: Path, texts: Mapping[str, str]) -> None:
    """Refuses to write over another division, or beside one."""
    there = [*folder.glob("fold-*.json"), *(folder / name for name in texts)]
    other = [p.name for p in dict.fromkeys(there) if is_file(p) and not _is(p, texts.get(p.name))]
    if other:
        raise UserError(
            f"{folder} holds another division ({few(other)}): give --out DIR, or move it away; runs that were made "
            "with it stay valid only with it"
        )


def _is(path: Path, text: str | None) -> bool:
    return text is not None and read_bytes(path) == text.encode()
