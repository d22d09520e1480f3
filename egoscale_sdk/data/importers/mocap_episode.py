"""From a take to an episode: of a person by trackers and gloves, of a robot by its joints."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.data.importers.mocap_take import Take
from egoscale_sdk.data.importers.people import Context, HandTrack, map_ids, people_episode, wrist_episode
from egoscale_sdk.data.importers.robot_rows import plausible_joints
from egoscale_sdk.geometry import Floats, quaternion_from_rotation, transform_points, vec9_from_pose
from egoscale_sdk.interfaces import Episode
from egoscale_sdk.specs import SIDES, WRIST_DIM, EmbodimentSpec, JointSpec, RowLayout

_HANDS = slice(2 * WRIST_DIM, None)


def human_episode(take: Take, key: str, context: Context) -> Episode:
    """Make the episode of a person: wrists by the trackers, keypoints in wrist axes by the gloves.

    Raises:
        DataError: a table is unusable, hands are not in metres, or fingers bend backwards.
    """
    rows, turned = len(take.time_ns), np.zeros(2, bool)
    joints, wrists = np.full((rows, 2, 21, 4, 4), np.nan), np.full((rows, 2, 4, 4), np.nan)
    for number, side in enumerate(SIDES):
        hand, wrist = take.hand(side), take.poses(f"{side}_wrist")
        if hand is not None:
            joints[:, number], turned[number] = hand
        wrists[:, number] = np.nan if wrist is None else wrist
    camera, hands = take.poses("head"), joints[..., :3, 3]
    track = HandTrack(
        key=key,
        where=take.session.where,
        time_ns=take.time_ns,
        keypoints=np.nan_to_num(hands),
        seen=np.isfinite(hands).all(axis=(-2, -1)),
        conf=np.ones((rows, 2)),
        camera_pose=camera,
    )
    posed = people_episode(track, context)
    still = np.broadcast_to(np.eye(4), (rows, 4, 4))
    placed = wrist_episode(replace(track, seen=np.ones((rows, 2), bool), frame_pose=still), wrists, context)
    return replace(
        posed,
        action=np.concatenate([placed.action[:, : _HANDS.start], posed.action[:, _HANDS]], axis=1),
        valid=np.concatenate([placed.valid[:, :2], posed.valid[:, 2:]], axis=1),
        conf=np.concatenate([placed.valid[:, :2], posed.valid[:, 2:]], axis=1).astype(np.float32),
        raw=posed.raw | _joints_in_world(posed, placed, wrists, joints, turned),
        map_id=map_ids(take.time_ns, camera),
    )


def _joints_in_world(
    posed: Episode, placed: Episode, wrists: Floats, joints: Floats, turned: NDArray[np.bool_]
) -> dict[str, NDArray[np.float32]]:
    """Keypoints and rotations of the joints in the world; of a hand whose wrist is unknown, in its wrist frame.

    A hand that is unknown has keypoints 0; a rotation that is unknown is the identity.
    """
    known, hand = placed.valid[:, :2] > 0, posed.valid[:, 2:] > 0
    pose = np.where(known[..., None, None], wrists, np.eye(4))
    points = transform_points(pose, posed.raw["keypoints"]) * hand[..., None, None]
    seen = (known & hand & turned)[..., None, None, None]
    turns = np.where(seen, pose[:, :, None, :3, :3] @ joints[..., :3, :3], np.eye(3))
    quat = quaternion_from_rotation(turns)
    return {"keypoints": points.astype(np.float32), "keypoint_quat_wxyz": quat.astype(np.float32)}


def robot_episode(take: Take, key: str, spec: EmbodimentSpec, context: Context) -> Episode:
    """Make the episode of a robot: measured and commanded joints, wrists by its arms or by trackers.

    Raises:
        DataError: a table is unusable, or lacks a joint of the embodiment.
    """
    state, state_valid, arm_state = _robot_rows(take, "measured", spec)
    action, valid, arm_action = _robot_rows(take, "commanded", spec)
    arms = {"arm_action": arm_action, "arm_state": arm_state}
    return Episode(
        key=key,
        time_ns=take.time_ns,
        action=action,
        valid=valid,
        state=state,
        state_valid=state_valid,
        raw=context.raw | (arms if _has_arms(spec) else {}),
        map_id=map_ids(take.time_ns, None),
        images=context.images,
        language=context.language,
        labels=context.labels,
    )


def robot_raw(spec: EmbodimentSpec) -> tuple[str, ...]:
    """Names of the raw arrays of a robot's episodes."""
    return ("arm_action", "arm_state") if _has_arms(spec) else ()


