"""From a tracker's keypoints to one person's hand: its axes, its bones, its size, and what the frames around tell."""

import human_hand
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from egoscale_sdk.hands import keypoints_in_wrist, wrist_frame
from egoscale_sdk.hands.wrist import BONES
from egoscale_sdk.host import default_host
from egoscale_sdk.retargeting import KeypointRetargeter
from egoscale_sdk.retargeting.canonical import RIGID, bone_lengths, bone_readings, canonical_hand, palm, turned_onto
from egoscale_sdk.retargeting.nearby import HALF, REACH, running_mean
from egoscale_sdk.retargeting.windows import OVERLAP

TIPS = [4, 8, 12, 16, 20]


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def hand(name):
    return default_host().spec(name).hand("right")


def canonical(motion, seen=None):
    motion = torch.as_tensor(motion)
    return canonical_hand(motion, torch.ones(motion.shape[:2]) if seen is None else seen, "right", torch.float64)


def rotations(seed, frames):
    """A wrist that turns about, ``(T, 3, 3)``."""
    rng = np.random.default_rng(seed)
    time = np.arange(frames)[:, None] / 30
    angles = rng.normal(size=3) + np.sin(2 * np.pi * rng.uniform(0.2, 1.0, 3) * time + rng.uniform(0, 6, 3))
    (cx, cy, cz), (sx, sy, sz) = np.cos(angles).T, np.sin(angles).T
    one, none = np.ones(frames), np.zeros(frames)
    X = np.stack([one, none, none, none, cx, -sx, none, sx, cx], -1).reshape(-1, 3, 3)
    Y = np.stack([cy, none, sy, none, one, none, -sy, none, cy], -1).reshape(-1, 3, 3)
    Z = np.stack([cz, -sz, none, sz, cz, none, none, none, one], -1).reshape(-1, 3, 3)
    return X @ Y @ Z


def steadied(motion):
    found = canonical(motion)
    return turned_onto(running_mean(*palm(found), 1), found)


def test_the_wrist_frame_is_that_of_the_convention():
    motion = human_hand.clip(40)
    moved = np.array([0.3, -1.0, 2.0]) + np.einsum("tij,tkj->tki", rotations(0, 40), motion)
    frame, _ = wrist_frame(moved, "right")
    for found in (canonical(moved), steadied(moved)):
        np.testing.assert_allclose(found.points.permute(2, 0, 1), keypoints_in_wrist(moved, frame), atol=1e-9)


@given(seed=st.integers(0, 2**32 - 1))
def test_the_axes_of_a_noisy_palm_are_steadied_by_the_frames_around(seed):
    """Also while the wrist turns: what is averaged is the palm, not where it is."""
    motion, rng = human_hand.clip(200, seed % 100), np.random.default_rng(seed)
    noisy = motion + rng.normal(scale=3e-3, size=motion.shape)
    seen = np.einsum("tij,tkj->tki", rotations(seed, 200), noisy)
    exact = noisy - noisy[:, :1]
    frame, _ = wrist_frame(motion, "right")
    exact = torch.from_numpy(np.einsum("tji,tkj->tki", frame[:, :3, :3], exact)).permute(1, 2, 0)
    apart = [float((found.points - exact)[TIPS].square().mean().sqrt()) for found in (canonical(seen), steadied(seen))]
    assert apart[1] < 0.96 * apart[0]


@given(seed=st.integers(0, 2**32 - 1), angle=st.floats(-0.25, 0.25))
def test_a_palm_is_turned_all_the_way_onto_the_mean_one(seed, angle):
    rng = np.random.default_rng(seed)
    axis = rng.normal(size=3)
    turn = torch.linalg.matrix_exp(torch.from_numpy(np.cross(np.eye(3), angle * axis / np.linalg.norm(axis))))
    found = canonical(human_hand.clip(5, seed % 100))
    mean = torch.einsum("ij,kjt->kit", turn, found.points[list(RIGID)])
    torch.testing.assert_close(palm(turned_onto(mean, found))[0], mean, rtol=0, atol=1e-5)


@given(seed=st.integers(0, 2**32 - 1))
def test_a_running_mean_is_a_triangle_of_the_frames_around(seed):
    rng = np.random.default_rng(seed)
    T, W = 130, 2
    values, weights = rng.normal(size=(3, T, W)), rng.uniform(0, 1, (T, W)) * (rng.random((T, W)) < 0.7)
    wanted = np.zeros_like(values)
    for t in range(T):
        near = np.arange(max(0, t - REACH), min(T, t + REACH + 1))
        inside = [min(T, t + HALF + 1, s + HALF + 1) - max(0, t - HALF, s - HALF) for s in near]
        share = weights[near] * np.maximum(inside, 0)[:, None]
        wanted[:, t] = (values[:, near] * share).sum(1) / share.sum(0)
    found = running_mean(torch.from_numpy(values).flatten(1), torch.from_numpy(weights).flatten(), W)
    np.testing.assert_allclose(found.reshape(3, T, W), wanted, atol=1e-9)


