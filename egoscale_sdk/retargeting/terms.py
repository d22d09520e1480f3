"""What the frames of a finger should do, as terms: vectors between two frames, or places in the wrist frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Target = Literal["shape", "scaled", "metric"]
TARGETS: tuple[Target, ...] = ("shape", "scaled", "metric")

HUBER_M = 0.02
HELD = 1e4  # m^2: curvature given to a variable that rests on a bound, so that it stays there
MAX_STEP = 0.8  # rad per iteration; a longer step leaves where the linearisation means anything
BONE_WEIGHT, TIP_WEIGHT = 0.5, 1.0
PLACE_WEIGHTS = (1.0, 0.25, 0.5)  # of the tip, of the frame before it, of the others


@dataclass(frozen=True)
class Term:
    """The vector from slot ``inner`` to slot ``outer``, or the place of ``outer`` where ``inner`` is None.

    ``of_tip`` terms give way while the finger pinches.
    """

    outer: int
    inner: int | None
    weight: float
    of_tip: bool


def finger_terms(slots: int, target: Target) -> tuple[Term, ...]:
    """Terms of every finger of ``slots`` frames.

    ``shape`` follows each bone and their sum from the base to the tip; ``scaled`` and ``metric`` follow places.
    """
    tip = slots - 1
    if target == "shape":
        bones = [Term(k, k - 1, BONE_WEIGHT, False) for k in range(1, slots)]
        return (*bones, Term(tip, 0, TIP_WEIGHT, True)) if tip else ()
    weights = [PLACE_WEIGHTS[min(tip - k, 2)] for k in range(slots)]
    return tuple(Term(k, None, weights[k], k == tip) for k in range(1, slots))
