"""The wrist frame of a hand, and what it does under motion and mirror."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from egoscale_sdk.geometry import MIRROR, mirror_pose, transform_points
from egoscale_sdk.hands import BONES, KEYPOINTS, keypoints_in_wrist, wrist_frame
from tests.human_hand import mirrored, right_hand

seeds = st.integers(0, 2**32 - 1)


def a_hand(rng):
    """A random right hand near wrist axes: knuckles where they are, fingers anywhere."""
    return right_hand(rng.uniform(0, 1, 4), rng.uniform(0, 0.2)) + rng.normal(0, 0.002, (21, 3))


def a_motion(rng):
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = Rotation.random(rng=rng).as_matrix(), rng.uniform(-2, 2, 3)
    return T


def literal_frame(p, side):
    """DESIGN section 4, word for word."""
    unit = lambda v: v / np.linalg.norm(v)  # noqa: E731
    z = unit(p[9] - p[0])
    x = unit(np.cross(p[5] - p[17], z)) if side == "right" else unit(np.cross(p[17] - p[5], z))
    T = np.eye(4)
    T[:3, :3] = np.column_stack([x, np.cross(z, x), z])
    T[:3, 3] = p[0]
    return T


@given(seeds, st.sampled_from(["left", "right"]))
def test_frame_against_the_literal_formula(seed, side):
    rng = np.random.default_rng(seed)
    p = np.stack([transform_points(a_motion(rng), a_hand(rng)) for _ in range(3)])
    T, valid = wrist_frame(p, side)
    assert valid.all()
    np.testing.assert_allclose(T, [literal_frame(hand, side) for hand in p], atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(T[:, :3, :3]), 1)


def test_an_open_right_hand_lies_in_wrist_axes():
    hand = right_hand(np.zeros(4))
    curled = right_hand(np.full(4, 0.6))
    frame, _ = wrist_frame(hand, "right")
    local = dict(zip(KEYPOINTS, keypoints_in_wrist(hand, frame), strict=True))
    assert local["middle_tip"][2] > 0.15, "z runs along the fingers"
    assert local["thumb_tip"][1] > 0.02, "the thumb is on +y"
    assert local["pinky_mcp"][1] < -0.02
    bent = dict(zip(KEYPOINTS, keypoints_in_wrist(curled, wrist_frame(curled, "right")[0]), strict=True))
    assert bent["middle_tip"][0] > 0.02, "fingers curl towards +x, out of the palm"


@given(seeds)
def test_moving_the_hand_moves_its_frame_and_nothing_in_it(seed):
    rng = np.random.default_rng(seed)
    hand, G = a_hand(rng), a_motion(rng)
    here, there = wrist_frame(hand, "right")[0], wrist_frame(transform_points(G, hand), "right")[0]
    np.testing.assert_allclose(there, G @ here, atol=1e-12)
    np.testing.assert_allclose(
        keypoints_in_wrist(transform_points(G, hand), there), keypoints_in_wrist(hand, here), atol=1e-12
    )


@given(seeds)
def test_left_frame_of_mirrored_keypoints_is_the_mirrored_frame(seed):
    rng = np.random.default_rng(seed)
    hand = transform_points(a_motion(rng), a_hand(rng))
    T, _ = wrist_frame(hand, "right")
    left, valid = wrist_frame(mirrored(hand), "left")
    assert valid
    np.testing.assert_allclose(left, MIRROR @ T @ MIRROR, atol=1e-12)
    np.testing.assert_allclose(left, mirror_pose(T), atol=1e-12)


@given(seeds)
def test_mirror_of_a_motion_is_the_mirrored_motion_of_the_wrist(seed):
    rng = np.random.default_rng(seed)
    first, second = (transform_points(a_motion(rng), a_hand(rng)) for _ in range(2))
    dW = np.linalg.inv(wrist_frame(first, "right")[0]) @ wrist_frame(second, "right")[0]
    mirrored_dW = np.linalg.inv(wrist_frame(mirrored(first), "left")[0]) @ wrist_frame(mirrored(second), "left")[0]
    np.testing.assert_allclose(mirrored_dW, MIRROR @ dW @ MIRROR, atol=1e-10)


DEGENERATE = {
    "all zero": lambda p: p * 0,
    "collapsed to a point": lambda p: p * 0 + 0.3,
    "missing wrist": lambda p: np.where(np.arange(21)[:, None] == 0, np.nan, p),
    "missing knuckle": lambda p: np.where(np.arange(21)[:, None] == 17, np.nan, p),
    "infinite": lambda p: np.where(np.arange(21)[:, None] == 9, np.inf, p),
    "knuckles on a line with the wrist": lambda p: np.outer(np.arange(21), [0, 0, 0.01]),
}


@pytest.mark.parametrize("case", DEGENERATE)
@pytest.mark.parametrize("side", ["left", "right"])
def test_a_degenerate_hand_is_invalid_and_harms_no_other_frame(case, side):
    good = right_hand(np.zeros(4))
    T, valid = wrist_frame(np.stack([good, DEGENERATE[case](good), good]), side)
    assert valid.tolist() == [True, False, True]
    np.testing.assert_array_equal(T[1], np.eye(4))
    np.testing.assert_allclose(T[2], literal_frame(good, side), atol=1e-12)


def test_bones_join_every_keypoint_to_one_nearer_to_the_wrist():
    assert sorted(far for _, far in BONES) == list(range(1, 21))
    assert all(near < far for near, far in BONES)
