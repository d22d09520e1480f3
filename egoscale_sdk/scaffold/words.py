"""What names of links and joints say: a side, a finger; and what is left of a joint's name without its side."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from egoscale_sdk.specs import Side

ROLE_WORDS: dict[str, tuple[str, ...]] = {
    "thumb": ("thumb", "pollex"),
    "index": ("index", "forefinger", "pointer"),
    "middle": ("middle",),
    "ring": ("ring",),
    "pinky": ("pinky", "little", "pinkie"),
}
_SHORT = {"th": "thumb", "ff": "index", "mf": "middle", "rf": "ring", "lf": "pinky"}
_SIDE_WORDS: dict[str, Side] = {
    "left": "left",
    "right": "right",
    "l": "left",
    "r": "right",
    "lh": "left",
    "rh": "right",
}
_SWAPPED = {"left": "right", "l": "r", "lh": "rh"}
_SWAP = _SWAPPED | {right: left for left, right in _SWAPPED.items()}
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def words(name: str) -> list[str]:
    """Split a name into lower-case words at separators, digits and capitals."""
    return [word.lower() for word in _WORD.findall(name)]


def role_of(names: Iterable[str]) -> str | None:
    """Return the finger that names of one chain speak of, or None where they name none or several.

    The first finger in a name counts. ``middle`` beside another one is a phalanx: ``middle_link`` of an index finger.
    """
    found = {role for name in names if (role := _first_role(name))}
    if len(found) > 1:
        found.discard("middle")
    return found.pop() if len(found) == 1 else None


def _first_role(name: str) -> str | None:
    places = [(_place(name, word), role) for role, spoken in ROLE_WORDS.items() for word in spoken]
    return min(((at, role) for at, role in places if at >= 0), default=(0, None))[1]


def _place(name: str, word: str) -> int:
    """Where a name holds a word, or -1; a short one only by itself, since it is a part of others."""
    if len(word) >= 5:
        return name.lower().find(word)
    return next((match.start() for match in _WORD.finditer(name) if match.group().lower() == word), -1)


def roles_of(chains: Sequence[Sequence[str]]) -> list[str | None]:
    """Return what each chain's names call it; short forms (th ff mf rf lf) count where three or more are used."""
    roles = [role_of(names) for names in chains]
    if any(roles):
        return roles
    short: list[str | None] = []
    for names in chains:
        found = {_SHORT[word] for name in names for word in words(name) if word in _SHORT}
        short.append(found.pop() if len(found) == 1 else None)
    return short if len({role for role in short if role}) >= 3 else roles


def side_of(names: Sequence[str]) -> tuple[Side | None, int]:
    """Return the side that names speak of and how many do; None where none does, or both sides occur."""
    spoken = [side for name in names for side in _sides(name)]
    sides = set(spoken)
    return (sides.pop(), len(spoken)) if len(sides) == 1 else (None, len(spoken))


def _sides(name: str) -> list[Side]:
    """Side words in a name; single letters only where they stand alone."""
    parts = {part.lower() for part in re.split(r"[_.\-]", name)} | {word for word in words(name) if len(word) > 2}
    return [_SIDE_WORDS[part] for part in sorted(parts) if part in _SIDE_WORDS]


def other_side(name: str, side: Side) -> str:
    """Return a name with its side words swapped; ``side`` is put before one that has none."""
    parts = re.split(r"([_.\-])", name)
    swapped = [_swap(part) for part in parts]
    return "".join(swapped) if swapped != parts else f"{side}_{name}"


def _swap(part: str) -> str:
    """Swap a side word, or one that a part begins or ends with (``leftHand``, ``RHand`` but not ``wright``)."""
    for old, new in _SWAP.items():
        for before in {old, old.capitalize(), old.upper()}:
            after = new.upper() if before.isupper() else new.capitalize() if before[0].isupper() else new
            if part == before:
                return after
            if part.startswith(before) and part[len(before) : len(before) + 1].isupper() and len(before) > 2:
                return after + part[len(before) :]
    return part


def column_names(joints: Sequence[str], side: Side | None) -> list[str]:
    """Return names of hand-space columns: joints' names without their side, what all share, and the word joint.

    The names of joints as they are, where nothing distinct would be left.
    """
    parts = [[part for part in re.split(r"[_.\-]", name) if part and not _says(part, side)] for name in joints]
    parts = [part[:-1] if len(part) > 1 and part[-1].lower() == "joint" else part for part in parts]
    while len(parts) > 1 and all(len(part) > 1 for part in parts) and len({part[0] for part in parts}) == 1:
        if not all(part[1][0].isalpha() for part in parts):
            break
        parts = [part[1:] for part in parts]
    names = ["_".join(part) for part in parts]
    good = len(set(names)) == len(names) and all(re.match(r"[A-Za-z_]", name) for name in names)
    return names if good else list(joints)


def _says(part: str, side: Side | None) -> bool:
    return side is not None and _SIDE_WORDS.get(part.lower()) == side


def renamed(names: Iterable[str], side: Side) -> Mapping[str, str]:
    """Map names of one hand to those of the other, which is ``side``; still as many distinct ones."""
    listed = list(names)
    new = {name: other_side(name, side) for name in listed}
    return new if len(set(new.values()) | set(listed)) == 2 * len(set(listed)) else {n: f"{side}_{n}" for n in listed}
