"""A guess: what was inferred from a file, and by which evidence."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Guess:
    """Something that a URDF does not say and that was inferred from its geometry or its names.

    Attributes:
        what: What was inferred, e.g. ``right hand: thumb``.
        value: What it is taken to be, e.g. ``chain thumb_1 .. thumb_3``.
        evidence: Why, with numbers, on one line.
        sure: False where a person should look at it before the plugin is used.
    """

    what: str
    value: str
    evidence: str
    sure: bool = False
