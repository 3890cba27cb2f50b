"""The kinds of things that people have in the place of images, as messages say them."""

from __future__ import annotations

from typing import NamedTuple

MISSING = "images that are not in {folder}"
URLS = "images whose 'file_name' is a URL: fetch them, and write their paths"
SPELT = "images that are not in {folder}, but are in another case or Unicode form"
BACKSLASHES = "images that are not in {folder}, but would be with / in the place of backslashes"
DANGLING = "links to image files that lead nowhere: fetch what they point at, or make them anew"
POINTERS = "git-lfs pointers in the place of images: 'git lfs pull' fetches the images"
POINTER_START = b"version https://git-lfs.github.com/spec/"
"""How each git-lfs pointer begins, by git-lfs' specification."""
EMPTY = "image files without content"
CLOSED = "image files that cannot be opened"
DAMAGED = "image files that are damaged, or no images"
FOREIGN = "images that {reader}, which jobs read with, does not decode: write them as PNG or JPEG"
VAST = "images that {reader}, which jobs read with, takes for too large: cut or scale them"
SIZE = "images that are not what the annotations say"

_NO_TEXT = {
    POINTER_START: "a git-lfs pointer; 'git lfs pull' fetches the file",
    b"\xef\xbb\xbf": "a byte order mark at its beginning: save it as UTF-8 without one",
    b"\xff\xfe": "UTF-16: save it as UTF-8",
    b"\xfe\xff": "UTF-16: save it as UTF-8",
    b"\x1f\x8b": "packed by gzip: unpack it",
    b"PK\x03\x04": "a zip archive: unpack it",
    b"<": "HTML or XML: a page that was saved in its place?",
}


def in_place_of_text(data: bytes) -> str | None:
    """What somebody has in the place of a JSON or CSV file, by how it begins, and what to do; None of any other."""
    return next((what for begin, what in _NO_TEXT.items() if data.startswith(begin)), None)


class Fault(NamedTuple):
    """What a job would fail on: one of the kinds above, and what is wrong, which begins with the file's name."""

    kind: str
    told: str
