"""The body: from joint vector to frames."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from egoscale_sdk.specs import EmbodimentSpec, Side

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
        """Return lower and upper limits, each ``(J,)``, in the dtype and on the device of ``like``."""
        big = 3.0e38
        lower = [-big if joint.lower is None else joint.lower for joint in self.spec.joints]
        upper = [big if joint.upper is None else joint.upper for joint in self.spec.joints]
        return like.new_tensor(lower), like.new_tensor(upper)

    def neutral(self, like: Tensor) -> Tensor:
        """Return the open pose of the hands with arms at zero (clamped), ``(J,)``."""
        values = [0.0 for arm in self.spec.arms for _ in arm.joints]
        for hand in self.spec.hands:
            values += list(hand.open_pose or [0.0] * len(hand.actuated))
        return self.clamp(like.new_tensor(values))
