"""The files of weights that runs need and that their configs name by an address."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from benchmark.errors import few
from benchmark.files import is_file, read_lines, write_text
from benchmark.models import file_name
from benchmark.run.contents import Contents, addresses
from benchmark.run.fetched.names import unknown_name, url_of
from benchmark.run.fetched.places import TWINS, find, places
from benchmark.run.fetched.soundness import digits_of, flaw
from benchmark.run.state import Planned
from benchmark.writing.addresses import public


@dataclass(frozen=True)
class Need:
    """A file of weights that rows need.

    Attributes:
        address: What the config of the first of them has: ``torchvision://resnet50``.
        url: Where that leads to.
        rows: Names of the rows.
    """

    address: str
    url: str
    rows: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name of the file in torch's hub."""
        return file_name(self.url)

    @property
    def of_rows(self) -> str:
        """The rows in words: ``row plain``, ``rows a, b``."""
        return f"{'rows' if len(self.rows) > 1 else 'row'} {few(self.rows)}"

    @property
    def shown(self) -> str:
        """The address for readers, and the file where it does not name that itself."""
        address = public(self.address)
        return address if self.address == self.url else f"{address} ({self.name})"


@dataclass(frozen=True)
class Looked:
    """A file that is needed, as it is on this machine.

    Attributes:
        need: The file.
        path: Where it lies, sound; None if it lies nowhere.
        flawed: What lies in its place and cannot be taken, with what is wrong with it.
    """

    need: Need
    path: Path | None
    flawed: Mapping[Path, str]


def to_fetch(config: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Key path and address of each file of weights that a config names and that is not on this machine.

    What it holds is not looked at. An address of which nobody here knows what file it leads to is left out.
    """
    for key, text in addresses(config):
        url = url_of(text)
        if url and file_name(url) and find(url) is None:
            yield key, text


def needs_of(runs: Iterable[Planned], searched: object = ()) -> list[Need]:
    """The files that runs need, each once, in the order of the rows.

    Args:
        runs: The runs.
        searched: Values that may come into their configs, any text among which may be an address.
    """
    wanted: dict[str, tuple[str, str, dict[str, None]]] = {}
    for row, config in {run.spec.row: run.config for run in runs}.items():
        for address in [*(address for _, address in addresses(config)), *_texts(searched)]:
            url = url_of(address)
            if url and file_name(url):
                *_, rows = wanted.setdefault(_same(url), (address, url, {}))
                rows[row] = None
    return [Need(address, url, tuple(rows)) for address, url, rows in wanted.values()]


def _texts(value: object) -> Iterator[str]:
    """The texts in a value, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _texts(list(value.values()))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)


def _same(url: str) -> str:
    """What addresses of one file have in common: servers that stand in for each other have it under one path."""
    parts = urlsplit(url)
    if digits_of(file_name(url)):
        return file_name(url)
    server = parts.netloc.rpartition("@")[2]
    return f"{next((pair[0] for pair in TWINS if server in pair), server)}{parts.path}"


def look(need: Need, contents: Contents) -> Looked:
    """Looks for a file on this machine; hashes are remembered in ``contents``."""
    flawed: dict[Path, str] = {}
    for path in dict.fromkeys(places(need.url)):
        if is_file(path):
            told = flaw(path, contents) or _of_another(need, path)
            if told is None:
                return Looked(need, path, flawed)
            flawed[path] = told
    return Looked(need, None, flawed)


def note_origin(need: Need, path: Path) -> None:
    """Notes where a file was fetched from, whose name does not tell it from others of that name."""
    note = _origin(path)
    if digits_of(need.name) is None:
        write_text(note, f"{_same(need.url)}\n")
    else:
        note.unlink(missing_ok=True)


def _of_another(need: Need, path: Path) -> str | None:
    """Says that a file in torch's hub was fetched from another address; None where nothing is known of it."""
    if digits_of(need.name) is not None:
        return None
    lines = read_lines(_origin(path))
    other = bool(lines) and lines[0] != _same(need.url)
    return f"was fetched from another address, {lines[0]}" if other else None


def _origin(path: Path) -> Path:
    return path.with_name(f".{path.name}.from")


def unnamable(runs: Iterable[Planned]) -> list[str]:
    """A message for each address that leads nowhere, and for files that torch's hub would keep under one name."""
    rows = {run.spec.row: run.config for run in runs}
    unknown = [
        f"row '{row}': {key}: {told}"
        for row, config in rows.items()
        for key, address in addresses(config)
        if (told := unknown_name(address))
    ]
    return [*unknown, *_clashes(runs)]


def _clashes(runs: Iterable[Planned]) -> Iterator[str]:
    named: dict[str, Need] = {}
    for need in needs_of(runs):
        other = named.setdefault(need.name, need)
        if other is not need:
            yield (
                f"{need.of_rows}: {public(need.address)} and {public(other.address)} ({other.of_rows}) are two files, "
                f"and torch's hub keeps both under the name {need.name}, so that one is loaded for the other; fetch "
                "one of them under another name, and name its path"
            )
