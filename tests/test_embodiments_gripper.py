"""Grippers as we ship them, against the makers' files; their openings in closed form against the pads' distance."""

import numpy as np
import pytest
import torch
from egoscale_gripper.parallel import parallel_gripper

from egoscale_sdk.errors import SpecError
from egoscale_sdk.kinematics import ForwardKinematics
from egoscale_sdk.retargeting import GapRetargeter, aperture_width
from egoscale_sdk.specs import action_fingerprint, load_embodiment, parse_urdf, safety_digest
from tests.numpy_fk import NumpyFK
from tests.vendor_model import CONFIGURATIONS, assert_limits_not_wider, assert_same_poses

torch.set_num_threads(1)
NAMES = ("parallel", "panda", "robotiq_2f85", "wsg50")
SPECS = {name: load_embodiment(f"egoscale_embodiments:gripper_{name}/embodiment.toml") for name in NAMES}
HANDS = {name: spec.hand("right") for name, spec in SPECS.items()}
STROKES_M = {"parallel": (0, 0.1), "panda": (0, 0.08), "robotiq_2f85": (0.0008, 0.085), "wsg50": (0.0054, 0.11)}
each = pytest.mark.parametrize("name", NAMES)


def kinematics(name, frames=None):
    hand = HANDS[name]
    return ForwardKinematics(hand.tree, hand.joints, frames or hand.tree.links, hand.root)


def positions(name, count=CONFIGURATIONS):
    """Joint values over the whole range, ``(count,)``."""
    (joint,) = HANDS[name].actuated
    return np.linspace(joint.lower, joint.upper, count)


def pads_in_wrist(name, q):
    """Positions of thumb pad and index pad in the canonical wrist frame, ``(N, 2, 3)``."""
    pads = [finger.frames[-1].frame for finger in HANDS[name].fingers]
    poses = kinematics(name, pads)(torch.from_numpy(q)[:, None]).numpy()
    return (np.linalg.inv(HANDS[name].T_root_wrist.matrix()) @ poses)[..., :3, 3]


# ---- against the makers' files


@pytest.mark.parametrize(("file", "prefix"), [("franka_hand", "fr3"), ("dexurdf_panda_gripper", "panda")])
def test_the_franka_hand_is_where_the_maker_puts_it(shared, file, prefix):
    vendor = shared / f"reference/models/franka_hand/{file}.urdf"

    def rename(name):
        return name.replace("panda", prefix)

    ours = [link for link in HANDS["panda"].tree.links if not link.endswith("pad")]
    if prefix == "panda":  # this file turns the second finger another way round: only its place is the same
        ours.remove("panda_rightfinger")
    assert_same_poses(kinematics("panda", ours), HANDS["panda"].joints, vendor, name=rename)
    assert_limits_not_wider(HANDS["panda"].joints, vendor, name=rename)


def test_every_link_of_the_2f85_is_where_the_maker_puts_it(shared):
    vendor = shared / "reference/models/robotiq_2f85/robotiq_2f85.urdf"
    links = [link for link in HANDS["robotiq_2f85"].tree.links if not link.endswith("pad")]
    assert_same_poses(kinematics("robotiq_2f85", links), HANDS["robotiq_2f85"].joints, vendor)
    assert_limits_not_wider(HANDS["robotiq_2f85"].joints, vendor)


def test_every_link_of_the_wsg50_is_where_the_maker_puts_it_with_its_yaml_coupling(shared):
    vendor = shared / "reference/models/wsg50/wsg_50.urdf"
    reference = NumpyFK(vendor)
    links = [link for link in HANDS["wsg50"].tree.links if not link.startswith("pad")]
    q = positions("wsg50")
    found = kinematics("wsg50", links)(torch.from_numpy(q)[:, None]).numpy()
    for value, poses in zip(q, found, strict=True):
        expected = reference.poses({"base_joint_gripper_right": value, "base_joint_gripper_left": -value})
        np.testing.assert_allclose(poses, [expected[link] for link in links], atol=1e-6)
    assert_limits_not_wider(HANDS["wsg50"].joints, vendor)


