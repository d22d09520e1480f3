"""The G1 with Dex3 and with Inspire hands as we ship it, against vendor files, its mirror image and a recording."""

import json

import numpy as np
import pytest
import torch

from egoscale_sdk.geometry import mirror_pose, rotation_angle
from egoscale_sdk.hands.wrist import wrist_frame
from egoscale_sdk.kinematics import SpecEmbodiment
from egoscale_sdk.specs import SIDES, load_embodiment
from tests.numpy_fk import NumpyFK
from tests.vendor_model import (
    CONFIGURATIONS,
    assert_limits_not_wider,
    assert_same_poses,
    keypoints_of,
    kinematics,
    random_q,
)

torch.set_num_threads(1)
DEX3 = load_embodiment("egoscale_embodiments:unitree_g1_dex3/embodiment.toml")
INSPIRE = load_embodiment("egoscale_embodiments:unitree_g1_inspire/embodiment.toml")
ARM_MIRROR = torch.tensor([1.0, -1, -1, 1, -1, 1, -1], dtype=torch.float64)  # roll and yaw change sign
WIRES = [(spec.id, wire) for spec in (DEX3, INSPIRE) for wire in spec.wires]
each_wire = pytest.mark.parametrize(("owner", "wire"), WIRES, ids=[f"{name}-{wire.device}" for name, wire in WIRES])
each_side = pytest.mark.parametrize("side", SIDES)


def in_wrist(spec, side, poses):
    return np.linalg.inv(spec.hand(side).T_root_wrist.matrix()) @ poses


# ---- against the maker's files


@each_side
def test_every_link_of_the_tri_finger_is_where_the_maker_puts_it(shared, side):
    vendor = shared / f"reference/models/dex3/dex3_{side}.urdf"
    links = [link for link in DEX3.hand(side).tree.links if not link.endswith("_tip")]
    assert_same_poses(kinematics(DEX3.hand(side), links), DEX3.hand(side).joints, vendor)
    assert_limits_not_wider(DEX3.hand(side).joints, vendor)


@each_side
def test_every_frame_of_the_tri_finger_is_where_the_teleoperation_puts_it(shared, side):
    vendor = shared / f"reference/models/dex3/xr_teleoperate_unitree_dex3_{side}.urdf"
    tips = {f"{side}_hand_{finger}_tip": f"{finger}_tip" for finger in ("thumb", "index", "middle")}
    assert_same_poses(
        kinematics(DEX3.hand(side)), DEX3.hand(side).joints, vendor, name=lambda name: tips.get(name, name)
    )
    assert_limits_not_wider(DEX3.hand(side).joints, vendor)


@each_side
def test_every_link_of_the_five_finger_hand_is_where_the_maker_puts_it(shared, side):
    vendor = shared / f"reference/models/g1_inspire/DFQ_{side}_hand.urdf"
    links = [link for link in INSPIRE.hand(side).tree.links if not link.endswith("_tip")]
    assert_same_poses(kinematics(INSPIRE.hand(side), links), INSPIRE.hand(side).joints, vendor)
    assert_limits_not_wider(INSPIRE.hand(side).joints, vendor)


@each_side
@pytest.mark.parametrize("file", ["g1_29dof_rev_1_0", "g1_29dof_with_hand_rev_1_0", "xr_teleoperate_g1_body29_hand14"])
def test_every_link_of_the_arm_is_where_the_maker_puts_it(shared, side, file):
    vendor = shared / f"reference/models/g1/{file}.urdf"
    assert_same_poses(kinematics(DEX3.arm(side)), DEX3.arm(side).joints, vendor)
    assert_limits_not_wider(DEX3.arm(side).joints, vendor)


