"""XML from strangers: read by expat without entities, which can grow without end or name files of this machine."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers.expat import ExpatError, ParserCreate

from benchmark.errors import UserError, fault_of, not_read

_DEEPEST = 100
_BEGINNING = 1 << 14
_OF_LABELS = re.compile(rb"<(annotations?)[\s>]")


class _Refused(Exception):
    """What no file of labels has."""


def read_xml(path: Path) -> Element:
    """The root of an XML file.

    Raises:
        UserError: It cannot be read, is no XML, declares entities, or is nested too deeply.
    """
    try:
        return _parsed(path.read_bytes())
    except (ExpatError, _Refused, ValueError, LookupError) as error:
        raise UserError(f"{path}: not XML that can be read: {error}") from None
    except OSError as error:
        raise not_read(path, error) from fault_of(error)


def _parsed(data: bytes) -> Element:
    builder, depth = TreeBuilder(), 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEEPEST:
            raise _Refused(f"elements are nested over {_DEEPEST} deep")
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    parser = ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = builder.data
    parser.EntityDeclHandler = _refuse_entity
    parser.Parse(data, True)
    return builder.close()


def _refuse_entity(name: str, *_: object) -> None:
    raise _Refused(f"it declares the entity '{name}', as no labels do")


def root_tag(path: Path) -> str:
    """The name of a file's first element; empty where it has none, or cannot be read.

    Of XML that is refused it is what a reader would see: `read_xml` then says what is wrong with it.
    """
    tags: list[str] = []
    start = b""
    parser = ParserCreate()
    parser.StartElementHandler = lambda tag, _: tags.append(tag)
    parser.EntityDeclHandler = _refuse_entity
    try:
        with path.open("rb") as file:
            parser.Parse(start := file.read(_BEGINNING), False)
    except (OSError, ExpatError, _Refused, ValueError, LookupError):
        if not tags and (seen := _OF_LABELS.search(start)):
            tags.append(seen[1].decode())
    return tags[0] if tags else ""
