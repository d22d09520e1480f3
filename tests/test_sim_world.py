"""Simulated hands are the hands of the specs: same frames, same limits, same wrist."""

import numpy as np
import pytest
import torch

from egoscale_sdk.errors import SpecError
from egoscale_sdk.geometry import inverse_pose, make_pose, mirror_pose, rotation_angle, rotation_from_rpy
from egoscale_sdk.hands.wrist import wrist_frame
from egoscale_sdk.host import default_host
from egoscale_sdk.kinematics import ForwardKinematics
from egoscale_sdk.sim.person import KEYPOINTS, person_hand, posture
from egoscale_sdk.sim.task import look_at
from egoscale_sdk.sim.world import HandWorld

CAMERA = look_at(np.array([-0.2, 0.0, 0.6]), np.zeros(3))
FAR = np.array([1.0, 1.0])


def shipped_hands():
    ids = ["sharpa/wave", "sharpa/r1pro_wave", "unitree/g1_dex3", "unitree/g1_inspire"]
    ids += ["gripper/parallel", "gripper/panda", "gripper/robotiq_2f85", "gripper/wsg50"]
    return [pytest.param(id, hand.side, id=f"{id}-{hand.side}") for id in ids for hand in default_host().spec(id).hands]


def random_joints(hand, rng):
    lower = np.array([-3.0 if joint.lower is None else joint.lower for joint in hand.actuated])
    upper = np.array([3.0 if joint.upper is None else joint.upper for joint in hand.actuated])
    return rng.uniform(lower, upper)


@pytest.mark.parametrize(("embodiment", "side"), shipped_hands())
def test_every_shipped_hand_has_the_same_frames_in_simulation_as_in_kinematics(embodiment, side):
    hand, rng = default_host().spec(embodiment).hand(side), np.random.default_rng(0)
    world, frames = HandWorld(hand), list(hand.tree.links)
    kinematics = ForwardKinematics(hand.tree, hand.joints, frames, hand.root)
    for _ in range(5):
        joints = random_joints(hand, rng)
        wrist = make_pose(world.grasp_rotation @ rotation_from_rpy(rng.uniform(-0.5, 0.5, 3)), rng.uniform(0.2, 0.3, 3))
        world.reset(wrist, joints, FAR, CAMERA)
        expected = kinematics(torch.from_numpy(joints)).numpy()
        simulated = inverse_pose(world.body_pose(f"hand/{hand.root}")) @ np.stack(
            [world.body_pose(f"hand/{frame}") for frame in frames]
        )
        np.testing.assert_allclose(simulated, expected, atol=1e-5)
        np.testing.assert_allclose(world.wrist, wrist, atol=1e-9)
        np.testing.assert_allclose(
            inverse_pose(world.body_pose(f"hand/{hand.root}")) @ world.wrist, hand.T_root_wrist.matrix(), atol=1e-9
        )


def test_a_hand_of_keypoints_is_refused_with_the_reason():
    with pytest.raises(SpecError, match="no kinematic tree"):
        HandWorld(default_host().spec("human/hands").hand("right"))


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_persons_wrist_is_the_canonical_frame_of_their_keypoints(side):
    world = HandWorld(person_hand(side))
    for closure in (0.0, 0.5, 1.0):
        wrist = make_pose(world.grasp_rotation @ rotation_from_rpy([0.2, -0.1, 0.3]), [0.1, 0.2, 0.3])
        world.reset(wrist, posture(closure), FAR, CAMERA)
        found, valid = wrist_frame(world.positions(KEYPOINTS), side)
        assert valid
        np.testing.assert_allclose(found, wrist, atol=1e-9)


def test_the_left_person_is_the_mirror_of_the_right():
    points = {}
    for side in ("left", "right"):
        world = HandWorld(person_hand(side))
        world.reset(np.eye(4), posture(0.7), FAR, CAMERA)
        points[side] = world.positions(KEYPOINTS)
    np.testing.assert_allclose(points["left"], points["right"] * [1, -1, 1], atol=1e-9)
    assert np.allclose(mirror_pose(np.eye(4)), np.eye(4))


def test_the_person_has_adult_bones():
    world = HandWorld(person_hand())
    world.reset(np.eye(4), posture(0.3), FAR, CAMERA)
    points = world.positions(KEYPOINTS)
    lengths = np.linalg.norm(points[[6, 10, 14, 18]] - points[[5, 9, 13, 17]], axis=1)
    np.testing.assert_allclose(lengths, [0.0370, 0.0414, 0.0387, 0.0293], atol=1e-9)
    np.testing.assert_allclose(
        np.linalg.norm(points[[5, 9, 13, 17]], axis=1), [0.0999, 0.0963, 0.0904, 0.0848], atol=2e-4
    )


@pytest.mark.parametrize("embodiment", ["sharpa/wave", "unitree/g1_dex3"])
def test_wrist_and_joints_reach_their_targets_and_stay_within_limits(embodiment):
    hand = default_host().spec(embodiment).hand("right")
    world, rng = HandWorld(hand), np.random.default_rng(1)
    start = make_pose(world.grasp_rotation, [-0.2, -0.2, 0.3])
    world.reset(start, np.zeros(len(hand.actuated)), FAR, CAMERA)
    goal = make_pose(world.grasp_rotation @ rotation_from_rpy([0.3, 0.2, -0.4]), [-0.1, 0.0, 0.35])
    joints = random_joints(hand, rng)
    for _ in range(30):
        world.step(goal, joints, 0.05)
        lower, upper = (np.array([getattr(joint, end) for joint in hand.actuated]) for end in ("lower", "upper"))
        assert (world.joints > lower - 0.02).all()
        assert (world.joints < upper + 0.02).all()
    assert np.linalg.norm(world.wrist[:3, 3] - goal[:3, 3]) < 1e-3
    assert rotation_angle(world.wrist[:3, :3], goal[:3, :3]) < 0.01
    np.testing.assert_allclose(world.joints, joints, atol=0.03)


def test_time_passes_as_told_although_the_period_is_no_multiple_of_the_timestep():
    world = HandWorld(person_hand())
    start = make_pose(world.grasp_rotation, [-0.2, -0.2, 0.3])
    world.reset(start, posture(0.0), FAR, CAMERA)
    for _ in range(100):
        world.step(start, posture(0.0), 0.01)
    assert world.time_ns == 1_000_000_000
    assert abs(world.data.time - 1.0) < 1 / 240
