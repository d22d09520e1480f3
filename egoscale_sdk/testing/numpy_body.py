"""The kit's own kinematics of a whole body in numpy: arms carry hands, hands carry canonical wrist frames."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.interfaces import Frame
from egoscale_sdk.specs import ArmSpec, EmbodimentSpec, HandSpec, JointSpec, PoseSpec, Side
from egoscale_sdk.testing.check import Violation
from egoscale_sdk.testing.numpy_fk import NumpyKinematics, Pose
from egoscale_sdk.testing.subject import Subject

Array = NDArray[np.float64]
Key = tuple[Side, str, int]
"""Side, link, and which of the links of that name on that side: what the arm carries, then the hand's, then others.

A whole robot's URDF may stand for an arm: its links that other joints move, fingers among them, are not the arm's own.
"""

CONFIGURATIONS, BEYOND = 64, 8
BEYOND_SHARE = 0.3  # of its range, by which a joint is beyond its limits


class NumpyBody:
    """Poses of all links of arms and hands for one joint vector in the order of ``spec.joints``, float64.

    Links of a hand without an arm are in the hand's root; with an arm, all are in the arm's base.
    """

    def __init__(self, spec: EmbodimentSpec) -> None:
        self._names = [joint.name for joint in spec.joints]
        self._limbs = [_Limb(hand, spec.arm(hand.side)) for hand in spec.hands]

    def poses(self, q: Array) -> dict[Key, Pose]:
        """Return ``T_base_link (4, 4)`` of every link for ``q (J,)``, rad or m."""
        values = dict(zip(self._names, q.tolist(), strict=True))
        return {key: pose for limb in self._limbs for key, pose in limb.poses(values).items()}

    def wrists(self, q: Array) -> Array:
        """Return ``T_base_wrist (sides, 4, 4)``, left before right, for ``q (J,)``."""
        values = dict(zip(self._names, q.tolist(), strict=True))
        return np.stack([limb.root(values) @ limb.T_root_wrist for limb in self._limbs])

    def bases(self) -> dict[Side, str]:
        """Return the link in which each side's poses are given."""
        return {limb.side: limb.base for limb in self._limbs}

    def keys(self, frames: Sequence[Frame]) -> list[Key]:
        """Find the link that each frame stands for; raises `Violation` for a frame that is none."""
        at_zero, seen, found = self.poses(np.zeros(len(self._names))), Counter[tuple[Side | None, str]](), []
        for frame in frames:
            sides = [frame.side] if frame.side else list(self.bases())
            count = seen[frame.side, frame.name]
            match = [key for side in sides if (key := (side, frame.name, count)) in at_zero]
            if not match:
                raise Violation(f"frame {frame.name!r} of side {frame.side} is no link of that side's arm or hand")
            seen[frame.side, frame.name] += 1
            found.append(match[0])
        return found


class _Limb:
    def __init__(self, hand: HandSpec, arm: ArmSpec | None) -> None:
        assert hand.tree is not None
        self.side: Side = hand.side
        self.base = hand.root
        self.T_root_wrist = matrix(hand.T_root_wrist)
        self._hand = NumpyKinematics(hand.tree, hand.joints, hand.root)
        self._fingers = [joint.name for joint in hand.actuated]
        self._arm: NumpyKinematics | None = None
        self._carried: set[str] = set()
        if arm is not None and arm.tree is not None:
            self.base, self._tip, self._T_tip_root = arm.base, arm.tip, matrix(arm.T_tip_root)
            self._arm = NumpyKinematics(arm.tree, arm.joints, arm.base)
            self._arm_joints = [joint.name for joint in arm.joints]
            self._carried = {arm.base}
            for joint in self._arm.ordered:
                if joint.parent in self._carried and (joint.kind == "fixed" or joint.name in self._arm_joints):
                    self._carried.add(joint.child)

    def root(self, values: dict[str, float]) -> Pose:
        """Return the hand's root in the base."""
        return self._mounted(self._arm_poses(values))

    def poses(self, values: dict[str, float]) -> dict[Key, Pose]:
        arm = self._arm_poses(values)
        root = self._mounted(arm)
        hand = self._hand.poses({name: values[name] for name in self._fingers})
        found: dict[Key, Pose] = {}
        for link, pose in arm.items():
            found[self.side, link, int(link not in self._carried and link in hand)] = pose
        for link, pose in hand.items():
            found[self.side, link, int(link in self._carried)] = root @ pose
        return found

    def _arm_poses(self, values: dict[str, float]) -> dict[str, Pose]:
        return self._arm.poses({name: values[name] for name in self._arm_joints}) if self._arm else {}

    def _mounted(self, arm: dict[str, Pose]) -> Pose:
        return arm[self._tip] @ self._T_tip_root if arm else np.eye(4)


@dataclass(frozen=True)
class Judged:
    """What the kit holds a body against.

    Attributes:
        q: Joint vectors within the limits, ``(N, J)``: all lower limits, all upper limits, then random ones.
        poses: The poses of the body's frames by numpy, ``(N, F, 4, 4)``.
        beyond: Joint vectors every joint of which is beyond one of its limits, ``(M, J)``.
        beyond_poses: As ``poses``, for ``beyond``.
    """

    q: Array
    poses: Array
    beyond: Array
    beyond_poses: Array


@lru_cache(maxsize=4)
def judged(subject: Subject) -> Judged:
    """Compute the poses of a subject's frames at `CONFIGURATIONS` configurations, once for all checks."""
    q = configurations(subject.spec.joints, CONFIGURATIONS)
    corners = np.random.default_rng(4).random((BEYOND, q.shape[-1])) < 0.5
    beyond = np.where(corners, q[0] - BEYOND_SHARE * (q[1] - q[0]), q[1] + BEYOND_SHARE * (q[1] - q[0]))
    return Judged(q, frame_poses(subject, q), beyond, frame_poses(subject, beyond))


def frame_poses(subject: Subject, q: Array) -> Array:
    """Return the poses ``(N, F, 4, 4)`` of the frames of a subject's body by numpy, for ``q (N, J)``."""
    body = NumpyBody(subject.spec)
    keys = body.keys(subject.embodiment.frames)
    return np.array([[found[key] for key in keys] for found in map(body.poses, q)]).reshape(len(q), len(keys), 4, 4)


def configurations(joints: Iterable[JointSpec], count: int) -> Array:
    """Draw ``(count, J)`` vectors within limits, the first two at the corners; continuous joints within half a turn."""
    listed = list(joints)
    lower = np.array([-np.pi if joint.lower is None else joint.lower for joint in listed])
    upper = np.array([np.pi if joint.upper is None else joint.upper for joint in listed])
    share = np.random.default_rng(0).random((count, len(listed)))
    share[:1], share[1:2] = 0.0, 1.0
    drawn: Array = np.clip(lower + share * (upper - lower), lower, upper)
    return drawn


def matrix(pose: PoseSpec) -> Pose:
    """Return the transform, with ``R = (w^2 - v.v) I + 2 v v^T + 2 w [v]x`` of its quaternion (w, v)."""
    w, v = pose.quat_wxyz[0], np.array(pose.quat_wxyz[1:])
    cross = np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
    T: Pose = np.eye(4)
    T[:3, :3] = ((w * w - v @ v) * np.eye(3) + 2 * np.outer(v, v) + 2 * w * cross) / (w * w + v @ v)
    T[:3, 3] = pose.xyz_m
    return T
