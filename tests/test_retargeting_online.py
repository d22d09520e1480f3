"""Online retargeting: frame by frame what the clip's retargeter does, causal, within all limits."""

import human_hand
import numpy as np
import pytest
import torch

from egoscale_sdk.host import default_host
from egoscale_sdk.retargeting import KeypointRetargeter, OnlineRetargeter

HANDS = ("sharpa/wave", "unitree/g1_dex3", "unitree/g1_inspire")


def hand(name, side="right"):
    return default_host().spec(name).hand(side)


def follow(retargeter, motion, confidence=None):
    given = motion if confidence is None else zip(motion, confidence, strict=True)
    results = [retargeter.step(*map(torch.as_tensor, frame if confidence is not None else (frame,))) for frame in given]
    return torch.stack([result.joints for result in results]), torch.stack([result.valid for result in results])


@pytest.mark.parametrize("name", HANDS)
def test_a_slow_motion_is_followed_as_the_clip_is(name):
    motion = np.repeat(human_hand.clip(40, seed=2), 4, axis=0)
    joints, valid = follow(OnlineRetargeter(hand(name)), motion)
    clip = KeypointRetargeter(hand(name)).retarget(torch.from_numpy(motion)).joints
    assert bool(valid.all())
    assert float((joints - clip).abs().median()) < 0.03


@pytest.mark.parametrize("name", HANDS)
def test_limits_of_position_and_velocity_hold_for_any_input(name):
    rng = np.random.default_rng(0)
    noise = human_hand.clip(30) + rng.normal(scale=0.02, size=(30, 21, 3))
    robot = hand(name)
    joints, _ = follow(OnlineRetargeter(robot, rate_hz=60.0), noise)
    joints = joints.double().numpy()
    assert np.all((joints >= [j.lower for j in robot.actuated]) & (joints <= [j.upper for j in robot.actuated]))
    assert np.all(np.abs(np.diff(joints, axis=0)).max(0) <= np.array([j.velocity for j in robot.actuated]) / 60)


def test_while_the_hand_is_lost_the_joints_stay():
    motion = human_hand.clip(20)
    motion[10:15] = np.nan
    joints, valid = follow(OnlineRetargeter(hand("unitree/g1_dex3")), motion)
    assert valid.tolist() == [not 10 <= t < 15 for t in range(20)]
    assert torch.equal(joints[10:15], joints[9].expand(5, -1))


def test_nothing_later_changes_a_frame_and_a_left_hand_mirrors_a_right_one():
    motion = human_hand.clip(12)
    other = np.concatenate([motion[:6], human_hand.clip(6, seed=9)])
    ours, theirs = (follow(OnlineRetargeter(hand("sharpa/wave")), m)[0] for m in (motion, other))
    assert torch.equal(ours[:6], theirs[:6])
    left, _ = follow(OnlineRetargeter(hand("sharpa/wave", "left")), human_hand.mirrored(motion))
    signs = torch.tensor(hand("sharpa/wave").mirror_signs)
    torch.testing.assert_close(left, ours * signs, rtol=0, atol=1e-5)


def test_it_starts_where_the_robot_is_and_checks_shapes():
    robot = hand("unitree/g1_dex3")
    start = torch.tensor([0.1, 0.2, -0.3, 0.4, 0.5, 0.6, 0.7])
    retargeter = OnlineRetargeter(robot, start=start)
    assert torch.equal(retargeter.step(torch.full((21, 3), torch.nan)).joints, start)
    with pytest.raises(ValueError, match=r"\(21, 3\)"):
        retargeter.step(torch.zeros(1, 21, 3))
    with pytest.raises(ValueError, match="gradient"):
        retargeter.step(torch.zeros(21, 3, requires_grad=True))
    with pytest.raises(ValueError, match=r"start must be \(7,\)"):
        OnlineRetargeter(robot, start=torch.zeros(22))
    unknown = OnlineRetargeter(robot, start=torch.full((7,), torch.nan))
    assert torch.equal(unknown.joints, OnlineRetargeter(robot).joints)


@pytest.mark.parametrize("target", ["shape", "scaled"])
def test_a_frame_alone_is_what_torch_makes_of_it(target):
    """Number by number, as teleoperation runs it, and by torch from the same source."""
    ours = OnlineRetargeter(hand("unitree/g1_dex3"), target=target)
    theirs = OnlineRetargeter(hand("unitree/g1_dex3"), target=target)
    theirs._follow = lambda *given: [part.flatten().tolist() for part in theirs._frame(*given)]
    motion = human_hand.clip(12)
    motion[4, 5:9] = np.nan
    motion[7] *= 1e60
    (joints, valid), (wanted, known) = follow(ours, motion), follow(theirs, motion)
    torch.testing.assert_close(joints, wanted, rtol=0, atol=1e-6)
    assert valid.tolist() == known.tolist() == [frame not in (4, 7) for frame in range(12)]
