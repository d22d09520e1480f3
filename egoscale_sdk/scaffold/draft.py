"""From a vendor's URDF to the draft of a hand: what the file says, what is guessed, what a person must answer."""

from __future__ import annotations

from dataclasses import dataclass

from egoscale_sdk.scaffold.guess import Guess
from egoscale_sdk.specs import HandSpec

__all__ = ["Guess", "HandDraft"]


@dataclass(frozen=True)
class HandDraft:
    """A hand as far as its URDF tells it.

    Attributes:
        hand: Complete and valid; its ``urdf`` is not set, its ``tree`` is the hand alone with estimated tips added.
        guesses: What the file does not say, with evidence.
        questions: What a person must answer, one line each, naming file and field; empty where the file is complete.
    """

    hand: HandSpec
    guesses: tuple[Guess, ...]
    questions: tuple[str, ...]
