"""Whether a file is what it is taken for: weights, whole, and those that its name speaks of."""

from __future__ import annotations

import json
import re
import zipfile
from codecs import getincrementaldecoder
from pathlib import Path

from benchmark.errors import why
from benchmark.run.contents import Contents

_START = 512
# What torch's hub and mmdet's publishing tool write before the ending: the first digits of the file's SHA-256.
_DIGITS = re.compile(r"-([0-9a-f]{8,64})\.[A-Za-z]\w*(?:\.[A-Za-z]\w*)*$")
_DATE = re.compile(r"20[0-3]\d(0[1-9]|1[0-2])([0-2]\d|3[01])")
_MARKS = {
    b"version https://git-lfs": "is a pointer of Git LFS and no weights ('git lfs pull' brings them)",
    b"<": "is a web page and no weights",
    b"%PDF-": "is a PDF and no weights",
    b"\x1f\x8b": "is packed by gzip ('gunzip' unpacks it)",
    b"\x89PNG": "is an image and no weights",
}


def digits_of(name: str) -> str | None:
    """The first digits of the SHA-256 that a file's name speaks of, as in ``resnet50-0676ba61.pth``; None if none."""
    found = _DIGITS.search(name)
    if found is None or _DATE.fullmatch(found[1]):
        return None
    return found[1]


def wrong_digits(name: str, sha256: str) -> str | None:
    """Says that a file's hash is not the one in its name; None if it is, or if the name speaks of none."""
    digits = digits_of(name)
    if digits is None or sha256.startswith(digits):
        return None
    return (
        f"its SHA-256 begins with {sha256[: len(digits)]}, and not with {digits} as its name says"
    )


def junk_in(path: Path) -> str | None:
    """What a file is instead of weights, or what it lacks, as far as its start and its end tell; None of any other."""
    try:
        with path.open("rb") as file:
            start = file.read(_START)
        if start.startswith(b"PK\x03\x04"):
            return (
                None
                if zipfile.is_zipfile(path)
                else "is cut short: the end of the archive is missing"
            )
        if path.name.removesuffix(".part").endswith(".safetensors"):
            return _cut_safetensors(path)
    except OSError as error:
        return f"cannot be read: {why(error)}"
    return _not_weights(start)


def _not_weights(start: bytes) -> str | None:
    if not start:
        return "is empty"
    told = (
        words
        for mark, words in _MARKS.items()
        if start.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(mark)
    )
    return next(told, "is text and no weights" if _is_text(start) else None)


def _is_text(start: bytes) -> bool:
    """Whether it is text of any language; its last character may be cut in two."""
    try:
        text = getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return False
    return all(letter >= " " or letter in "\r\n\t" for letter in text)


def _cut_safetensors(path: Path) -> str | None:
    """A header that says where each tensor ends stands before them, and its length before it."""
    with path.open("rb") as file:
        start = file.read(8)
        length = int.from_bytes(start, "little")
        size = path.stat().st_size
        if len(start) < 8 or not 0 < length <= size:
            return _not_weights(start) or "is cut short, or no safetensors"
        header = file.read(length)
    try:
        tensors = json.loads(header)
        ends = [tensors[name]["data_offsets"][1] for name in tensors if name != "__metadata__"]
    except (ValueError, TypeError, LookupError):
        return "is no safetensors"
    return "is cut short" if 8 + length + max(ends, default=0) > size else None


def flaw(path: Path, contents: Contents) -> str | None:
    """What is wrong with a file of weights that was fetched; None if nothing is known to be.

    Args:
        path: The file; its name may hold the first digits of its hash.
        contents: Remembers hashes.
    """
    told = junk_in(path)
    if told is not None or digits_of(path.name) is None:
        return told
    try:
        return wrong_digits(path.name, contents.of_file(str(path)) or "")
    except OSError as error:
        return f"cannot be read: {why(error)}"