def test_bone_lengths_are_robust_and_weighed_by_confidence():
    motion, rng = human_hand.clip(60), np.random.default_rng(0)
    wanted = [np.linalg.norm(motion[0, far] - motion[0, near]) for near, far in BONES]
    spoilt, seen = motion.copy(), torch.ones(60, 21)
    spoilt[rng.permutation(60)[:20]] *= 1.4
    np.testing.assert_allclose(bone_lengths(*bone_readings(canonical(spoilt))), wanted, atol=2e-4)
    spoilt[:40], seen[:40] = 1.4 * motion[:40], 0.1
    spoilt[40:] = motion[40:]
    np.testing.assert_allclose(bone_lengths(*bone_readings(canonical(spoilt, seen))), wanted, atol=2e-4)
    seen[:, 8] = 0
    assert bone_lengths(*bone_readings(canonical(motion, seen))).isnan().tolist() == [far == 8 for _, far in BONES]


@pytest.mark.parametrize("target", ["shape", "scaled"])
@pytest.mark.parametrize("size", [0.75, 1.25])
def test_a_child_and_an_adult_who_do_the_same_are_followed_alike(target, size):
    """Far from pinches, which are metric."""
    time = np.arange(50)[:, None] / 50
    motion = np.stack([human_hand.right_hand(bent, 0.1) for bent in 0.3 * np.sin(3 * time + np.arange(4)) ** 2])
    retargeter = KeypointRetargeter(hand("sharpa/wave"), target=target)
    adult, other = (retargeter.retarget(torch.from_numpy(share * motion)).joints for share in (1.0, size))
    torch.testing.assert_close(other, adult, rtol=0, atol=2e-3)


@pytest.mark.parametrize("target", ["shape", "scaled", "metric"])
@pytest.mark.parametrize("seed", range(3))
def test_where_a_motion_is_cut_changes_nothing_beyond_one_overlap(target, seed):
    """Of a tracker whose hand swells and shrinks, whose points are noisy and some of them missing."""
    rng, T = np.random.default_rng(seed), 400
    swelling = 1 + 0.15 * np.sin(2 * np.pi * np.arange(T) / rng.uniform(150, 400))[:, None, None]
    motion = torch.from_numpy(swelling * human_hand.clip(T, seed) + rng.normal(scale=1e-3, size=(T, 21, 3)))
    seen = torch.from_numpy((rng.random((T, 21)) > 0.03) * rng.uniform(0.2, 1, (T, 21)))
    retargeter = KeypointRetargeter(hand("unitree/g1_dex3"), target=target)
    whole, cut = retargeter.retarget(motion, seen).joints, int(rng.integers(100, 300))
    sooner, later = (retargeter.retarget(motion[part], seen[part]).joints for part in (slice(cut), slice(cut, None)))
    torch.testing.assert_close(sooner[:-OVERLAP], whole[: cut - OVERLAP], rtol=0, atol=1e-3)
    torch.testing.assert_close(later[OVERLAP:], whole[cut + OVERLAP :], rtol=0, atol=1e-3)


def test_a_person_whose_segments_are_of_other_proportions_is_followed_alike():
    """Every segment has a scale of its own: what is kept are directions."""
    motion = np.stack([human_hand.right_hand(np.full(4, 0.2 + 0.01 * t), 0.1) for t in range(30)])
    other, shares = motion.copy(), np.random.default_rng(0).uniform(0.8, 1.25, len(BONES))
    for (near, far), share in zip(BONES, shares, strict=True):
        other[:, far] = other[:, near] + (1.0 if near == 0 else share) * (motion[:, far] - motion[:, near])
    retargeter = KeypointRetargeter(hand("sharpa/wave"))
    joints, found = (retargeter.retarget(torch.from_numpy(shown)).joints for shown in (motion, other))
    torch.testing.assert_close(found, joints, rtol=0, atol=1e-3)


def test_fingers_that_leap_and_are_back_are_no_fingers():
    """Of right lengths, but from open to closed to open within two hundredths of a second."""
    motion = np.stack([human_hand.right_hand(np.full(4, 0.002 * t)) for t in range(40)])
    motion[20] = human_hand.right_hand(np.ones(4))
    valid = [
        KeypointRetargeter(hand("unitree/g1_dex3"), rate_hz=rate).retarget(torch.from_numpy(motion)).valid.tolist()
        for rate in (30.0, 100.0)
    ]
    assert valid == [[True] * 40, [t != 20 for t in range(40)]]
