"""Which guess belongs above which field of a hand's file."""

from __future__ import annotations

from collections.abc import Sequence

from egoscale_sdk.scaffold.guess import Guess
from egoscale_sdk.specs import HandSpec

# The first field one of whose words is in what was guessed.
_WORDS = {
    "side": ("side",),
    "T_root_wrist": ("wrist", "palm"),
    "mirror_signs": ("mirror",),
    "open_pose": ("open pose", "open_pose"),
    "aperture": ("aperture", "opening"),
    "bodies": ("bodies", "body", "shape"),
    "dynamics": ("gain", "dynamics"),
    "mass_kg": ("mass",),
    "joints": ("limit", "speed", "effort"),
    "fingers": ("tip", "finger", "thumb", "role"),
}


def notes_of(hand: HandSpec, guesses: Sequence[Guess]) -> dict[str, str]:
    """Return a comment for each field of a hand that rests on guesses: what, why, and whether to look at it."""
    notes: dict[str, list[str]] = {}
    for guess in guesses:
        field = _field(guess.what.removeprefix(f"{hand.side} hand: "))
        notes.setdefault(field if getattr(hand, field) else "side", []).append(_sentence(guess))
    return {field: "\n".join(lines) for field, lines in notes.items()}


def _field(what: str) -> str:
    return next((field for field, words in _WORDS.items() if any(word in what.lower() for word in words)), "side")


def _sentence(guess: Guess) -> str:
    return f"{'Found' if guess.sure else 'Guess'}: {guess.what}: {guess.value} ({guess.evidence})."
