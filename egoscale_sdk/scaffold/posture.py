"""How fingers stand and move: stretched out, and which way they close."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import pi

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.scaffold.tips import Finger
from egoscale_sdk.specs import JointSpec, KinematicTree, TreeJoint
from egoscale_sdk.testing.numpy_fk import NumpyKinematics

Vector = NDArray[np.float64]
Pose = dict[str, float]
_PARALLEL = np.cos(np.radians(35))
_STRAIGHT = 0.95  # tip to base over length: a finger that stands so is stretched out
_STEPS = 13
_SURE_RANGE = 0.15


@dataclass(frozen=True)
class Motion:
    """One finger, stretched out, in the axes of the hand's root.

    Attributes:
        base: Origin of its first moving joint, ``(3,)`` metres.
        tip: Its tip, ``(3,)`` metres.
        direction: Unit vector from base to tip.
        closing: Unit vector across it, to which the tip moves as the finger closes.
        axis: Unit vector about which it closes; zero where it slides.
        bend: How far each driven joint goes from stretched out to closed, in rad or m.
        certainty: How one-sided the joints' ranges are: 1 where they only close, 0 where both ways are alike.
    """

    base: Vector
    tip: Vector
    direction: Vector
    closing: Vector
    axis: Vector
    bend: Pose
    certainty: float


class Posture:
    """The fingers of a hand with their joints: where tips are, and the pose in which fingers are stretched out."""

    def __init__(self, tree: KinematicTree, joints: Sequence[JointSpec], fingers: Sequence[Finger]) -> None:
        self.tree = tree
        self.kinematics = NumpyKinematics(tree, joints)
        self.joints = {joint.name: joint for joint in joints}
        self.fingers = tuple(fingers)
        self.neutral: Pose = {joint.name: joint.clamp(0.0) for joint in joints if joint.mimic is None}
        self.stretched = self._stretched()

    def with_fingers(self, fingers: Sequence[Finger]) -> Posture:
        """The same hand with other tips."""
        return Posture(self.tree, tuple(self.joints.values()), fingers)

    def tips(self, q: Mapping[str, float]) -> Vector:
        """Tips of all fingers ``(N, 3)``, in the hand's root, metres."""
        poses = self.kinematics.poses(q)
        ends = (poses[finger.chain.last] @ [*finger.tip_m, 1.0] for finger in self.fingers)
        return np.stack([end[:3] for end in ends])

    def axis(self, joint: TreeJoint, poses: Mapping[str, Vector]) -> Vector:
        """Unit axis of a joint in the hand's root."""
        return np.asarray(poses[joint.child][:3, :3] @ np.asarray(joint.axis))

    def leader(self, joint: TreeJoint) -> str:
        """The driven joint that moves a joint."""
        return self.kinematics.couplings[joint.name][0]

    def bending(self, finger: Finger) -> list[TreeJoint]:
        """Joints that bend a finger: those about the axis of its last turning joint; all, where none turns."""
        turning = [joint for joint in finger.chain.movable if joint.kind != "prismatic"]
        if not turning:
            return list(finger.chain.movable)
        poses = self.kinematics.poses(self.neutral)
        last = self.axis(turning[-1], poses)
        return [joint for joint in turning if abs(self.axis(joint, poses) @ last) > _PARALLEL]

    def range_of(self, name: str) -> tuple[float, float]:
        """Limits of a joint; half a turn either way where it has none."""
        joint = self.joints[name]
        return (-pi, pi) if joint.lower is None or joint.upper is None else (joint.lower, joint.upper)

    def closed(self, motion: Motion, share: float, q: Pose) -> Pose:
        """Joints of ``q`` with one finger closed to a share of its range."""
        return q | {name: q[name] + share * bend for name, bend in motion.bend.items()}

    def motion(self, number: int) -> Motion:
        """How one finger closes from the stretched pose."""
        finger = self.fingers[number]
        poses, tips = self.kinematics.poses(self.stretched), self.tips(self.stretched)
        others = np.delete(tips, number, axis=0).mean(0)
        joints = self.bending(finger)
        bend, certainty = {}, []
        for joint in joints:
            leader = self.leader(joint)
            if leader not in bend:
                bend[leader], sure = self._bend(number, leader, others, sliding=joint.kind == "prismatic")
                certainty.append(sure)
        base = poses[finger.chain.movable[0].child][:3, 3]
        direction = unit(tips[number] - base)
        moved = self.tips({**self.stretched, **{name: self.stretched[name] + 0.3 * by for name, by in bend.items()}})
        step = moved[number] - tips[number]
        turning = [joint for joint in joints if joint.kind != "prismatic"]
        axis = np.zeros(3)
        if turning:
            multiplier = self.kinematics.couplings[turning[-1].name][1]
            axis = self.axis(turning[-1], poses) * np.sign(multiplier * bend[self.leader(turning[-1])] or 1.0)
        closing = unit(step if not turning else step - (step @ direction) * direction)
        return Motion(base, tips[number], direction, closing, axis, bend, float(np.mean(certainty)))

    def _bend(self, number: int, name: str, others: Vector, sliding: bool) -> tuple[float, float]:
        """How far a driven joint closes a finger, and how sure that is: to the longer side of its range.

        Where both sides are alike, or the joint slides, to the side on which the tip nears the other fingers'.
        """
        (lower, upper), at = self.range_of(name), self.stretched[name]
        up, down = upper - at, at - lower
        sure = abs(up - down) / max(up + down, 1e-9)
        if sliding or sure < _SURE_RANGE:
            gaps = []
            for end in (upper, lower):
                tip = self.tips({**self.stretched, name: at + 0.2 * (end - at)})[number]
                gaps.append(float(np.linalg.norm(tip - others)))
            longer = gaps[0] <= gaps[1]
            sure = 1.0 if sliding else sure
        else:
            longer = up > down
        by = up if longer else -down
        return float(np.clip(by, -pi / 2, pi / 2)), sure

    def _stretched(self) -> Pose:
        q = dict(self.neutral)
        for number, finger in enumerate(self.fingers):
            joints = [joint for joint in self.bending(finger) if joint.kind != "prismatic"]
            if not joints or self._straightness(number, joints, q) >= _STRAIGHT:
                continue
            for _ in range(2):
                for name in dict.fromkeys(self.leader(joint) for joint in joints):
                    grid = [q[name], *np.linspace(*self.range_of(name), _STEPS)]
                    # a small price on leaving the neutral pose keeps what changes nothing where it is
                    score = [
                        self._straightness(number, joints, {**q, name: value}) - 0.01 * abs(value - q[name])
                        for value in grid
                    ]
                    q[name] = float(grid[int(np.argmax(score))])
        return q

    def _straightness(self, number: int, joints: Sequence[TreeJoint], q: Mapping[str, float]) -> float:
        poses = self.kinematics.poses(q)
        tip = poses[self.fingers[number].chain.last] @ [*self.fingers[number].tip_m, 1.0]
        points = np.stack([*(poses[joint.child][:3, 3] for joint in joints), tip[:3]])
        length = np.linalg.norm(np.diff(points, axis=0), axis=-1).sum()
        return float(np.linalg.norm(points[-1] - points[0]) / max(length, 1e-9))


def unit(vector: Vector) -> Vector:
    """Return a vector of length one, or zero where it has none."""
    norm = float(np.linalg.norm(vector))
    return vector / norm if norm > 1e-9 else np.zeros(3)


def degrees_between(a: Vector, b: Vector) -> float:
    """Angle between two unit vectors in degrees; 0 where one of them is zero."""
    return float(np.degrees(np.arccos(np.clip(a @ b, -1, 1)))) if a.any() and b.any() else 0.0
