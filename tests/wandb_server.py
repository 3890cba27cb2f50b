"""A local stand-in for the W&B server: enough of its GraphQL for a run to be uploaded, or failures."""

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class FakeServer(http.server.ThreadingHTTPServer):
    """Answers each POST as W&B does, or with ``status``, or (``silent``) never.

    Attributes:
        uploaded: The content of each uploaded line of the history, in order.
        variables: What the run was created or updated with, newest last.
        resume_asked: Whether it was asked for an earlier attempt to continue.
    """

    daemon_threads = True

    def __init__(self, status: int | None = None, silent: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status, self.silent = status, silent
        self.uploaded: list[dict[str, Any]] = []
        self.variables: list[dict[str, Any]] = []
        self.resume_asked = False
        self.closing = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def serving(server: FakeServer) -> Iterator[FakeServer]:
    """Serves while the block runs."""
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        stop(server)


def stop(server: FakeServer) -> None:
    """Goes away: whoever connects from now on is refused."""
    server.closing.set()
    server.shutdown()
    server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    server: FakeServer

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.end_headers()

    def do_PUT(self) -> None:
        self._body()
        self._answer(200, {})

    def do_POST(self) -> None:
        request = json.loads(self._body() or b"{}")
        if self.server.silent:
            self.server.closing.wait()
        elif self.server.status is not None:
            self._answer(self.server.status, {})
        elif "query" in request:
            self._answer(200, {"data": self._data(request["query"], request["variables"])})
        else:
            self._take_stream(request)
            self._answer(200, {})

    def _take_stream(self, request: dict[str, Any]) -> None:
        lines = request.get("files", {}).get("wandb-history.jsonl", {}).get("content", [])
        self.server.uploaded += [json.loads(line) for line in lines]

    def _data(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        if "UpsertBucket" in query:
            self.server.variables.append(variables)
            return {"upsertBucket": {"bucket": _bucket(variables), "inserted": True}}
        if "CreateRunFiles" in query:
            files = [{"name": n, "uploadUrl": f"{self.server.url}/{n}"} for n in variables["files"]]
            return {"createRunFiles": {"runID": "x", "uploadHeaders": [], "files": files}}
        self.server.resume_asked |= "RunResumeStatus" in query
        return {"model": None}

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _answer(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: Any) -> None:
        pass


def _bucket(variables: dict[str, Any]) -> dict[str, Any]:
    project = {"id": "p", "name": "detboard", "entity": {"id": "e", "name": "somebody"}}
    named = {key: variables[key] for key in ("name", "displayName")}
    return {"id": "x", **named, "config": "{}", "historyLineCount": 0, "project": project}
