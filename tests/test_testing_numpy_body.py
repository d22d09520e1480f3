"""The kit's body in numpy: mounts, bases, and arms whose file shows the whole robot."""

import numpy as np
import pytest

from egoscale_sdk.interfaces import Frame
from egoscale_sdk.kinematics import SpecEmbodiment
from egoscale_sdk.specs import EmbodimentSpec, KinematicTree, TreeJoint
from egoscale_sdk.testing.check import Violation
from egoscale_sdk.testing.checks import all_checks
from egoscale_sdk.testing.fakes import good
from egoscale_sdk.testing.numpy_body import NumpyBody, matrix
from egoscale_sdk.testing.run import run_check

FINGER = {"name": "bend", "parent": "palm", "child": "finger", "xyz_m": (0, 0, 0.1)}
HAND = KinematicTree(root="palm", joints=(TreeJoint(kind="revolute", **FINGER),))
ROBOT = KinematicTree(
    root="pelvis",
    joints=(
        TreeJoint(name="waist", kind="revolute", parent="pelvis", child="torso", xyz_m=(0, 0, 1)),
        TreeJoint(name="shoulder", kind="revolute", parent="torso", child="upper", xyz_m=(0, -0.2, 0), axis=(0, 0, 1)),
        TreeJoint(name="seat", kind="fixed", parent="upper", child="palm", xyz_m=(0.3, 0, 0)),
        TreeJoint(kind="revolute", **FINGER),
    ),
)


def spec() -> EmbodimentSpec:
    joint = {"kind": "revolute", "lower_rad": -1.0, "upper_rad": 1.0}
    hand = {
        "side": "right",
        "hand_space": {"id": "acme/hand@1", "columns": [{"name": "bend", "unit": "rad"}]},
        "urdf": "hand.urdf",
        "tree": HAND,
        "root": "palm",
        "T_root_wrist": {"xyz_m": (0, 0, -0.05)},
        "joints": [{"name": "bend", **joint}],
    }
    arm = {"side": "right", "urdf": "robot.urdf", "tree": ROBOT, "base": "torso", "tip": "palm"}
    arm |= {"T_tip_root": {"xyz_m": (0, 0, 0.02)}, "joints": [{"name": "shoulder", **joint}]}
    return EmbodimentSpec.model_validate(
        {"id": "acme/hand@1", "title": "", "kind": "robot", "control": {"rate_hz": 10}, "hands": [hand], "arms": [arm]}
    )


def test_hands_hang_on_arms_and_wrists_on_hands():
    body = NumpyBody(spec())
    assert body.bases() == {"right": "torso"}
    poses = body.poses(np.array([np.pi / 2, 0.0]))
    np.testing.assert_allclose(poses["right", "palm", 0][:3, 3], [0, 0.1, 0], atol=1e-12)
    np.testing.assert_allclose(poses["right", "palm", 1][:3, 3], [0, 0.1, 0.02], atol=1e-12)
    np.testing.assert_allclose(body.wrists(np.array([np.pi / 2, 0.0]))[0, :3, 3], [0, 0.1, -0.03], atol=1e-12)


def test_fingers_of_the_robots_file_give_way_to_the_hands_own():
    body = NumpyBody(spec())
    poses = body.poses(np.array([0.0, np.pi / 2]))
    np.testing.assert_allclose(poses["right", "finger", 0][:3, :3] @ [0, 1, 0], [0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(poses["right", "finger", 1][:3, :3], np.eye(3), atol=1e-12)
    frames = [Frame("palm", "right", "torso"), Frame("palm", "right", "torso"), Frame("finger", None, "torso")]
    assert body.keys(frames) == [("right", "palm", 0), ("right", "palm", 1), ("right", "finger", 0)]


def test_a_frame_that_is_no_link_is_named():
    with pytest.raises(Violation, match="'thumb' of side right is no link"):
        NumpyBody(spec()).keys([Frame("thumb", "right", "torso")])


def test_a_robots_file_for_an_arm_passes_the_kinematics_checks():
    subject = good(spec=spec(), embodiment=SpecEmbodiment(spec()))
    results = [run_check(check, subject) for check in all_checks() if check.family == "KIN"]
    assert [(result.id, result.detail) for result in results if result.status == "failed"] == []


def test_a_pose_from_its_quaternion():
    pose = spec().hands[0].T_root_wrist.model_copy(update={"quat_wxyz": (np.cos(0.3), 0.0, 0.0, np.sin(0.3))})
    np.testing.assert_allclose(matrix(pose)[:2, :2], [[np.cos(0.6), -np.sin(0.6)], [np.sin(0.6), np.cos(0.6)]])
