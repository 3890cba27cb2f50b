"""The whole of an import: read, join, write."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.data.importing.base import Format, Source
from benchmark.data.importing.classes import read_map
from benchmark.data.importing.join import join
from benchmark.data.importing.ledger import LINKED_OUT, Ledger
from benchmark.data.importing.lookup import real
from benchmark.data.importing.recognise import the_format_of
from benchmark.data.importing.report import kept, report_text
from benchmark.data.importing.write import check_free, write
from benchmark.errors import UserError, attempt


@dataclass(frozen=True)
class Wanted:
    """What an import is asked for.

    Attributes:
        sources: Folders, each in one format.
        folder: Where to.
        maps: What ``--map`` is given, see `benchmark.data.importing.classes.read_map`.
        copy: Whether images are copied; else they are linked.
        format: Name of the format of all sources; recognised if None.
    """

    sources: Sequence[Path]
    folder: Path
    maps: Sequence[str] = ()
    copy: bool = False
    format: str | None = None


def formats(wanted: Wanted) -> dict[Path, Format]:
    """The format of each source.

    Raises:
        UserError: With every problem: a folder that is of no format, or of several; a place that is taken.
    """
    problems = _repeated(wanted.sources)
    found = {path: attempt(problems, the_format_of, path, wanted.format) for path in wanted.sources}
    attempt(problems, check_free, wanted.folder, wanted.sources)
    attempt(problems, read_map, wanted.maps)
    if problems:
        raise UserError(problems)
    return {path: form for path, form in found.items() if form}


def _tell_links(root: Path, source: Source, ledger: Ledger) -> None:
    """Tells of images that an archive from a stranger may have pointed at files of this machine."""
    for picture in (one for found in source.splits.values() for one in found):
        if not real(picture.path).is_relative_to(root):
            ledger.note(LINKED_OUT, str(picture.path))


def _repeated(sources: Sequence[Path]) -> list[str]:
    counts = Counter(map(real, sources))
    return [f"{path}: is given {count} times" for path, count in counts.items() if count > 1]


def import_data(wanted: Wanted, found: dict[Path, Format]) -> str:
    """Imports what `formats` has found, and says what came of it.

    Raises:
        UserError: With every problem of what cannot be read, or would come to nothing.
        MachineError: The disk is full, or fails.
    """
    ledger, problems = Ledger(), list[str]()
    mapped = read_map(wanted.maps)
    sources: dict[Path, tuple[Format, Source]] = {}
    for path, form in found.items():
        if source := attempt(problems, form.read, path, ledger):
            sources[path] = form, source
            _tell_links(real(path), source, ledger)
    if problems:
        raise UserError(problems)
    joined = join([source for _, source in sources.values()], mapped, ledger)
    report = kept(joined, sources, mapped, ledger)
    write(joined, wanted.folder, report, copy=wanted.copy)
    return report_text(joined, sources, ledger, wanted.folder)