@pytest.mark.parametrize(
    ("spec", "file"),
    [
        (DEX3, "g1/g1_29dof_with_hand_rev_1_0.urdf"),
        (INSPIRE, "g1_inspire/g1_29dof_rev_1_0_with_inspire_hand_DFQ.urdf"),
    ],
    ids=lambda value: getattr(value, "id", ""),
)
def test_arms_and_hands_together_are_where_the_maker_puts_them(shared, spec, file):
    reference = NumpyFK(shared / "reference/models" / file)
    body = SpecEmbodiment(spec)
    known = [(row, frame.name) for row, frame in enumerate(body.frames) if not frame.name.endswith("_tip")]
    names = [joint.name for joint in spec.joints]
    q = random_q(spec.joints, CONFIGURATIONS)
    poses = body.forward_kinematics(q).numpy()
    for values, found in zip(q.numpy(), poses, strict=True):
        expected = reference.poses(dict(zip(names, values, strict=True)), base="torso_link")
        for row, name in known:
            np.testing.assert_allclose(found[row], expected[name], atol=1e-6)


def test_the_narrowest_of_the_makers_thumb_limits_is_taken_and_said():
    for side, lower, upper in (("right", -0.920, 0.61086523), ("left", -0.61086523, 0.920)):
        thumb = DEX3.hand(side).joints[1]
        assert (thumb.lower_rad, thumb.upper_rad) == (lower, upper)
        assert any("thumb_1" in item.fields and "disagree" in item.note for item in DEX3.hand(side).provenance)


@each_side
def test_no_coupled_joint_leaves_its_own_limits(side):
    joints = {joint.name: joint for joint in INSPIRE.hand(side).joints}
    for joint in joints.values():
        if joint.mimic:
            leader = joints[joint.mimic.joint]
            for value in (leader.lower, leader.upper):
                reached = joint.mimic.multiplier * value
                assert joint.lower - 1e-9 <= reached <= joint.upper + 1e-9


# ---- left and right


def test_the_tri_finger_with_signs_gives_the_mirror_image():
    q = random_q(DEX3.hand("right").joints)
    signs = torch.tensor(DEX3.hand("right").mirror_signs, dtype=torch.float64)
    right, left = (kinematics(DEX3.hand(side)) for side in SIDES[::-1])
    assert [name.replace("right", "left") for name in right.frames] == list(left.frames)
    np.testing.assert_allclose(mirror_pose(right(q).numpy()), left(signs * q).numpy(), atol=1e-12)


def test_the_five_finger_hand_mirrors_as_well_as_the_makers_files_do():
    """Their left thumb has its zero 0.1135 rad further; with that allowed for, tips agree to 0.4 mm."""
    q = random_q(INSPIRE.hand("right").actuated)
    further = torch.tensor([0.1135, 0, 0, 0, 0, 0], dtype=torch.float64)
    tips = {side: [f.frames[-1].frame for f in INSPIRE.hand(side).fingers] for side in SIDES}
    right, left, shifted = (
        in_wrist(INSPIRE, side, kinematics(INSPIRE.hand(side), tips[side])(values).numpy())[..., :3, 3]
        for side, values in (("right", q), ("left", q), ("left", q + further))
    )
    mirrored = right * [1, -1, 1]
    assert 0.010 < np.linalg.norm(mirrored - left, axis=-1).max() < 0.012
    assert np.linalg.norm(mirrored - shifted, axis=-1).max() < 4e-4


def test_limits_mirror_too():
    for spec in (DEX3, INSPIRE):
        left, right = (spec.hand(side) for side in SIDES)
        for sign, mine, other in zip(right.mirror_signs, left.actuated, right.actuated, strict=True):
            assert sorted([sign * other.lower, sign * other.upper]) == [mine.lower, mine.upper]
            assert mine.velocity == other.velocity


def test_the_mirrored_arm_vector_gives_the_mirrored_tip():
    q = random_q(DEX3.arm("right").joints)
    right, left = (kinematics(DEX3.arm(side), [f"{side}_wrist_yaw_link"]) for side in SIDES[::-1])
    difference = mirror_pose(right(q).numpy()) - left(q * ARM_MIRROR).numpy()
    assert np.abs(difference).max() < 1.1e-5  # the maker's shoulders are 10 micrometres apart


