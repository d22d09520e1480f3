"""One fault each, for the checks of the family SIM."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from egoscale_sdk.specs import HandSpec
from egoscale_sdk.testing.fakes.good import with_hands
from egoscale_sdk.testing.subject import Subject


def _followers_forgotten(hand: HandSpec) -> dict[str, Any]:
    """Followers that only the URDF knows: a simulation has no servo and no coupling for them."""
    return {"joints": hand.actuated}


def _violent_servos(hand: HandSpec) -> dict[str, Any]:
    """Gains as of a motor's firmware, neither damping nor inertia, and no limit of effort."""
    violent = {"kp": 1e6, "damping": 0.0, "armature": 0.0}
    joints = [joint.model_copy(update={"effort_nm": None}) for joint in hand.joints]
    return {"dynamics": tuple(item.model_copy(update=violent) for item in hand.dynamics), "joints": tuple(joints)}


def _in_grams(hand: HandSpec) -> dict[str, Any]:
    return {"mass_kg": 1000 * (hand.mass_kg or 0)}


MUTANTS: dict[str, Callable[[], Subject]] = {
    "SIM001": lambda: with_hands(_followers_forgotten),
    "SIM002": lambda: with_hands(_violent_servos),
    "SIM003": lambda: with_hands(_in_grams),
}
