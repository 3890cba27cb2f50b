r"""Text for a terminal: what a file of somebody else says must not steer it.

A title, a label, a file name or a message may hold control characters: they clear the screen, hide text, write it
backwards or set the window's title. Whatever is printed shows them as Python's source does, ``\x1b``; the colours
and the live table of rich are its own and stay.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from typing import TextIO, cast

from benchmark.writing.addresses import public

# Controls but for a line's end and a tab, halves of surrogate pairs, ends of lines and paragraphs, and what changes
# the direction of text (https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters).
_STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
_COLOUR = re.compile(r"(\x1b\[(?!8m)[0-9;]{0,20}m)")  # but not 8: hidden text


def steerless(text: str) -> str:
    """A text in which whatever would steer a terminal is written out; lines and tabs stay. Its addresses are public."""
    return _STEERING.sub(_written_out, public(text))


def _written_out(found: re.Match[str]) -> str:
    """A letter's code, so that JSON stays JSON: those below 32 are written out there already."""
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 32 else f"\\u{code:04x}"


class PlainStream:
    """A text stream that prints `steerless` text.

    Args:
        stream: Where it goes.
        colours: Lets colours pass: those that libraries give their log.
    """

    def __init__(self, stream: TextIO, colours: bool = False) -> None:
        self.stream = stream
        self._colours = colours

    def write(self, text: str) -> int:
        """Writes the text; see `io.TextIOBase`."""
        pieces = _COLOUR.split(text) if self._colours else [text]
        self.stream.write(
            "".join(piece if at % 2 else steerless(piece) for at, piece in enumerate(pieces))
        )
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Writes the lines; see `io.IOBase`."""
        for line in lines:
            self.write(line)

    @property
    def rich_proxied_file(self) -> TextIO:
        """Where rich writes, which styles the help and the usage errors of the command line."""
        return self.stream

    def __getattr__(self, name: str) -> object:
        if name == "buffer":  # click writes there where the encoding is ASCII, past this stream
            raise AttributeError(name)
        return getattr(self.stream, name)


def print_plainly() -> None:
    """Has everything that this process prints be `steerless` from now on; a `PlainConsole` is so by itself."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, PlainStream):
            setattr(sys, name, PlainStream(stream))


def bare(stream: TextIO) -> TextIO:
    """The stream below `print_plainly`."""
    return stream.stream if isinstance(stream, PlainStream) else stream


def plain_log(stream: TextIO) -> TextIO:
    """A stream for what a job prints: its libraries' colours pass, nothing else that steers a terminal."""
    return cast("TextIO", PlainStream(bare(stream), colours=True))
