"""Drafts of real vendors' files, compared with the hands that we ship, whose figures were chosen by people."""

import numpy as np
import pytest

from egoscale_sdk.errors import SpecError
from egoscale_sdk.geometry import rotation_angle
from egoscale_sdk.host import default_host
from egoscale_sdk.retargeting import GapRetargeter, KeypointRetargeter, aperture_width
from egoscale_sdk.scaffold.draft import draft_hand
from egoscale_sdk.scaffold.mirror import mirror_hand
from egoscale_sdk.scaffold.pair import pair_hands
from egoscale_sdk.sim.hand_model import STIFF, add_hand, empty_spec
from egoscale_sdk.sim.mj import mujoco

SHIPPED = {
    "dex3/dex3_right.urdf": ("unitree/g1_dex3", "right"),
    "dex3/dex3_left.urdf": ("unitree/g1_dex3", "left"),
    "dex3/xr_teleoperate_unitree_dex3_right.urdf": ("unitree/g1_dex3", "right"),
    "g1_inspire/DFQ_right_hand.urdf": ("unitree/g1_inspire", "right"),
    "g1_inspire/DFQ_left_hand.urdf": ("unitree/g1_inspire", "left"),
    "sharpa_wave/sharpa_wave_right.urdf": ("sharpa/wave", "right"),
    "sharpa_wave/sharpa_wave_left.urdf": ("sharpa/wave", "left"),
    "franka_hand/franka_hand.urdf": ("gripper/panda", "right"),
    "franka_hand/dexurdf_panda_gripper.urdf": ("gripper/panda", "right"),
    "robotiq_2f85/robotiq_2f85.urdf": ("gripper/robotiq_2f85", "right"),
}
ANONYMOUS = ("thumb", "index", "middle", "ring", "pinky", "right", "left", "R_", "L_")


def draft(shared, file, side=None):
    return draft_hand(shared / "reference" / "models" / file, side=side, namespace="acme", name="hand")


def shipped(file):
    name, side = SHIPPED[file]
    return default_host().spec(name).hand(side)


def followed(hand):
    """Per role the keypoints that its frames follow."""
    return {finger.role: [target.keypoints for target in finger.frames] for finger in hand.fingers}


@pytest.mark.parametrize("file", SHIPPED)
def test_a_draft_agrees_with_the_hand_that_we_ship(shared, file):
    found, known = draft(shared, file), shipped(file)
    hand = found.hand
    assert found.questions == ()
    assert (hand.side, hand.root.rpartition("_")[2]) == (known.side, known.root.rpartition("_")[2])
    assert followed(hand) == followed(known)
    assert rotation_angle(hand.T_root_wrist.matrix()[:3, :3], known.T_root_wrist.matrix()[:3, :3]) < np.radians(1)
    np.testing.assert_allclose(hand.T_root_wrist.xyz_m, known.T_root_wrist.xyz_m, atol=4e-3)
    assert len(hand.actuated) == len(known.actuated)
    assert not any("geometry" in guess.evidence for guess in found.guesses if guess.what.endswith(": thumb"))


@pytest.mark.parametrize("file", [file for file, (name, _) in SHIPPED.items() if not name.startswith("gripper/")])
def test_geometry_alone_finds_the_same(shared, file, tmp_path):
    """With every name that tells something taken out; of three symmetric fingers no geometry tells the side."""
    text = (shared / "reference" / "models" / file).read_text()
    for number, word in enumerate(ANONYMOUS):
        text = text.replace(word, f"q{number}")
    path = tmp_path / "hand.urdf"
    path.write_text(text)
    symmetric = "dex3" in file
    known = shipped(file)
    hand = draft_hand(path, side=known.side if symmetric else None, namespace="acme", name="hand").hand
    assert hand.side == known.side
    assert rotation_angle(hand.T_root_wrist.matrix()[:3, :3], known.T_root_wrist.matrix()[:3, :3]) < np.radians(1)
    roles = [f"q{ANONYMOUS.index(finger.role)}" for finger in hand.fingers]
    frames = [finger.frames[0].frame for finger in hand.fingers]
    assert all(role in frame for role, frame in zip(roles, frames, strict=True))