@each_side
def test_both_hands_mirror_in_the_canonical_wrist_frame(side):
    """Thumb side +y on the right and -y on the left, palm +x, fingers +z."""
    thumb_side = 1 if side == "right" else -1
    for spec in (DEX3, INSPIRE):
        fk = kinematics(spec.hand(side))
        still = torch.zeros(len(fk.joints), dtype=torch.float64)
        at = dict(zip(fk.frames, in_wrist(spec, side, fk(still).numpy())[:, :3, 3], strict=True))
        fingers = {finger.role: finger.frames for finger in spec.hand(side).fingers}
        base, tip = at[fingers["index"][0].frame], at[fingers["index"][-1].frame]
        assert tip[2] - base[2] > 0.07
        assert thumb_side * (base - at[fingers["middle"][0].frame])[1] > 0.015
        assert at[fingers["thumb"][-1].frame][0] > 0.02


# ---- the canonical wrist and the fingers


@each_side
def test_the_wrist_frame_is_the_human_one_on_the_straight_five_finger_hand(side):
    """The formula for people, applied to the frames that follow their keypoints, gives ``T_root_wrist``."""
    hand = INSPIRE.hand(side)
    frame, valid = wrist_frame(keypoints_of(hand), side)
    assert valid
    assert np.rad2deg(rotation_angle(frame[:3, :3], hand.T_root_wrist.matrix()[:3, :3])) < 1


@each_side
def test_the_wrist_of_the_tri_finger_looks_between_its_two_fingers(side):
    """The formula looks along the middle finger, which stands aside here: 16 degrees about the palm's normal."""
    hand = DEX3.hand(side)
    frame, valid = wrist_frame(keypoints_of(hand), side)
    assert valid
    turn = hand.T_root_wrist.matrix()[:3, :3].T @ frame[:3, :3]
    np.testing.assert_allclose(turn[:, 0], [1, 0, 0], atol=1e-9)
    assert np.rad2deg(rotation_angle(turn, np.eye(3))) == pytest.approx(16.4, abs=0.1)


@pytest.mark.parametrize("spec", [DEX3, INSPIRE], ids=lambda spec: spec.id)
@each_side
def test_the_knuckles_are_as_far_from_the_wrist_as_a_persons(spec, side):
    """96 to 100 mm on a measured adult; the tri-finger's knuckles count by their mean."""
    hand = spec.hand(side)
    knuckles = [f.frames[0].frame for f in hand.fingers if f.role in ("index", "middle")]
    if spec is INSPIRE:
        knuckles = knuckles[1:]
    fk = kinematics(spec.hand(side), knuckles)
    at = in_wrist(spec, side, fk(torch.zeros(len(fk.joints), dtype=torch.float64)).numpy())[:, :3, 3].mean(0)
    assert at == pytest.approx([0, 0, 0.097], abs=5e-4)


def test_flexing_moves_every_finger_out_of_the_palm():
    for spec in (DEX3, INSPIRE):
        for side in SIDES:
            hand = spec.hand(side)
            bend = torch.tensor([0.4 * np.sign(j.lower + j.upper) for j in hand.actuated], dtype=torch.float64)
            tips = [f.frames[-1].frame for f in hand.fingers if f.role != "thumb"]
            fk = kinematics(spec.hand(side), tips)
            moved = in_wrist(spec, side, fk(bend).numpy()) - in_wrist(spec, side, fk(0 * bend).numpy())
            assert (moved[:, 0, 3] > 0.02).all()


@each_side
def test_the_third_finger_of_the_tri_finger_follows_the_mean_of_three(side):
    (middle,) = (f for f in DEX3.hand(side).fingers if f.role == "middle")
    assert [target.keypoints for target in middle.frames] == [(9, 13, 17), (10, 14, 18), (12, 16, 20)]


# ---- wires and recordings


@each_wire
def test_wire_values_and_joints_are_one_to_one(owner, wire):
    values = np.random.default_rng(0).uniform(0, 1, 100)
    for joint in wire.joints:
        q = joint.offset + joint.sign * joint.scale * values
        np.testing.assert_allclose((q - joint.offset) * joint.sign / joint.scale, values, atol=1e-12)


