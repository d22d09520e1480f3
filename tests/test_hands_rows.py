"""Absolute rows of people: camera poses and keypoints in, wrist poses and keypoints in the wrist frame out."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from egoscale_sdk.geometry import pose_from_vec9, transform_points
from egoscale_sdk.hands import hand_rows, keypoints_from_rows, wrist_frame
from tests.human_hand import clip, mirrored

T = 12


@pytest.fixture
def take():
    """A moving camera and two moving hands in its frame: keypoints ``(T, 2, 21, 3)``, camera poses ``(T, 4, 4)``."""
    rng = np.random.default_rng(7)
    cameras = np.tile(np.eye(4), (T, 1, 1))
    cameras[:, :3, :3] = Rotation.random(T, rng=rng).as_matrix()
    cameras[:, :3, 3] = rng.uniform(-2, 2, (T, 3))
    hands = np.stack([mirrored(clip(T, seed=1)), clip(T, seed=2)], axis=1)
    return hands + np.array([[[-0.2, 0, 0.5]], [[0.2, 0, 0.5]]]), cameras


def test_wrist_columns_are_camera_times_hand(take):
    hands, cameras = take
    rows = hand_rows(hands, np.ones((T, 2)), cameras)
    assert rows.valid.all()
    assert rows.action.shape == (T, 144)
    assert rows.action.dtype == np.float32
    for hand, side in enumerate(("left", "right")):
        H, _ = wrist_frame(hands[:, hand], side)
        W = pose_from_vec9(rows.action[:, 9 * hand : 9 * hand + 9].astype(float))
        np.testing.assert_allclose(W, cameras @ H, atol=1e-5)
        local = rows.action[:, 18 + 63 * hand : 81 + 63 * hand].reshape(T, 21, 3)
        np.testing.assert_allclose(transform_points(H, local), hands[:, hand], atol=1e-5)


def test_world_keypoints_come_back_from_the_rows(take):
    hands, cameras = take
    rows = hand_rows(hands, np.ones((T, 2)), cameras)
    np.testing.assert_allclose(rows.keypoints, transform_points(cameras[:, None], hands), atol=1e-5)
    np.testing.assert_allclose(keypoints_from_rows(rows.action), rows.keypoints, atol=1e-5)


def test_without_a_camera_pose_wrists_are_masked_and_hands_are_not(take):
    hands, cameras = take
    known = hand_rows(hands, np.ones((T, 2)), cameras)
    rows = hand_rows(hands, np.ones((T, 2)), None)
    assert rows.valid.tolist() == [[0, 0, 1, 1]] * T
    assert not rows.action[:, :18].any()
    assert not rows.keypoints.any()
    np.testing.assert_array_equal(rows.action[:, 18:], known.action[:, 18:])


def test_a_lost_camera_an_absent_hand_and_a_bad_keypoint_mask_only_themselves(take):
    hands, cameras = take
    expected = hand_rows(hands, np.ones((T, 2)), cameras)
    present = np.ones((T, 2), bool)
    cameras[3], present[5, 0], hands[8, 1, 4, 2] = np.nan, False, np.nan
    rows = hand_rows(hands, present, cameras)
    invalid = {(int(t), int(g)) for t, g in np.argwhere(rows.valid == 0)}
    assert invalid == {(3, 0), (3, 1), (5, 0), (5, 2), (8, 1), (8, 3)}
    columns = np.repeat(rows.valid.astype(bool), [9, 9, 63, 63], axis=1)
    np.testing.assert_array_equal(rows.action, np.where(columns, expected.action, 0))
    assert np.isfinite(rows.keypoints).all()


def test_no_frames_give_no_rows():
    rows = hand_rows(np.zeros((0, 2, 21, 3)), np.zeros((0, 2)), np.zeros((0, 4, 4)))
    assert rows.action.shape == (0, 144)
    assert rows.valid.shape == (0, 4)
    assert rows.keypoints.shape == keypoints_from_rows(rows.action).shape == (0, 2, 21, 3)
