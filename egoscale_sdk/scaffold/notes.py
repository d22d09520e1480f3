"""Which guess, and which question, belongs above which field of a hand's file."""

from __future__ import annotations

import re
from collections.abc import Sequence

from egoscale_sdk.scaffold.guess import Guess
from egoscale_sdk.specs import HandSpec

# The field that rests on a guess, by how the name of what was guessed begins; the first that fits.
_FIELDS = {
    "side": "side",
    "root": "root",
    "mass": "mass_kg",
    "palm and fingers": "fingers",
    "palm": "T_root_wrist",
    "wrist": "T_root_wrist",
    "both hands": "mirror_signs",
    "open pose": "open_pose",
    "opening": "aperture",
    "aperture": "aperture",
    "limit": "joints",
    "speed": "joints",
    "bodies": "bodies",
    "shape": "bodies",
    "gain": "dynamics",
    "thumb": "fingers",
    "finger": "fingers",
    "tip": "fingers",
    "linkage": "fingers",
}
# The field that a question is about, by a word in it that is not the field's own name.
_ASKED = {"joint": "joints", "limit": "joints", "mimic": "joints", "thumb": "fingers", "finger": "fingers"}


def notes_of(hand: HandSpec, guesses: Sequence[Guess], questions: Sequence[str] = ()) -> dict[str, str]:
    """Return a comment for each field of a hand that rests on guesses, or about which something is asked."""
    notes: dict[str, list[str]] = {}
    for question in questions:
        notes.setdefault(_asked(hand, question), []).append(f"QUESTION: {question}")
    for guess in guesses:
        field = _field(guess.what.removeprefix(f"{hand.side} hand: "))
        notes.setdefault(field if getattr(hand, field) else "side", []).append(_sentence(guess))
    return {field: "\n".join(lines) for field, lines in notes.items()}


def _field(what: str) -> str:
    return next((field for start, field in _FIELDS.items() if what.lower().startswith(start)), "side")


def _asked(hand: HandSpec, question: str) -> str:
    """Return the field that a question (``file: ... field: ...``) names first, and ``side`` if it names none."""
    words = re.findall(r"\w+", question.partition(": ")[2])
    named = [word for word in words if word in type(hand).model_fields] + [
        _ASKED[word] for word in words if word in _ASKED
    ]
    return next((field for field in named if getattr(hand, field)), "side")


def _sentence(guess: Guess) -> str:
    return f"{'Guess' if guess.sure else 'Unsure guess'}: {guess.what}: {guess.value} ({guess.evidence})."
