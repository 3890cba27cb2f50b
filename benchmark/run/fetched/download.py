"""Brings one file from the first of several servers that gives it, and makes sure that it is the one.

torch's hub, which mmengine asks, begins anew after each cut, tries nothing twice, and takes a web page for weights.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from benchmark.files import sha256_file
from benchmark.run.fetched.soundness import digits_of, junk_in, wrong_digits
from benchmark.run.fetched.stream import (
    Passing,
    Refused,
    Stream,
    Told,
    Unreachable,
    is_page,
    length_of,
    open_address,
    size_of,
)

PAUSE_S = 0.5  # before a second try; it doubles with each further one
_IDLE_TRIES = {Unreachable: 2, Passing: 4}  # in a row without one byte more
_TRIES = 30
_RETRIED_S = 25.0  # of silence, after which no server is asked a second time
_OFFLINE_S = 50.0  # of silence, after which none is asked at all


class NotFetched(Exception):
    """No server has given the file; the text has each of them, and why."""


@dataclass
class Network:
    """The servers that a command asks: one that does not answer is not asked again.

    Attributes:
        gone: Why a server could not be reached, by its name.
        silent_s: Seconds since any server has answered that were spent on such as do not: without a network, whose
            requests may be swallowed, ten servers would take minutes.
    """

    gone: dict[str, str] = field(default_factory=dict)
    silent_s: float = 0.0

    def bring(self, urls: Sequence[str], part: Path, name: str, told: Told) -> None:
        """Brings a file.

        Args:
            urls: Addresses of the same file, the first that gives it wins.
            part: Where it is put; what a former command has left there is gone on from, if the name tells its hash.
            name: The name that it is to have.
            told: Hears of its progress.

        Raises:
            NotFetched: No address has given it, or what came is something else.
            OSError: The file system says no.
        """
        if digits_of(name) is None:  # nothing would tell that it is pieces of two files
            part.unlink(missing_ok=True)
        reasons: dict[str, None] = {}
        for url in urls:
            try:
                return self._from(url, part, name, told)
            except Refused as error:
                reasons[f"{server_of(url)}: {error}"] = None
        raise NotFetched("; ".join(reasons))

    def size(self, urls: Sequence[str], timeout_s: float) -> int | None:
        """How many bytes a file has, by the first server that says so; None if none does.

        Args:
            urls: As of `bring`.
            timeout_s: Seconds that each server may be silent.
        """
        for url in urls:
            if server_of(url) in self.gone:
                continue
            try:
                with open_address(url, "HEAD", timeout_s) as answer:
                    if not is_page(answer):
                        return length_of(answer.headers)
            except Unreachable as error:
                self.gone[server_of(url)] = str(error)
            except (Refused, Passing):
                continue
        return None

    def _from(self, url: str, part: Path, name: str, told: Told) -> None:
        """The whole file from one server; begun anew once, where it came in parts and is not what its name says."""
        in_parts = size_of(part) > 0
        while True:
            self._patiently(Stream(url, part, told, digits_of(name) is not None))
            wrong = junk_in(part) or wrong_digits(name, sha256_file(part))
            if wrong is None:
                return
            part.unlink()
            if not in_parts:
                raise Refused(f"what it gives {wrong}" if wrong.startswith("is") else wrong)
            in_parts = False

    def _patiently(self, stream: Stream) -> None:
        """Fetches a file, and tries again as long as more of it comes."""
        server = server_of(stream.url)
        if server in self.gone:
            raise Refused(self.gone[server])
        if self.silent_s >= _OFFLINE_S:
            raise Refused(f"not asked, after {self.silent_s:.0f} s in which no server has answered")
        most, idle = size_of(stream.part), 0
        for _ in range(_TRIES):
            failed = self._try(stream)
            if failed is None:
                return
            have = size_of(stream.part)
            idle = 0 if have > most else idle + 1
            most = max(most, have)
            if idle >= _IDLE_TRIES[type(failed)] or self.silent_s >= _RETRIED_S:
                break
            time.sleep(PAUSE_S * 2**idle)
        if isinstance(failed, Unreachable):
            self.gone[server] = str(failed)
        raise Refused(str(failed))

    def _try(self, stream: Stream) -> Passing | None:
        """What came between, and may pass; None where all of the file is here."""
        begun = time.monotonic()
        try:
            stream.fetch()
        except Unreachable as error:
            self.silent_s += time.monotonic() - begun
            return error
        except Passing as error:
            self.silent_s = 0.0
            return error
        except Refused:
            self.silent_s = 0.0
            raise
        self.silent_s = 0.0
        return None


def server_of(url: str) -> str:
    """The name of the server that an address names, with its port."""
    return urlsplit(url).netloc.rpartition("@")[2]
