"""How long work reports where it is, without knowing who listens."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called with how much is done, of how much if known, and a short note such as a rate."""

    def __call__(self, done: int, total: int | None = None, note: str = "") -> None:
        """Report progress."""


def silent(done: int, total: int | None = None, note: str = "") -> None:
    """A `Progress` that says nothing."""
