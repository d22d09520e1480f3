"""What every retargeting is measured by: its joints, a person's keypoints, a forward kinematics of our own in numpy.

One code for all methods, and none of theirs: no peer's kinematics and not the SDK's.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from egoscale_sdk.retargeting import quality
from egoscale_sdk.retargeting.quality import APART_M, NEAR_M, TOUCH_M, followed_points, thumb_first
from egoscale_sdk.specs import HandSpec, TreeJoint
from egoscale_sdk.testing.numpy_fk import NumpyKinematics

ROUNDING = 1e-9
COLUMNS = {
    "frames_per_s": "frames over the wall time of the best round; files, models, imports and compilation left out",
    "frames_per_cpu_s": "the same over processor time, all threads together: what a busy machine changes less",
    "frames_over_limit": "frames with a joint beyond the spec's limits by more than rounding in float64 (1e-9)",
    "frames_over_velocity": "frames to which a joint moves faster than the spec's limit",
    "jitter_rms": "root mean square joint acceleration (second difference), rad/s2",
    "tip_p95_mm": "95th percentile of the distance of a fingertip to the person's, scaled from the wrist, mm",
    "pair_error_median_mm": "median of |robot - person| of the distance thumb tip to fingertip, person < 20 mm, mm",
    "pair_error_p95_mm": "95th percentile of the same, mm",
    "pinch_kept": "share of the person's thumb-finger distances < 10 mm at which the robot's is < 10 mm",
    "pinch_invented": "share of the person's thumb-finger distances > 30 mm at which the robot's is < 10 mm",
    "direction_error_deg": "mean angle between a bone of the person and the robot's, all bones of the fingers, deg",
}


class Kinematics:
    """Positions of a hand's links in its canonical wrist axes, many configurations at once, float64."""

    def __init__(self, hand: HandSpec) -> None:
        assert hand.tree is not None
        rules = NumpyKinematics(hand.tree, hand.joints)
        self._hand, self._joints, self._couplings = hand, rules.ordered, rules.couplings
        self._root = hand.tree.root
        self._columns = {joint.name: index for index, joint in enumerate(hand.actuated)}

    def poses(self, q: np.ndarray) -> dict[str, np.ndarray]:
        """Return ``T_wrist_link (T, 4, 4)`` of every link for actuated joints ``q (T, J)``."""
        q = np.asarray(q, np.float64)
        found = {self._root: np.broadcast_to(np.eye(4), (len(q), 4, 4))}
        for joint in self._joints:
            found[joint.child] = found[joint.parent] @ _fixed(joint) @ _motion(joint, self._value(joint, q))
        T_wrist_base = np.linalg.inv(found[self._hand.root] @ self._hand.T_root_wrist.matrix())
        return {link: T_wrist_base @ pose for link, pose in found.items()}

    def fingers(self, q: np.ndarray) -> list[np.ndarray]:
        """Return, finger by finger, the positions ``(T, frames, 3)`` of the frames from the palm to the tip."""
        poses = self.poses(q)
        return [
            np.stack([poses[f.frame][:, :3, 3] for f in finger.frames], axis=1) for finger in thumb_first(self._hand)
        ]

    def _value(self, joint: TreeJoint, q: np.ndarray) -> np.ndarray:
        if joint.kind == "fixed":
            return np.zeros(len(q))
        leader, multiplier, offset = self._couplings[joint.name]
        return multiplier * q[:, self._columns[leader]] + offset


def size_ratio(hand: HandSpec, keypoints: np.ndarray) -> float:
    """Robot's way from the wrist along the fingers to the tips over the person's; the mean of all but the thumb."""
    rest = np.array([hand.open_pose or (0.0,) * len(hand.actuated)])
    return quality.size_ratio(Kinematics(hand).fingers(rest), followed_points(hand, keypoints))


