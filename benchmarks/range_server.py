"""A web server on loopback that serves byte ranges of a folder, late and, if asked, badly; it counts what it serves.

Object stores are slow to begin an answer and quick to go on, so every answer waits ``latency_s`` first. It runs in a
thread, or in a process of its own where the reader's speed is measured.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import re
import threading
import urllib.request
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Fault = Callable[[str, int], str | None]
"""Told the name of a file and how often it was asked for; returns ``error``, ``deny``, ``hang``, ``cut``, ``flip``."""


_STATUS = {"error": 503, "deny": 403}


@dataclass
class _Served:
    gets: int = 0
    bytes: int = 0
    names: Counter[str] = field(default_factory=Counter)


class _Handler:
    """Answers requests for the files of a folder."""

    def __init__(self, folder: Path, latency_s: float, fault: Fault | None) -> None:
        self.folder, self.latency_s, self.fault = folder, latency_s, fault
        self.served = _Served()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin1")
                if not await self._answer(head, writer):
                    break
                await writer.drain()
        writer.close()

    async def _answer(self, head: str, writer: asyncio.StreamWriter) -> bool:
        name = head.split(" ", 2)[1].lstrip("/")
        if name == "_served":
            body = json.dumps({"gets": self.served.gets, "bytes": self.served.bytes, "names": self.served.names})
            writer.write(_head(200, len(body)) + body.encode())
            return True
        self.served.gets += 1
        self.served.names[name] += 1
        fault = self.fault(name, self.served.names[name]) if self.fault else None
        await asyncio.sleep(3600 if fault == "hang" else self.latency_s)
        file = self.folder / name
        if fault in _STATUS or not file.is_file():
            writer.write(_head(_STATUS.get(fault or "", 404), 0))
            return True
        data, status, served = _part(file, head)
        self.served.bytes += len(data)
        if fault == "flip":
            data = data[:-1] + bytes([data[-1] ^ 1])
        writer.write(_head(status, len(data), served) + data[: len(data) // 2 if fault == "cut" else None])
        return fault != "cut"


def _part(file: Path, head: str) -> tuple[bytes, int, str]:
    """Return what was asked for of a file, the status, and the header that says which bytes they are."""
    wanted = re.search(r"\r\nrange: bytes=(\d+)-(\d+)", head, re.IGNORECASE)
    with file.open("rb") as handle:
        if not wanted:
            return handle.read(), 200, ""
        first = int(wanted[1])
        handle.seek(first)
        data = handle.read(int(wanted[2]) + 1 - first)
    return data, 206, f"Content-Range: bytes {first}-{first + len(data) - 1}/{file.stat().st_size}\r\n"


def _head(status: int, length: int, fields: str = "") -> bytes:
    return f"HTTP/1.1 {status} x\r\nContent-Length: {length}\r\n{fields}\r\n".encode()


def _run(folder: Path, latency_s: float, fault: Fault | None, started: Callable[[int], Any]) -> None:
    async def main() -> None:
        handler = _Handler(folder, latency_s, fault)
        server = await asyncio.start_server(handler.serve, "127.0.0.1", 0)
        started(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(main())


class RangeServer:
    """Serves a folder while the context lasts; ``url`` is its address.

    Args:
        folder: What is served.
        latency_s: Seconds before each answer.
        fault: What goes wrong; only without ``process``.
        process: Serve from a process of its own.
    """

    def __init__(
        self, folder: Path, latency_s: float = 0.0, fault: Fault | None = None, *, process: bool = False
    ) -> None:
        self._process: Any = None
        if process:
            context = multiprocessing.get_context("spawn")
            receiver, sender = context.Pipe(duplex=False)
            self._process = context.Process(target=_run, args=(folder, latency_s, fault, sender.send), daemon=True)
            self._process.start()
            port = receiver.recv()
        else:
            ports: list[int] = []
            ready = threading.Event()

            def started(number: int) -> None:
                ports.append(number)
                ready.set()

            threading.Thread(target=_run, args=(folder, latency_s, fault, started), daemon=True).start()
            ready.wait()
            port = ports[0]
        self.url = f"http://127.0.0.1:{port}"

    def served(self) -> dict[str, Any]:
        """Return ``gets``, ``bytes`` and ``names`` (how often each file was asked for) since the server began."""
        with urllib.request.urlopen(f"{self.url}/_served") as answer:
            counts: dict[str, Any] = json.load(answer)
        return counts

    def __enter__(self) -> RangeServer:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.join()
