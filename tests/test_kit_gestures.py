"""The gestures and motions that the kit shows to retargeters are what they are called."""

import numpy as np
import pytest

from egoscale_sdk.hands import check_chirality, plausible_hands, wrist_frame
from egoscale_sdk.sim.person import person_hand
from egoscale_sdk.testing.gestures import (
    CLIPS,
    FPS,
    FRAMES,
    GESTURES,
    PICK,
    PINCHES,
    angles_rad,
    clip,
    clip_angles_rad,
    clips,
    gesture,
    gestures,
    long_clip,
    slow_clip,
)

THUMB, TIPS = 4, {"index": 8, "middle": 12, "ring": 16, "pinky": 20}


def to_thumb(keypoints, finger):
    return np.linalg.norm(keypoints[..., TIPS[finger], :] - keypoints[..., THUMB, :], axis=-1)


@pytest.mark.parametrize("name", PINCHES)
def test_in_a_pinch_the_tips_meet_and_no_others(name):
    for finger in TIPS:
        distance = to_thumb(gesture(name), finger)
        assert distance < 0.003 if finger == PINCHES[name] else distance > 0.035, finger


@pytest.mark.parametrize("name", ["open", "fist", "point", "thumbs_up"])
def test_the_others_pinch_nothing(name):
    assert min(to_thumb(gesture(name), finger) for finger in TIPS) > 0.035


@pytest.mark.parametrize("side", ["left", "right"])
def test_they_are_adult_hands_in_the_wrist_frame(side):
    for keypoints in (gestures(side), clips(side)):
        assert plausible_hands(keypoints).all()
        check_chirality(keypoints, side)
        frame, valid = wrist_frame(keypoints, side)
        assert valid.all()
        np.testing.assert_allclose(frame, np.broadcast_to(np.eye(4), frame.shape), atol=1e-12)


def test_joints_stay_within_a_persons_range_of_motion():
    hand = person_hand()
    lower, upper = (np.array([getattr(joint, end) for joint in hand.joints]) for end in ("lower", "upper"))
    for angles in [*map(angles_rad, GESTURES), *map(clip_angles_rad, CLIPS)]:
        assert np.all((lower <= angles) & (angles <= upper))


def test_the_long_motion_is_smooth_where_it_begins_again_and_is_not_the_same_backwards():
    once, twice = clip(PICK, "left"), long_clip("left", 2)
    np.testing.assert_array_equal(twice[len(once) - 1 :], once)
    assert np.linalg.norm(np.diff(twice, axis=0), axis=-1).max() * FPS < 0.6, "m/s"
    assert np.linalg.norm(once - once[::-1], axis=-1).max() > 0.03, "m"


@pytest.mark.parametrize("name", [*CLIPS, PICK])
def test_motions_are_smooth_and_begin_or_end_nowhere_in_a_jump(name):
    angles = clip_angles_rad(name)
    assert len(angles) == len(clip(name)) == (77 if name == PICK else FRAMES)
    assert np.abs(np.diff(angles, axis=0)).max() * FPS < 6.0, "rad/s"
    assert np.abs(np.diff(angles, n=2, axis=0)).max() * FPS**2 < 60.0, "rad/s^2"


def test_the_grasp_closes_monotonically_and_opens_again():
    closing = clip("grasp")[: FRAMES // 2]
    gap = np.linalg.norm(closing[:, THUMB] - closing[:, [8, 12]].mean(1), axis=-1)
    reach = np.linalg.norm(closing[:, list(TIPS.values())], axis=-1).mean(-1)
    for opening in (gap, reach):
        assert np.all(np.diff(opening) <= 1e-12)
        assert opening[-1] < 0.75 * opening[0]
    np.testing.assert_allclose(clip("grasp")[FRAMES // 2 :], closing[::-1], atol=1e-12)


def test_a_left_hand_is_the_mirror_image_and_a_small_hand_is_small():
    np.testing.assert_array_equal(clip("wave", "left"), clip("wave") * [1, -1, 1])
    np.testing.assert_array_equal(gesture("fist", scale=0.8), 0.8 * gesture("fist"))


def test_what_is_shared_cannot_be_written():
    with pytest.raises(ValueError, match="read-only"):
        gesture("open")[0] = 1.0


def test_the_slow_motion_passes_through_the_frames_of_the_fast_one():
    np.testing.assert_allclose(slow_clip("wave", "left")[::2], clip("wave", "left"), atol=1e-12)
