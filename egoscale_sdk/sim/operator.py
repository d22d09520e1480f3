"""Who leads a hand in the task: a person, directly or through a retargeter that maps their free hand online."""

from __future__ import annotations

import numpy as np

from egoscale_sdk.geometry import Floats
from egoscale_sdk.interfaces import Retargeter
from egoscale_sdk.sim.hand_model import PULP
from egoscale_sdk.sim.person import KEYPOINTS, person_hand, posture
from egoscale_sdk.sim.world import HandWorld
from egoscale_sdk.specs import HandSpec, Side

SKIN = (0.86, 0.62, 0.50, 1.0)
_WOBBLE_RAD = 0.03


def person_world(side: Side = "right") -> HandWorld:
    """Return the world of a person's own hand, with soft pulp."""
    return HandWorld(person_hand(side), contact=PULP, rgba=SKIN)


class Operator:
    """Turns a person's hand closure over time into the commands of one hand.

    Args:
        hand: The hand that is led.
        retargeter: From the person's 21 keypoints to that hand; None where the hand is the person's own.
    """

    def __init__(self, hand: HandSpec, retargeter: Retargeter | None) -> None:
        self._retargeter = retargeter
        self._skeleton = HandWorld(person_hand(hand.side))

    def commands(self, closure: Floats, rng: np.random.Generator) -> Floats:
        """Return hand vectors ``(T, J)`` for a closure ``(T,)``; the person's fingers differ a little each time.

        The person's hand is in free air, so it closes beyond where an object's surface would stop it.
        """
        habit = rng.normal(0.0, _WOBBLE_RAD, len(posture(0.0)))
        postures = np.stack([posture(value) + habit for value in closure])
        if self._retargeter is None:
            return postures
        import torch

        keypoints = np.stack([self._keypoints(joints) for joints in postures])
        result = self._retargeter.retarget(torch.from_numpy(keypoints))
        joints: Floats = result.joints.numpy().astype(np.float64)
        return joints

    def _keypoints(self, joints: Floats) -> Floats:
        world = self._skeleton
        world.reset(np.eye(4), joints, np.array([1.0, 1.0]), np.eye(4))
        return world.positions(KEYPOINTS)