def _has_arms(spec: EmbodimentSpec) -> bool:
    return spec.action.wrist == "arm_fk"


def _robot_rows(
    take: Take, role: str, spec: EmbodimentSpec
) -> tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.float32]]:
    """Absolute rows ``(T, D)``, their validity ``(T, G)``, and arm joints ``(T, A)``; 0 where unknown."""
    layout = RowLayout.of(spec.hand_spaces)
    groups = {f"{hand.side}_hand": hand.actuated for hand in spec.hands}
    if _has_arms(spec):
        groups |= {f"{arm.side}_arm": arm.joints for arm in spec.arms}
    parts = _joint_groups(take, role, groups)
    parts |= _arm_wrists(spec, parts) if _has_arms(spec) else _tracked_wrists(take, role)
    rows = np.zeros((len(take.time_ns), layout.dim), np.float32)
    valid = np.zeros((len(take.time_ns), len(layout.groups)), np.uint8)
    for number, (group, block) in enumerate(layout.blocks.items()):
        if group in parts:
            known = np.isfinite(parts[group]).all(1)
            rows[known, block] = parts[group][known]
            valid[:, number] = known
    arms = [np.nan_to_num(parts[f"{arm.side}_arm"]) for arm in spec.arms if f"{arm.side}_arm" in parts]
    joined = np.concatenate(arms, axis=1) if arms else np.zeros((len(rows), 0))
    return rows, valid, joined.astype(np.float32)


def _joint_groups(take: Take, role: str, groups: dict[str, tuple[JointSpec, ...]]) -> dict[str, Floats]:
    joints = [joint for group in groups.values() for joint in group]
    values, path = take.joints(role, [joint.name for joint in joints])
    table = next(table for table in take.spec.joints if table.role == role)
    if table.unit == "deg":
        turns = np.array([joint.unit == "rad" for joint in joints])
        values = np.where(turns, np.deg2rad(values), values)
    known = np.isfinite(values).all(1)
    if known.any():
        plausible_joints(values[known], joints, f"{path}: {role} joints")
    ends = np.cumsum([len(group) for group in groups.values()])[:-1]
    return dict(zip(groups, np.split(values, ends, axis=1), strict=True))


def _arm_wrists(spec: EmbodimentSpec, parts: dict[str, Floats]) -> dict[str, Floats]:
    """Wrist columns by forward kinematics; NaN where the arm is unknown."""
    from egoscale_sdk.kinematics import SpecEmbodiment, wrists_of_arms

    arms = {arm.side: parts[f"{arm.side}_arm"] for arm in spec.arms}
    known = {side: np.asarray(np.isfinite(values).all(1)) for side, values in arms.items()}
    poses = wrists_of_arms(SpecEmbodiment(spec), {side: np.nan_to_num(values) for side, values in arms.items()})
    return {
        f"{side}_wrist": np.where(known[side][:, None], vec9_from_pose(pose), np.nan) for side, pose in poses.items()
    }


def _tracked_wrists(take: Take, role: str) -> dict[str, Floats]:
    found = {f"{side}_wrist": take.poses(f"{side}_wrist", role) for side in SIDES}
    return {name: vec9_from_pose(poses) for name, poses in found.items() if poses is not None}