def test_the_wsg50s_own_file_is_refused_because_of_its_double_limits(shared):
    with pytest.raises(SpecError, match="several <limit>"):
        parse_urdf((shared / "reference/models/wsg50/wsg_50.urdf").read_text())


# ---- the opening


@each
def test_the_opening_in_closed_form_is_the_distance_of_the_pads(name):
    q = positions(name)
    pads = pads_in_wrist(name, q)
    apart = np.linalg.norm(pads[:, 0] - pads[:, 1], axis=-1)
    np.testing.assert_allclose(aperture_width(HANDS[name].aperture, q), apart, atol=1e-6)


@each
def test_the_opening_spans_the_stroke(name):
    width = aperture_width(HANDS[name].aperture, positions(name))
    assert (width.min(), width.max()) == pytest.approx(STROKES_M[name], abs=3e-4)


@each
def test_every_opening_is_reached_by_one_joint_value_which_retargeting_finds(name):
    q = positions(name, 200)
    width = aperture_width(HANDS[name].aperture, q)
    assert (np.diff(width) > 0).all() or (np.diff(width) < 0).all()
    keypoints = torch.zeros(200, 21, 3, dtype=torch.float64)
    keypoints[:, 4, 1] = torch.from_numpy(width)  # the thumb tip that far from the other tips
    keypoints[:, 0, 2] = -0.15
    found = GapRetargeter(HANDS[name]).retarget(keypoints)
    np.testing.assert_allclose(found.joints[:, 0].numpy(), q, atol=2e-6)
    assert found.residual_m.max() < 1e-6


@each
def test_the_open_pose_is_the_widest(name):
    width = aperture_width(HANDS[name].aperture, positions(name))
    assert aperture_width(HANDS[name].aperture, np.array(HANDS[name].open_pose)) == pytest.approx(width.max())


# ---- as a right hand


@each
def test_pads_close_along_x_with_the_thumb_on_the_palms_side_and_the_grasp_15_cm_ahead(name):
    pads = pads_in_wrist(name, positions(name, 101))
    between = pads.mean(1)
    np.testing.assert_allclose(between[:, :2], 0, atol=1e-6)
    assert between[50, 2] == pytest.approx(0.15, abs=2e-3)
    across = pads[:, 0] - pads[:, 1]
    assert (across[:, 0] >= 0).all()
    np.testing.assert_allclose(across[:, 1:], 0, atol=1e-6)


@each
def test_the_wire_covers_the_joint(name):
    (wire,) = SPECS[name].wires
    (joint,) = wire.joints
    ends = [joint.offset + joint.sign * joint.scale * value for value in (joint.native_lower, joint.native_upper)]
    (spec,) = HANDS[name].actuated
    assert ends == pytest.approx([spec.lower, spec.upper])


@pytest.mark.parametrize("stroke_m", [0.03, 0.1, 0.14])
def test_another_stroke_changes_limits_and_not_what_an_action_means(stroke_m):
    spec = parallel_gripper(stroke_m)
    hand = spec.hand("right")
    assert spec.id == SPECS["parallel"].id
    assert action_fingerprint(spec) == action_fingerprint(SPECS["parallel"])
    assert (safety_digest(spec) == safety_digest(SPECS["parallel"])) == (stroke_m == 0.1)
    assert (hand.actuated[0].upper_m, hand.open_pose) == (stroke_m, (stroke_m,))
    assert spec.wires[0].joints[0].native_upper == stroke_m


@pytest.mark.parametrize("stroke_m", [0, -0.1, 85, float("nan")])
def test_a_stroke_in_other_units_is_refused(stroke_m):
    with pytest.raises(SpecError, match="in metres"):
        parallel_gripper(stroke_m)
