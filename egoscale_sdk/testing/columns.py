"""Whether the columns of a hand space are its joints, judged by their names."""

from __future__ import annotations

import re

from egoscale_sdk.specs import HandSpec
from egoscale_sdk.testing.check import Violation


def compare_columns(hand: HandSpec) -> None:
    """Hold the columns of a hand against its driven joints, in order.

    Raises:
        Violation: they differ in number or unit, a column begins with a side, or its name belongs to another joint.
    """
    columns, joints = hand.hand_space.columns, hand.actuated
    units = [joint.unit for joint in joints]
    if [column.unit for column in columns] != units:
        raise Violation(f"the {hand.side} hand drives {len(joints)} joints ({', '.join(units)}), its space differs")
    names = [_words(joint.name) for joint in joints]
    for column, joint, name in zip(columns, joints, names, strict=True):
        words = _words(column.name)
        if hand.aperture is None and words[0] in ("left", "right"):
            raise Violation(f"column {column.name!r} begins with a side, but both hands share the space")
        others = [other.name for other, its in zip(joints, names, strict=True) if _contains(its, words)]
        if others and not _contains(name, words):
            raise Violation(f"column {column.name!r} is joint {joint.name!r}, but names {others[0]!r}")


def _words(name: str) -> list[str]:
    return [word for word in re.split(r"[_.\-]+", name.lower()) if word]


def without_side(name: str) -> str:
    """Return a joint's name in lower case without left, right, l, r, lh or rh."""
    words = [word for word in _words(name) if word not in ("l", "r", "lh", "rh")]
    return re.sub("left|right", "", "_".join(words)).strip("_")


def _contains(words: list[str], part: list[str]) -> bool:
    return any(words[n : n + len(part)] == part for n in range(len(words)))
