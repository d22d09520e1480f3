"""Sharpa Wave hands and R1 Pro arms as we ship them, against the makers' own files and against their mirror image."""

import numpy as np
import pytest
import torch

from egoscale_sdk.geometry import mirror_pose, rotation_angle, transform_points
from egoscale_sdk.hands.wrist import wrist_frame
from egoscale_sdk.kinematics import SpecEmbodiment
from egoscale_sdk.specs import SIDES, load_embodiment
from tests.vendor_model import assert_limits_not_wider, assert_same_poses, keypoints_of, kinematics, random_q

torch.set_num_threads(1)
WAVE = load_embodiment("egoscale_embodiments:sharpa_wave/embodiment.toml")
R1PRO = load_embodiment("egoscale_embodiments:sharpa_r1pro_wave/embodiment.toml")
HAND_FILES = ("sharpa_wave_{}.urdf", "sharpa_wave_{}_with_wrist.urdf", "sharpa_wave_{}_with_flange.urdf")
R1PRO_FILES = ("r1_pro_with_gripper", "r1_pro_r1pro", "r1_pro_robot_origin", "r1_pro_{}_ik")
ARM_MIRROR = torch.tensor([1.0, -1, -1, 1, -1, 1, -1], dtype=torch.float64)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("file", HAND_FILES)
def test_every_frame_of_the_hand_is_where_the_maker_puts_it(shared, side, file):
    vendor = shared / "reference/models/sharpa_wave" / file.format(side)
    assert_same_poses(kinematics(WAVE.hand(side)), WAVE.hand(side).joints, vendor)
    assert_limits_not_wider(WAVE.hand(side).joints, vendor)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("file", R1PRO_FILES)
def test_every_frame_of_the_arm_is_where_the_maker_puts_it(shared, side, file):
    vendor = shared / f"reference/models/r1pro/{file.format(side)}.urdf"
    assert_same_poses(kinematics(R1PRO.arm(side)), R1PRO.arm(side).joints, vendor)
    assert_limits_not_wider(R1PRO.arm(side).joints, vendor)


def test_the_same_hand_vector_gives_the_mirror_image():
    q = random_q(WAVE.hand("right").joints)
    assert set(WAVE.hand("right").mirror_signs) == {1.0}
    tips = [f"{finger}_fingertip" for finger in ("thumb", "index", "middle", "ring", "pinky")]
    right, left = (kinematics(WAVE.hand(side), [f"{side}_{tip}" for tip in tips])(q).numpy() for side in SIDES[::-1])
    assert np.abs(mirror_pose(right)[..., :3, 3] - left[..., :3, 3]).max() < 2e-6


def test_limits_and_figures_of_both_hands_are_the_same():
    left, right = (WAVE.hand(side) for side in SIDES)
    strip = {"name": "", "joint": ""}
    for field in ("joints", "dynamics"):
        mine, other = ([item.model_copy(update=strip) for item in getattr(hand, field)] for hand in (left, right))
        assert mine == other
    assert (left.open_pose, left.hand_space) == (right.open_pose, right.hand_space)


def test_the_bodies_of_the_left_hand_mirror_those_of_the_right():
    """In the open hand, every capsule end and box centre, brought to the root."""
    placed = {}
    for side in SIDES:
        hand = WAVE.hand(side)
        links = [body.link for body in hand.bodies]
        poses = kinematics(WAVE.hand(side), links)(torch.tensor(hand.open_pose, dtype=torch.float64)).numpy()
        ends = [
            [body.from_m, body.to_m] if body.kind == "capsule" else [body.center_m, body.center_m]
            for body in hand.bodies
        ]
        placed[side] = transform_points(poses, np.array(ends))
    np.testing.assert_allclose(placed["left"], placed["right"] * [1, -1, 1], atol=2e-6)


def test_the_mirrored_arm_vector_gives_the_mirrored_tip():
    q = random_q(R1PRO.arm("right").joints)
    right, left = (kinematics(R1PRO.arm(side), [f"{side}_arm_link7"]) for side in SIDES[::-1])
    difference = mirror_pose(right(q).numpy()) - left(q * ARM_MIRROR).numpy()
    assert np.abs(difference).max() < 5e-6


@pytest.mark.parametrize("side", SIDES)
def test_the_wrist_frame_is_the_human_one_on_the_straight_hand(side):
    """The formula for people, applied to the frames that follow their keypoints, gives ``T_root_wrist``."""
    hand = WAVE.hand(side)
    frame, valid = wrist_frame(keypoints_of(hand), side)
    assert valid
    np.testing.assert_allclose(frame[:3, 3], hand.T_root_wrist.xyz_m)
    assert np.rad2deg(rotation_angle(frame[:3, :3], hand.T_root_wrist.matrix()[:3, :3])) < 2


@pytest.mark.parametrize("side", SIDES)
def test_each_of_twenty_keypoints_is_followed_by_one_frame(side):
    followed = [target.keypoints for finger in WAVE.hand(side).fingers for target in finger.frames]
    assert followed == [(index,) for index in range(1, 21)]


def test_flexion_is_palmar_and_spreading_as_documented():
    fk = kinematics(WAVE.hand("right"), ["right_index_fingertip", "right_pinky_fingertip"])
    names = [joint.name.removeprefix("right_") for joint in WAVE.hand("right").joints]
    bend = torch.tensor([0.3 if name.endswith(("FE", "PIP", "DIP")) else 0.0 for name in names])
    spread = torch.tensor([0.3 if name.endswith("MCP_AA") else 0.0 for name in names])
    rest = fk(torch.zeros(22))[:, :3, 3]
    assert ((fk(bend)[:, :3, 3] - rest)[:, 0] > 0.03).all()  # towards +x, out of the palm
    assert ((fk(spread)[:, :3, 3] - rest)[:, 1] < -0.02).all()  # towards the little finger


def test_hands_hang_on_the_arms_at_the_hinted_mount():
    body = SpecEmbodiment(R1PRO)
    q = random_q(R1PRO.joints, count=5)
    wrists, poses = body.wrist_poses(q), body.forward_kinematics(q)
    names = [frame.name for frame in body.frames]
    assert {frame.base for frame in body.frames} == {"torso_link4"}
    assert len(names) == len(set(names)) + 1  # both arms start at torso_link4
    for number, side in enumerate(SIDES):
        hand = torch.from_numpy(R1PRO.hand(side).T_root_wrist.matrix())
        mount = torch.from_numpy(R1PRO.arm(side).T_tip_root.matrix())
        tip, root = (poses[:, names.index(name)] for name in (f"{side}_arm_link7", f"{side}_hand_C_MC"))
        torch.testing.assert_close(root, tip @ mount)
        torch.testing.assert_close(wrists[:, number], root @ hand)


def test_the_mount_is_said_to_be_unknown():
    assert not any(arm.mount_calibrated for arm in R1PRO.arms)
    assert WAVE.hand_spaces == R1PRO.hand_spaces
    assert WAVE.hand("left").hand_space.id == "sharpa/wave_hand@1"
