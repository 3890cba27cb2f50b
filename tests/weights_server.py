"""A server of weights on loopback, with the faults that real ones have; as a proxy it stands in for any of them."""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import torch

PAGE = b"<!DOCTYPE html><html><body>Please log in</body></html>"


def weights(size: int = 1000, seed: int = 1) -> bytes:
    """A checkpoint with one tensor, as torch saves it."""
    tensor = torch.full((size,), float(seed))
    file = io.BytesIO()
    torch.save({"state_dict": {"somewhere": tensor}}, file)
    return file.getvalue()


def named(stem: str, content: bytes) -> str:
    """The file's name with the first digits of its hash."""
    return f"{stem}-{hashlib.sha256(content).hexdigest()[:8]}.pth"


@dataclass
class Server:
    """What is served, and what was asked.

    Attributes:
        files: By path, or by whole address where it is asked as a proxy.
        faults: By the same what the next requests for a file meet, one after the other; the last stays where it is
            followed by ``...``.
        asked: Method, path and range of each request.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, list[Any]] = field(default_factory=dict)
    etags: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    accounts: list[str] = field(default_factory=list)

    def put(self, path: str, content: bytes, *faults: Any) -> str:
        """Serves a file; returns its address."""
        self.files[path] = content
        self.faults[path] = list(faults)
        return f"{self.url}{path}"

    def gets(self, path: str) -> list[str]:
        """The ranges of the requests for a file's content."""
        return [ranges for method, asked, ranges in self.asked if (method, asked) == ("GET", path)]

    def fault(self, path: str) -> Any:
        """What the next request for a file meets."""
        left = self.faults.get(path) or [None]
        if len(left) > 1 and left[1] is ...:
            return left[0]
        return left.pop(0)


class _Handler(BaseHTTPRequestHandler):
    server_of: Server

    def do_HEAD(self) -> None:
        self._answer(with_content=False)

    def do_GET(self) -> None:
        self._answer(with_content=True)

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self, with_content: bool) -> None:
        served, path = self.server_of, self.path
        served.asked.append((self.command, path, self.headers.get("Range", "")))
        served.accounts.append(self.headers.get("Authorization", ""))
        content = served.files.get(path)
        fault = served.fault(path) if with_content else None
        if content is None:
            self.send_error(404)
        elif isinstance(fault, int):
            self.send_error(fault)
        elif fault == "page":
            self._send(200, PAGE, {"Content-Type": "text/html; charset=utf-8"})
        elif isinstance(fault, str) and fault.startswith("to "):
            self.send_response(302)
            self.send_header("Location", fault.removeprefix("to "))
            self.end_headers()
        elif isinstance(fault, bytes):
            self._send(200, fault, {})
        elif fault == "packed":
            self._send(200, gzip.compress(content), {"Content-Encoding": "gzip"})
        elif fault == "another part":
            self._send(
                206, content[1:], {"Content-Range": f"bytes 1-{len(content)}/{len(content)}"}
            )
        else:
            self._send_file(path, content, fault, with_content)

    def _send_file(self, path: str, content: bytes, fault: Any, with_content: bool) -> None:
        headers = {"ETag": served} if (served := self.server_of.etags.get(path)) else {}
        begin = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
        same = self.headers.get("If-Range", served or "") == (served or "")
        if begin and fault != "no range" and same:
            start = int(begin[1])
            if start >= len(content):
                self._send(416, b"", {"Content-Range": f"bytes */{len(content)}"})
                return
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self._send(206, content[start:], headers, with_content, fault)
        else:
            self._send(200, content, headers, with_content, fault)

    def _send(
        self,
        status: int,
        content: bytes,
        headers: dict[str, str],
        with_content: bool = True,
        fault: Any = None,
    ) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/octet-stream", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if with_content:
            self.wfile.write(content[: len(content) // 2] if fault == "cut" else content)
        self.close_connection = True


@contextmanager
def serving() -> Iterator[Server]:
    """Serves on a free port of loopback."""
    served = Server()
    handler = type("Handler", (_Handler,), {"server_of": served})
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    served.url = f"http://127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield served
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
