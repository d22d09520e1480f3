"""The body: from joint vector to frames."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Literal

from egoscale_sdk.specs import EmbodimentSpec, JointSpec, Side

if TYPE_CHECKING:
    from torch import Tensor

Capability = Literal["forward_kinematics", "wrist_from_arms"]


@dataclass(frozen=True)
class Frame:
    """A named frame of `Embodiment.forward_kinematics`: the link, its side, and the frame it is expressed in."""

    name: str
    side: Side | None
    base: str


class Embodiment(ABC):
    """A body that is described by a spec and can say where its frames are.

    Joint vectors ``q`` are in the order of ``spec.joints``: left arm, right arm, left hand, right hand; rad or m.
    Frames of a hand without an arm are expressed in that hand's own root; with an arm, in the arm's base.
    """

    spec: EmbodimentSpec

    @property
    @abstractmethod
    def capabilities(self) -> frozenset[Capability]:
        """What this body supports; a keypoint embodiment (people) has no forward kinematics."""

    @property
    @abstractmethod
    def frames(self) -> tuple[Frame, ...]:
        """The frames that `forward_kinematics` returns, in order."""

    @abstractmethod
    def forward_kinematics(self, q: Tensor) -> Tensor:
        """Return the pose of every frame.

        Args:
            q: Joint vector, ``(*b, J)``, rad or m, in the order of ``spec.joints``; any float dtype is kept.

        Returns:
            ``T_base_frame``, ``(*b, F, 4, 4)``, metres, in the order of `frames`.

        Raises:
            ValueError: the last dimension of ``q`` is not J.
        """

    @abstractmethod
    def wrist_poses(self, q: Tensor) -> Tensor:
        """Return the canonical wrist frames ``T_base_wrist``, ``(*b, sides, 4, 4)``, left before right.

        Needs the capability ``wrist_from_arms``.
        """

    def clamp(self, q: Tensor) -> Tensor:
        """Clamp ``q (*b, J)`` to the spec's position limits; a continuous joint passes unchanged."""
        lower, upper = self.limits(q)
        return q.clamp(min=lower, max=upper)

    def limits(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return lower and upper limits, each ``(J,)``; see `position_limits`."""
        return position_limits(self.spec.joints, like)

    def neutral(self, like: Tensor) -> Tensor:
        """Return the open pose of the hands with arms at zero (clamped), ``(J,)``."""
        values = [0.0 for arm in self.spec.arms for _ in arm.joints]
        for hand in self.spec.hands:
            values += list(hand.open_pose or [0.0] * len(hand.actuated))
        return self.clamp(like.new_tensor(values))


def position_limits(joints: Iterable[JointSpec], like: Tensor) -> tuple[Tensor, Tensor]:
    """Return lower and upper limits, each ``(J,)`` rad or m, in the dtype and on the device of ``like``.

    What does not fit the dtype is rounded towards the inside, so that a clamped value never leaves the limits as they
    are written. A continuous joint has -inf and inf.
    """
    found = list(joints)
    lower = [-inf if joint.lower is None else joint.lower for joint in found]
    upper = [inf if joint.upper is None else joint.upper for joint in found]
    return -_rounded_down([-value for value in lower], like), _rounded_down(upper, like)


def _rounded_down(values: list[float], like: Tensor) -> Tensor:
    exact = like.double().new_tensor(values)
    nearest = exact.to(like)
    below = nearest.nextafter(nearest.new_tensor(-inf))
    return nearest.where(nearest <= exact, below)
