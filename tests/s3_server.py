"""An S3 on loopback: moto's server, in this process."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import pytest

from benchmark.launchers.stored import opened

BUCKET = "bucket"
SECRET = "secret-of-the-tests"
_CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIAOFTHETESTS",
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_DEFAULT_REGION": "us-east-1",
}


@contextmanager
def s3_server() -> Iterator[str]:
    """Yields the URL of an empty bucket; this process and what it starts know where its server is meanwhile."""
    server_of = pytest.importorskip("moto.server", reason="moto is not installed (dev)")
    pytest.importorskip("s3fs", reason="s3fs is not installed (detboard[s3])")
    import boto3

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = server_of.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    unwanted = [name for name in os.environ if name.startswith(("AWS_", "FSSPEC_"))]
    clean = {key: value for key, value in os.environ.items() if key not in unwanted}
    address = {"AWS_ENDPOINT_URL": f"http://{host}:{port}", "NO_PROXY": "127.0.0.1"}
    try:
        with patch.dict(os.environ, {**clean, **_CREDENTIALS, **address}, clear=True):
            boto3.client("s3").create_bucket(Bucket=BUCKET)
            opened.cache_clear()  # of a server before this one
            yield f"s3://{BUCKET}/runs of mine"
    finally:
        server.stop()