@pytest.mark.parametrize("file", [file for file, (name, _) in SHIPPED.items() if name.startswith("gripper/")])
def test_the_opening_of_a_gripper_is_the_one_that_we_ship(shared, file):
    hand, known = draft(shared, file).hand, shipped(file)
    q = np.linspace(known.actuated[0].lower, known.actuated[0].upper, 9)
    np.testing.assert_allclose(aperture_width(hand.aperture, q), aperture_width(known.aperture, q), atol=1e-4)
    assert hand.open_pose == known.open_pose


@pytest.mark.parametrize("file", SHIPPED)
def test_a_draft_can_be_retargeted_to_and_simulated(shared, file):
    hand = draft(shared, file).hand
    (KeypointRetargeter if hand.aperture is None else GapRetargeter)(hand)
    mj = mujoco()
    spec = empty_spec()
    add_hand(spec, spec.worldbody.add_body(name="wrist"), hand, STIFF, (1, 1, 1, 1))
    model = spec.compile()
    data = mj.MjData(model)
    goal = np.clip(np.array(hand.open_pose) + 0.1, *np.array([(j.lower, j.upper) for j in hand.actuated]).T)
    data.ctrl[:] = goal
    for _ in range(1000):
        mj.mj_step(model, data)
    q = [data.joint(f"hand/{joint.name}").qpos[0] for joint in hand.actuated]
    np.testing.assert_allclose(q, goal, atol=0.03)


@pytest.mark.parametrize("file", SHIPPED)
def test_a_vendors_hand_can_be_mirrored(shared, file):
    assert mirror_hand(draft(shared, file)).hand.side != draft(shared, file).hand.side


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("dex3/dex3_left.urdf", "dex3/dex3_right.urdf"),
        ("g1_inspire/DFQ_left_hand.urdf", "g1_inspire/DFQ_right_hand.urdf"),
        ("sharpa_wave/sharpa_wave_left.urdf", "sharpa_wave/sharpa_wave_right.urdf"),
    ],
)
def test_signs_between_a_vendors_hands_are_those_that_we_ship(shared, left, right):
    one, other = pair_hands(draft(shared, left, "left"), draft(shared, right, "right"))
    ours = dict(zip([joint.name for joint in shipped(right).actuated], shipped(right).mirror_signs, strict=True))
    found = dict(zip([joint.name for joint in other.hand.actuated], other.hand.mirror_signs, strict=True))
    assert found == ours
    assert one.hand.mirror_signs == other.hand.mirror_signs


def test_a_second_limit_is_refused_by_name_and_without_it_the_file_is_read(shared, tmp_path):
    with pytest.raises(SpecError, match=r"wsg_50\.urdf: joint 'base_joint_gripper_left': has several <limit> elements"):
        draft(shared, "wsg50/wsg_50.urdf")
    text = (shared / "reference" / "models" / "wsg50" / "wsg_50.urdf").read_text()
    (tmp_path / "wsg_50.urdf").write_text(text.replace('<limit effort="100" velocity="100"/>', ""))
    found = draft_hand(tmp_path / "wsg_50.urdf", side=None, namespace="acme", name="hand")
    assert len(found.questions) == 1
    assert "mimic of 'base_joint_gripper_left': it slides as 'base_joint_gripper_right' does" in found.questions[0]
    known = default_host().spec("gripper/wsg50").hand("right")
    assert followed(found.hand) == followed(known)
    assert found.hand.open_pose == known.open_pose
    axes = found.hand.T_root_wrist.matrix()[:3, :3]
    assert rotation_angle(axes, known.T_root_wrist.matrix()[:3, :3]) < np.radians(1)
    assert found.hand.aperture.linear == pytest.approx(2.0)


def test_a_hand_behind_an_arm_and_a_whole_robot(shared):
    found = draft(shared, "r1pro/r1_pro_left_ik.urdf")
    assert found.hand.root == "left_gripper_link"
    assert found.hand.side == "left"
    with pytest.raises(SpecError, match="that is no finger; give a URDF of one hand alone"):
        draft(shared, "g1/g1_29dof_rev_1_0.urdf")
    with pytest.raises(SpecError, match="chains of moving joints leave link 'pelvis'"):
        draft(shared, "g1/g1_29dof_with_hand_rev_1_0.urdf")
