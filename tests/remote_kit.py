"""An object store on loopback: moto speaks the protocol of S3, conditional puts included."""

from __future__ import annotations

import urllib.request
import uuid
from collections.abc import Iterator

import pytest
from moto.server import ThreadedMotoServer

VARIABLES = ("AWS_ENDPOINT", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_ALLOW_HTTP")


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """Address of the server."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_server, monkeypatch, tmp_path) -> str:
    """Address of an empty bucket, with the environment that reaches it."""
    values = (s3_server, "key", "secret", "us-east-1", "true")
    for name, value in zip(VARIABLES, values, strict=True):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("EGOSCALE_CACHE", str(tmp_path / "cache"))
    name = f"b{uuid.uuid4().hex[:16]}"
    urllib.request.urlopen(urllib.request.Request(f"{s3_server}/{name}", method="PUT")).close()
    return f"s3://{name}"
