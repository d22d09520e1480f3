"""How long work reports where it is, without knowing who listens."""

from __future__ import annotations

import time
from typing import Protocol


class Progress(Protocol):
    """Called with how much is done, of how much if known, and a short note such as a rate."""

    def __call__(self, done: int, total: int | None = None, note: str = "") -> None:
        """Report progress."""


def silent(done: int, total: int | None = None, note: str = "") -> None:
    """A `Progress` that says nothing."""


class Rate:
    """How many a second, since it was made; only for people to see."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def __call__(self, count: int) -> str:
        """Return the mean rate as a text, such as ``12,345``."""
        return f"{count / max(1e-3, time.monotonic() - self._start):,.0f}"
