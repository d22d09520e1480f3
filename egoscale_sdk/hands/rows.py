"""From keypoints and camera poses to absolute rows of a human action set, and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from egoscale_sdk.geometry import Floats, pose_from_vec9, transform_points, vec9_from_pose
from egoscale_sdk.hands.wrist import keypoints_in_wrist, wrist_frame
from egoscale_sdk.specs import SIDES, WRIST_DIM

_HAND_DIM = 63


@dataclass(frozen=True)
class HandRows:
    """Absolute rows of two human hands: ``[left wrist 9 | right wrist 9 | left 63 | right 63]``.

    Attributes:
        action: ``(T, 144)`` float32, NaN-free; an invalid group holds 0.
        valid: ``(T, 4)`` uint8 per group: left wrist, right wrist, left hand, right hand.
        keypoints: ``(T, 2, 21, 3)`` float32 in the world; 0 where hand or world is unknown.
    """

    action: NDArray[np.float32]
    valid: NDArray[np.uint8]
    keypoints: NDArray[np.float32]


def hand_rows(keypoints: ArrayLike, present: ArrayLike, camera_pose: ArrayLike | None) -> HandRows:
    """Make absolute rows: ``W = T_world_camera @ H_camera_wrist`` and keypoints in the wrist frame.

    Args:
        keypoints: ``(T, 2, 21, 3)`` canonical order, left then right, metres, in the frame that ``camera_pose`` is
            the pose of; NaN allowed.
        present: ``(T, 2)`` bool, which hands were tracked.
        camera_pose: ``(T, 4, 4)`` T_world_camera (the identity if the keypoints are in the world already), NaN where
            it is unknown. None: no pose is known; wrists are masked, never computed as if the camera stood still.
    """
    p, here = np.asarray(keypoints, np.float64), np.asarray(present, bool)
    frames = [wrist_frame(p[:, hand], side) for hand, side in enumerate(SIDES)]
    H = np.stack([frame for frame, _ in frames], axis=1)  # (T, 2, 4, 4) camera <- wrist
    hand_valid = here & np.stack([valid for _, valid in frames], axis=1) & np.isfinite(p).all(axis=(-2, -1))
    p = np.where(hand_valid[..., None, None], p, 0)
    local = keypoints_in_wrist(p, H)
    pose = np.full((len(p), 4, 4), np.nan) if camera_pose is None else np.asarray(camera_pose, np.float64)
    known = np.isfinite(pose).all(axis=(-2, -1))
    pose = np.where(known[:, None, None], pose, np.eye(4))[:, None]
    wrist_valid = hand_valid & known[:, None]
    return HandRows(
        action=np.concatenate(
            [_masked(vec9_from_pose(pose @ H), wrist_valid), _masked(local.reshape(len(p), 2, _HAND_DIM), hand_valid)],
            axis=1,
        ),
        valid=np.concatenate([wrist_valid, hand_valid], axis=1).astype(np.uint8),
        keypoints=_masked(transform_points(pose, p).reshape(len(p), 2, _HAND_DIM), wrist_valid).reshape(p.shape),
    )


def keypoints_from_rows(action: ArrayLike) -> Floats:
    """World keypoints ``(T, 2, 21, 3)`` of rows ``(T, 144)``; meaningful where wrist and hand are valid."""
    rows = np.asarray(action)
    wrists = pose_from_vec9(rows[:, : 2 * WRIST_DIM].reshape(-1, 2, WRIST_DIM))
    return transform_points(wrists, rows[:, 2 * WRIST_DIM :].reshape(-1, 2, _HAND_DIM // 3, 3))


def _masked(values: Floats, valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Columns ``(T, 2, C)`` as ``(T, 2 C)`` float32, zero where invalid."""
    return np.where(valid[..., None], values, 0).astype(np.float32).reshape(len(values), 2 * values.shape[-1])