def measure(hand: HandSpec, joints: np.ndarray, keypoints: np.ndarray, scale: float, fps: float) -> dict[str, Any]:
    """Return the figures of `COLUMNS` but speed.

    Args:
        hand: The robot's.
        joints: ``(T, J)`` as the method gave them.
        keypoints: ``(T, 21, 3)`` of the person, exact ones where they are known, in canonical wrist axes.
        scale: Size of the robot's hand over the person's, see `size_ratio`.
        fps: Frames per second.
    """
    q = np.asarray(joints, np.float64)
    robot, person = Kinematics(hand).fingers(q), followed_points(hand, keypoints)
    return _joint_figures(hand, q, fps) | _pinch_figures(robot, person) | _shape_figures(robot, person, scale)


def _joint_figures(hand: HandSpec, q: np.ndarray, fps: float) -> dict[str, Any]:
    lower, upper = (np.array([getattr(joint, end) for joint in hand.actuated]) for end in ("lower", "upper"))
    fastest = np.array([joint.velocity or np.inf for joint in hand.actuated])
    return {
        "frames_over_limit": int(((q < lower - ROUNDING) | (q > upper + ROUNDING)).any(axis=1).sum()),
        "frames_over_velocity": int((np.abs(np.diff(q, axis=0)) * fps > fastest * (1 + 1e-6)).any(axis=1).sum()),
        "jitter_rms": quality.jitter_rms(q, fps),
    }


def _pinch_figures(robot: list[np.ndarray], person: list[np.ndarray]) -> dict[str, Any]:
    robot_m, person_m = quality.thumb_gaps_m(robot), quality.thumb_gaps_m(person)
    error_mm = 1e3 * np.abs(robot_m - person_m)[person_m < NEAR_M]
    touching = robot_m < TOUCH_M
    return {
        "pair_error_median_mm": _percentile(error_mm, 50),
        "pair_error_p95_mm": _percentile(error_mm, 95),
        "pinch_kept": _share(touching[person_m < TOUCH_M]),
        "pinch_invented": _share(touching[person_m > APART_M]),
    }


def _shape_figures(robot: list[np.ndarray], person: list[np.ndarray], scale: float) -> dict[str, Any]:
    apart_m = np.concatenate(quality.tip_errors_m(robot, person, scale))
    angles = np.concatenate([angles.ravel() for angles in quality.bone_angles_rad(robot, person)])
    return {
        "tip_p95_mm": _percentile(1e3 * apart_m, 95),
        "direction_error_deg": float(np.rad2deg(angles.mean())),
    }


def _fixed(joint: TreeJoint) -> np.ndarray:
    (roll, pitch, yaw), T = joint.rpy_rad, np.eye(4)
    T[:3, :3] = _rotation("z", yaw) @ _rotation("y", pitch) @ _rotation("x", roll)
    T[:3, 3] = joint.xyz_m
    return T


def _rotation(axis: str, angle: float) -> np.ndarray:
    return _turn(np.eye(3)["xyz".index(axis)], np.array([angle]))[0]


def _motion(joint: TreeJoint, value: np.ndarray) -> np.ndarray:
    T = np.tile(np.eye(4), (len(value), 1, 1))
    axis = np.asarray(joint.axis, np.float64) / np.linalg.norm(joint.axis)
    if joint.kind == "prismatic":
        T[:, :3, 3] = value[:, None] * axis
    elif joint.kind != "fixed":
        T[:, :3, :3] = _turn(axis, value)
    return T


def _turn(axis: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """``a a^T + cos (1 - a a^T) + sin [a]x`` for a unit axis and angles ``(T,)``."""
    along, (x, y, z) = np.outer(axis, axis), axis
    across = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    cosine, sine = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
    return along + cosine * (np.eye(3) - along) + sine * across


def _percentile(values: np.ndarray, percent: float) -> float | None:
    return float(np.percentile(values, percent)) if values.size else None


def _share(flags: np.ndarray) -> float | None:
    return float(flags.mean()) if flags.size else None
