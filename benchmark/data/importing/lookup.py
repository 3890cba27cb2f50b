"""Files of a source by the names that its labels give; never one outside of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path, PurePosixPath
from unicodedata import normalize
from urllib.parse import unquote

from benchmark.data.absent import absence, outside
from benchmark.data.image_folder import IMAGE_SUFFIXES
from benchmark.data.importing.ledger import FOUND_WITHIN, LEADS_OUT, NO_FILE, Ledger
from benchmark.errors import UserError, why
from benchmark.files import is_file


def real(path: Path) -> Path:
    """An absolute path without links; one of a link to itself is as it stands, which `Path.resolve` refuses."""
    return Path(os.path.realpath(path))


def files_below(folder: Path, above: frozenset[str] = frozenset()) -> Iterator[Path]:
    """Every file in a folder, then in those within it, sorted by name, but for those whose name begins with a dot.

    Args:
        folder: The folder; links to others within it are followed.
        above: Real paths of the folders that it was reached through; one of these is not gone through again.

    Raises:
        UserError: A folder cannot be read.
    """
    here = os.path.realpath(folder)
    if here in above:
        return
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise UserError(f"{folder}: cannot be read: {why(error)}") from None
    shown = {entry.name: _is_folder(entry) for entry in entries if not entry.name.startswith(".")}
    yield from (folder / name for name, is_folder in shown.items() if not is_folder)
    for name, is_folder in shown.items():
        if is_folder:
            yield from files_below(folder / name, above | {here})


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def images_below(folder: Path) -> list[Path]:
    """The image files in a folder and in those within it, by their names."""
    return [path for path in files_below(folder) if is_image(path)]


def is_image(path: Path) -> bool:
    """Whether a file is an image by its name."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def lines_of(path: Path) -> list[str]:
    """The lines of a text file, without white space at their ends; what else Unicode takes for their end is none.

    Raises:
        UserError: It is not UTF-8, or no regular file: a pipe may have no end.
    """
    if not is_file(path):
        raise UserError(f"{path}: no regular file")
    try:
        return [line.strip() for line in StringIO(path.read_text(encoding="utf-8-sig"))]
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is not UTF-8 (byte {error.start}): save it as such") from None


@dataclass(frozen=True)
class Found:
    """An image file: where it is, and what it is called below its folder of images."""

    path: Path
    name: str


@dataclass(frozen=True)
class Images:
    """Where the images of a source may be, and what is said of those that are not there.

    Attributes:
        root: The source's folder.
        folders: Those that names may be relative to, the likeliest first; all of them within ``root``.
        ledger: Where names that lead to nothing are entered.
    """

    root: Path
    folders: Sequence[Path]
    ledger: Ledger

    def find(self, name: str, boxes: int) -> Found | None:
        """The file of a name; None, and an entry in the ledger, where there is none within the source.

        Folders at the beginning of the name are passed over where there is no such folder: labels keep those of the
        machine that they were made on, as in ``/content/train/a.jpg``.

        Args:
            name: As the labels have it; with ``/`` or with backslashes, as an address has it, in any form of Unicode.
            boxes: How many boxes are lost without it.
        """
        plain = next(filter(self._below, _forms(name)), name.replace("\\", "/"))
        found, leads_out = self._below(plain), outside(name)
        if found and not self._leads_to(found.path, plain):
            self.ledger.note(FOUND_WITHIN, f"{name} as {found.path}")
        elif leads_out and not found:
            self.ledger.leave(LEADS_OUT, f"{self.root}: {name}", boxes)
        elif not found:
            told = absence(str(self.folders[0] / name), name).told
            self.ledger.leave(NO_FILE, f"{self.root}: {told}", boxes)
        return found

    def _leads_to(self, path: Path, name: str) -> bool:
        """Whether a name says all of where a file is, from one of the folders or as an absolute path."""
        places = (os.path.join(folder, name) for folder in (self.root, *self.folders))  # noqa: PTH118
        return os.path.abspath(path) in map(os.path.abspath, places)  # noqa: PTH100 - links stay

    def _below(self, name: str) -> Found | None:
        for folder in self.folders:
            if inner := inner_path(folder, name, is_file):
                return Found(folder / inner, inner.as_posix())
        return None


def _forms(name: str) -> Iterable[str]:
    """A name as it stands, then as Windows, an address (``my%20photo.jpg``) or macOS (Unicode's NFD) writes it."""
    plain = name.replace("\\", "/")
    decoded = (plain, unquote(plain))
    unified = (normalize(form, one) for one in decoded for form in ("NFC", "NFD"))
    return dict.fromkeys([name, *decoded, *unified])


def inner_path(folder: Path, name: str, is_it: Callable[[Path], bool]) -> PurePosixPath | None:
    """What a name leads to within a folder, relative to it, and never outside of it; None where that is not there.

    Parts at the beginning of the name are passed over as long as there is nothing of their name.

    Args:
        folder: The folder.
        name: A path, which may be one of another machine.
        is_it: Whether a path is what is looked for.
    """
    parts = PurePosixPath(name).parts
    last = max((place for place, part in enumerate(parts) if part in ("/", "//", "..")), default=-1)
    for start in range(last + 1, len(parts)):
        inner = PurePosixPath(*parts[start:])
        if is_it(folder / inner):
            return inner
        if _exists(folder / parts[start]):
            return None
    return None


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that no file can have
        return False
