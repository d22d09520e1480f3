"""Seeing whether code touches files, sockets, processes or threads, by Python's own audit events."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

_T = TypeVar("_T")
_EVENTS = ("open", "socket.", "subprocess.", "os.listdir", "os.scandir", "os.system", "os.exec", "os.fork", "os.posix_")


def watched(act: Callable[[], _T]) -> tuple[_T, list[str]]:
    """Return what ``act`` returns, and what it touched meanwhile, e.g. ``open('/dev/ttyUSB0')``, ``thread 'reader'``.

    Only this thread is listened to; a thread that is still there afterwards counts as well.
    """
    recorder = _recorder()
    before = set(threading.enumerate())
    recorder.seen = []
    try:
        result = act()
    finally:
        seen, recorder.seen = recorder.seen, None
    return result, seen + [f"thread {thread.name!r}" for thread in threading.enumerate() if thread not in before]


class _Recorder(threading.local):
    seen: list[str] | None = None

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.seen is not None and event.startswith(_EVENTS):
            self.seen.append(f"{event}({arguments[0]!r:.80})" if arguments else event)


@cache
def _recorder() -> _Recorder:
    """Add the one hook that there is: audit hooks can never be removed again."""
    recorder = _Recorder()
    sys.addaudithook(recorder.hear)
    return recorder