@each_wire
def test_a_wire_carries_each_joint_of_its_part_once(owner, wire):
    spec = DEX3 if owner == DEX3.id else INSPIRE
    side, _, part = wire.part.partition("_")
    joints = spec.arm(side).joints if part == "arm" else spec.hand(side).actuated
    assert sorted(item.joint for item in wire.joints) == sorted(joint.name for joint in joints)


def test_one_is_open_and_zero_is_closed_on_the_five_finger_wire():
    limits = {joint.name: joint for joint in INSPIRE.joints}
    for wire in INSPIRE.wires:
        if wire.device.startswith("inspire"):
            for joint in wire.joints:
                at = [joint.offset + joint.sign * joint.scale * value for value in (0, 1)]
                assert at == pytest.approx([limits[joint.joint].upper, limits[joint.joint].lower])


NAMES = {"ThumbBend": "thumb_proximal_pitch", "ThumbRotation": "thumb_proximal_yaw"}


def test_recorded_columns_are_the_joints_their_names_say(shared):
    info = json.loads((shared / "data/g1_inspire_lerobot_v21/meta/info.json").read_text())
    (layout,) = INSPIRE.recordings
    assert layout.robot_type == info["robot_type"]
    wires = {wire.device: [joint.joint for joint in wire.joints] for wire in INSPIRE.wires}
    for key, blocks in ((layout.state_key, layout.state), (layout.action_key, layout.action)):
        (names,) = info["features"][key]["names"]
        columns = []
        for block in blocks:
            side, _, part = block.part.partition("_")
            in_order = [joint.name for joint in INSPIRE.arm(side).joints] if part == "arm" else []
            columns += in_order if block.encoding == "joints" else wires[block.encoding]
        assert len(columns) == len(names) == blocks[-1].stop
        for name, joint in zip(names, columns, strict=True):
            side, word = ("left", name[5:]) if name.startswith("kLeft") else ("right", name[6:])
            finger = NAMES.get(word.removeprefix("Hand"), word.removeprefix("Hand"))
            assert joint.lower().startswith(side[0])
            assert finger.lower().replace("_", "") in joint.lower().replace("_", "")
    assert set(layout.cameras) <= set(info["features"])


@pytest.fixture(scope="module")
def recorded(shared):
    """State and action of every episode, each ``(T, 26)``."""
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow (extra lerobot)")
    files = sorted((shared / "data/g1_inspire_lerobot_v21/data").rglob("*.parquet"))
    tables = [parquet.read_table(file, columns=["observation.state", "action"]) for file in files]
    return [tuple(np.stack(table[key].to_numpy()) for key in table.column_names) for table in tables]


def test_what_was_recorded_lies_within_the_limits(recorded):
    rows = np.concatenate([array for episode in recorded for array in episode])
    arms = [joint for side in SIDES for joint in INSPIRE.arm(side).joints]
    low, high = rows.min(0), rows.max(0)
    assert all(j.lower <= a and b <= j.upper for j, a, b in zip(arms, low[:14], high[:14], strict=True))
    assert low[14:].min() >= 0
    assert high[14:].max() <= 1


def test_commands_lead_the_arms_by_what_the_layout_says(recorded):
    """The shift in rows that brings action and state of the moving (right) side closest: arm about 5, hand about 10."""
    shifts = range(20)

    def best(column):
        errors = []
        for shift in shifts:
            pairs = [(state[shift:, column], action[: len(action) - shift, column]) for state, action in recorded]
            errors.append(np.mean(np.concatenate([(a - b) ** 2 for a, b in pairs])))
        return shifts[int(np.argmin(errors))]

    assert np.median([best(column) for column in range(7, 14)]) / 30 == pytest.approx(
        INSPIRE.recordings[0].lead_s, abs=1e-3
    )
    assert 9 <= np.median([best(column) for column in range(20, 26)]) <= 12


def test_the_layout_says_what_is_assumed():
    said = " ".join(INSPIRE.recordings[0].assumptions)
    assert all(word in said for word in ("waist", "zero", "torso_link", "approximate"))
    assert INSPIRE.action.wrist == "arm_fk"
    assert DEX3.action.wrist == "commanded"
