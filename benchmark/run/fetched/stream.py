"""A file from one address: one request, from its start or from where the last one was cut, and what an answer means.

Python's own HTTP client is enough: it follows redirects, and takes proxies and certificates from the environment.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPException, HTTPResponse, InvalidURL
from pathlib import Path
from typing import cast
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote, urlsplit, urlunsplit
from urllib.request import Request, urlopen

from benchmark.errors import printable, why
from benchmark.writing.addresses import public
from benchmark.writing.words import size

Told = Callable[[int, int | None], None]
"""Hears how many bytes of a file are here, and how many there are, None where the server does not say."""

TIMEOUT_S = 20.0
_BLOCK = 1 << 18
_LATER = (408, 425, 429, 500, 502, 503, 504)
_PARTIAL, _NOT_THAT_RANGE = 206, 416
_PACKED = ("gzip", "x-gzip", "deflate", "compress", "br", "zstd")
# What an address may hold as it is: marks of its own, and what is written as an escape already.
_PLAIN = "%/:=&?~#+!$,;'@()*[]"


class Refused(Exception):
    """This address does not give the file, and a further try would not mend it."""


class Passing(Exception):
    """Something that may pass."""


class Unreachable(Passing):
    """The server does not answer at all: there is no network, or no such server."""


@dataclass
class Stream:
    """A file that is fetched from one address, in as many requests as it takes.

    Attributes:
        url: The address.
        part: Where it is put.
        told: Hears of its progress.
        goes_on: Whether what is there is gone on from; if not, only from what this very version of the file gave.
    """

    url: str
    part: Path
    told: Told
    goes_on: bool
    _version: str = ""

    def fetch(self) -> None:
        """Asks for what is missing of the file, or for all of it where the server gives no rest.

        Raises:
            Refused: The address does not give it.
            Passing: It gave less, and what came is kept.
            OSError: The file system says no.
        """
        have = size_of(self.part) if self.goes_on or self._version else 0
        with open_address(self.url, "GET", TIMEOUT_S, self._range(have)) as answer:
            if answer.status == _NOT_THAT_RANGE:
                return self._judge_end(answer.headers, have)
            if is_page(answer):
                raise Refused(f"answers with a web page, from {public(answer.geturl())}")
            if (packed := answer.headers.get("Content-Encoding", "").lower()) in _PACKED:
                raise Refused(f"gives the file packed ({packed}), which it was not asked for")
            self._version = strong_etag(answer.headers)
            begin, whole = self._extent(answer, have)
            self._write(answer, begin, whole)
        have = size_of(self.part)
        if whole is not None and have < whole:
            raise Passing(f"the connection was cut after {size(have)} of {size(whole)}")

    def _range(self, have: int) -> dict[str, str]:
        if not have:
            return {}
        same = {"If-Range": self._version} if self._version else {}
        return {"Range": f"bytes={have}-", **same}

    def _judge_end(self, headers: Message, have: int) -> None:
        """There is no rest: the file is here, or what is here is of another."""
        whole = re.fullmatch(r"bytes \*/(\d+)", headers.get("Content-Range", ""))
        if whole is None or int(whole[1]) != have:
            self.part.unlink()
            raise Passing("has no rest to what is here")

    def _extent(self, answer: HTTPResponse, have: int) -> tuple[int, int | None]:
        """Where in the file an answer begins, and how many bytes the file has.

        Raises:
            Passing: It is another part than the one asked for; what is here is thrown away, or it would be asked for
                its rest for ever.
        """
        length = length_of(answer.headers)
        if answer.status != _PARTIAL:
            return 0, length
        given = re.match(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
        if given is None or int(given[1]) != have:
            self.part.unlink(missing_ok=True)
            raise Passing("gives another part of the file than the one that it was asked for")
        if given[2].isdecimal():
            return have, int(given[2])
        return have, None if length is None else have + length

    def _write(self, answer: HTTPResponse, begin: int, whole: int | None) -> None:
        with self.part.open("r+b" if begin else "wb") as file:
            file.seek(begin)
            file.truncate()
            for block in _blocks(answer):
                file.write(block)
                self.told(file.tell(), whole)


def size_of(path: Path) -> int:
    """Bytes of a file; 0 where there is none."""
    return path.stat().st_size if path.exists() else 0


def open_address(
    url: str, method: str, timeout_s: float, headers: dict[str, str] | None = None
) -> HTTPResponse:
    """The answer to a request, once its headers are here.

    Args:
        url: Address; a user and a password in it are sent as HTTP's basic authentication, to no other server.
        method: ``GET`` or ``HEAD``.
        timeout_s: Seconds that a server may be silent.
        headers: More of the request's; with a range, an answer that there is none is returned, too.

    Raises:
        Refused: There is no such file, or it may not be had.
        Unreachable: There is no such server, or it does not answer.
        Passing: Anything that may pass.
    """
    try:
        return cast(
            "HTTPResponse", urlopen(_request(url, method, headers or {}), timeout=timeout_s)
        )
    except HTTPError as error:
        if error.code == _NOT_THAT_RANGE and headers:
            return cast("HTTPResponse", error)
        with error:
            raise _of_status(error) from None
    except URLError as error:
        reason: object = error.reason
        told = why(reason) if isinstance(reason, BaseException) else str(reason)
        raise Unreachable(told) from None
    except TimeoutError as error:  # connected, and not one word
        raise Unreachable(why(error)) from None
    except (InvalidURL, ValueError) as error:
        raise Refused(why(error)) from None
    except (HTTPException, OSError) as error:
        raise Passing(why(error)) from None


def _request(url: str, method: str, headers: dict[str, str]) -> Request:
    parts = urlsplit(url)
    account, _, server = parts.netloc.rpartition("@")
    path, query = quote(parts.path, safe=_PLAIN), quote(parts.query, safe=_PLAIN)
    bare = urlunsplit((parts.scheme, server, path, query, ""))
    request = Request(bare, method=method, headers={"User-Agent": "detboard", **headers})
    if account:
        token = base64.b64encode(unquote(account).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {token}")
    return request


def _of_status(error: HTTPError) -> Refused | Passing:
    # Of a redirect that goes round in circles the reason has three lines, of a forbidden one the whole address.
    reason = next(iter(str(error.reason).splitlines()), "")
    told = public(f"answers {error.code} {printable(reason)[:200]}".rstrip())
    return Passing(told) if error.code in _LATER else Refused(told)


def is_page(answer: HTTPResponse) -> bool:
    """Whether an answer is a page for readers: of a login, of a portal, of an error that does not say so."""
    return answer.headers.get_content_type() in ("text/html", "application/xhtml+xml")


def length_of(headers: Message) -> int | None:
    """The bytes that an answer announces; None if it does not."""
    text = headers.get("Content-Length", "")
    return int(text) if text.isdecimal() and not headers.get("Content-Encoding") else None


def strong_etag(headers: Message) -> str:
    """The name of this very version of a file; empty where the server has none."""
    etag = headers.get("ETag", "")
    return "" if etag.startswith("W/") else etag


def _blocks(answer: HTTPResponse) -> Iterator[bytes]:
    while True:
        try:
            block = answer.read1(
                _BLOCK
            )  # what has come: `read` waits for all, and forgets it if that is cut
        except (HTTPException, OSError) as error:
            raise Passing(f"the connection was cut: {why(error)}") from None
        if not block:
            return
        yield block
