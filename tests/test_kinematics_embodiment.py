"""A body made from a spec: which frames it has, in which base, and what it refuses."""

import pytest
import torch

from egoscale_sdk.errors import SpecError
from egoscale_sdk.kinematics import SpecEmbodiment
from egoscale_sdk.specs import EmbodimentSpec, KinematicTree, TreeJoint


def joint(name, parent, child, **more) -> TreeJoint:
    return TreeJoint(name=name, kind=more.pop("kind", "revolute"), parent=parent, child=child, **more)


def revolute(name, **more) -> dict:
    return {"name": name, "kind": "revolute", "lower_rad": -1.0, "upper_rad": 1.0, **more}


PALM_FINGER = KinematicTree(
    root="palm",
    joints=(joint("bend", "palm", "finger", xyz_m=(0, 0, 0.1)), joint("tip", "finger", "tip", kind="fixed")),
)
# A trunk that can turn carries this arm and another one: only this arm's links belong to it.
TRUNK = KinematicTree(
    root="pelvis",
    joints=(
        joint("waist", "pelvis", "torso", xyz_m=(0, 0, 1), axis=(0, 0, 1)),
        joint("shoulder", "torso", "upper", xyz_m=(0, -0.2, 0), axis=(0, 1, 0)),
        joint("camera", "torso", "head", kind="fixed", xyz_m=(0, 0, 0.5)),
        joint("other_shoulder", "torso", "other_upper", xyz_m=(0, 0.2, 0)),
        joint("wrist", "upper", "flange", kind="fixed", xyz_m=(0.3, 0, 0)),
    ),
)
HAND = {
    "side": "right",
    "hand_space": {"id": "acme/hand@1", "columns": [{"name": "bend", "unit": "rad"}]},
    "urdf": "hand.urdf",
    "tree": PALM_FINGER,
    "root": "palm",
    "T_root_wrist": {"xyz_m": (0, 0, -0.05)},
    "joints": [revolute("bend", lower_rad=0.2)],
}
ARM = {
    "side": "right",
    "urdf": "arm.urdf",
    "tree": TRUNK,
    "base": "torso",
    "tip": "flange",
    "T_tip_root": {"xyz_m": (0.01, 0, 0)},
    "joints": [revolute("shoulder")],
}


def body(arms=(), **hand) -> SpecEmbodiment:
    spec = {"id": "acme/hand@1", "title": "", "kind": "robot", "control": {"rate_hz": 10}, "hands": [{**HAND, **hand}]}
    return SpecEmbodiment(EmbodimentSpec.model_validate({**spec, "arms": arms}))


def test_a_hand_without_an_arm_is_in_its_own_root():
    hand = body()
    assert [(frame.name, frame.side, frame.base) for frame in hand.frames] == [
        ("palm", "right", "palm"),
        ("finger", "right", "palm"),
        ("tip", "right", "palm"),
    ]
    assert hand.capabilities == {"forward_kinematics"}
    assert torch.equal(hand.forward_kinematics(torch.zeros(1))[0], torch.eye(4))


def test_a_hand_on_an_arm_is_in_the_base_of_the_arm():
    hand = body([ARM])
    assert [frame.name for frame in hand.frames] == ["torso", "upper", "head", "flange", "palm", "finger", "tip"]
    assert {frame.base for frame in hand.frames} == {"torso"}
    poses = hand.forward_kinematics(torch.zeros(4, 2))
    assert poses.shape == (4, 7, 4, 4)
    torch.testing.assert_close(poses[0, 4, :3, 3], torch.tensor([0.31, -0.2, 0.0]))


def test_wrist_poses_are_root_times_the_wrist_frame():
    hand = body([ARM])
    q = torch.tensor([[0.4, 0.3]])
    root = hand.forward_kinematics(q)[0, 4]
    wrist = hand.wrist_poses(q)[0, 0]
    torch.testing.assert_close(wrist[:3, 3], root[:3, 3] - 0.05 * root[:3, 2])
    torch.testing.assert_close(wrist[:3, :3], root[:3, :3])


def test_neutral_and_clamp_keep_the_limits():
    hand = body([ARM])
    assert hand.neutral(torch.zeros(0)).tolist() == pytest.approx([0.0, 0.2])
    assert hand.clamp(torch.tensor([-9.0, 9.0])).tolist() == [-1.0, 1.0]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_clamped_values_keep_the_limits_as_written(dtype):
    """0.1 and 1.9199 are no binary fractions: the nearest float32 of 1.9199 lies above it."""
    hand = body(joints=[revolute("bend", lower_rad=-0.1, upper_rad=1.9199)])
    low, high = hand.clamp(torch.tensor([[-9.0], [9.0]], dtype=dtype)).double()[:, 0].tolist()
    assert -0.1 <= low < -0.09
    assert 1.9 < high <= 1.9199


def test_a_continuous_joint_has_no_limits():
    endless = KinematicTree(root="palm", joints=(joint("bend", "palm", "finger", kind="continuous"),))
    hand = body(joints=[{"name": "bend", "kind": "continuous"}], tree=endless)
    assert hand.clamp(torch.tensor([99.0])).tolist() == [99.0]


def test_what_it_cannot_do_it_says():
    with pytest.raises(SpecError, match="acme/hand@1: has no arms"):
        body().wrist_poses(torch.zeros(1))
    keypoints = {"id": "human/k@1", "columns": [{"name": f"p{n}", "unit": "m"} for n in range(63)]}
    person = body(representation="keypoints", hand_space=keypoints, tree=None, urdf=None, joints=[])
    assert person.capabilities == frozenset()
    with pytest.raises(SpecError, match="no forward kinematics"):
        person.forward_kinematics(torch.zeros(0))
    with pytest.raises(ValueError, match="2 joints"):
        body([ARM]).forward_kinematics(torch.zeros(3))
