"""Motions of different lengths in one call: every one has the bits that it has alone, and no long one is held whole."""

import pickle

import human_hand
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_retargeting_solver import coupled_hand

from egoscale_sdk.errors import SpecError
from egoscale_sdk.host import default_host
from egoscale_sdk.interfaces import Motion, Retargeter, RetargetResult
from egoscale_sdk.retargeting import GapRetargeter, KeypointRetargeter
from egoscale_sdk.retargeting.clips import HeldMotion
from egoscale_sdk.retargeting.nearby import REACH
from egoscale_sdk.retargeting.windows import BATCH_FRAMES, HOP, MOST_PADDED, OVERLAP, WINDOW, lots

LENGTHS = (3, 400, 1, 0, 1024, 1030, 31, 2200, 790)
HANDS = {
    "chains": ("sharpa/wave", KeypointRetargeter),
    "coupled fingers": ("unitree/g1_inspire", KeypointRetargeter),
    "dense": (coupled_hand, KeypointRetargeter),
    "gap": ("gripper/panda", GapRetargeter),
}


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def retargeter(kind, side="right", **settings):
    target, method = HANDS[kind]
    return method(target() if callable(target) else default_host().spec(target).hand(side), **settings)


def motion(length, seed=0, lost=0.05):
    """A motion with some frames lost."""
    if length == 0:
        return HeldMotion(torch.zeros(0, 21, 3), torch.zeros(0, 21))
    rng = np.random.default_rng(seed)
    points = torch.from_numpy(human_hand.clip(max(length, 4), seed)[:length]).float()
    seen = torch.from_numpy(rng.uniform(0.3, 1.0, (length, 21))).float()
    seen[torch.from_numpy(rng.random(length) < lost)] = 0.0
    return HeldMotion(points, seen)


def same(found, alone):
    for name in ("joints", "residual_m", "valid"):
        torch.testing.assert_close(getattr(found, name), getattr(alone, name), rtol=0, atol=0)


@pytest.mark.parametrize("kind", HANDS)
def test_every_motion_has_the_bits_that_it_has_alone(kind):
    hand, motions = retargeter(kind), [motion(length, seed) for seed, length in enumerate(LENGTHS)]
    for found, each in zip(hand.retarget_all(motions), motions, strict=True):
        same(found, hand.retarget(each.keypoints, each.seen))
        assert len(found.joints) == len(each)


def test_no_motions_are_no_results():
    assert retargeter("chains").retarget_all([]) == []


@settings(max_examples=8)
@given(st.lists(st.integers(0, 1200), min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_neighbours_and_their_order_change_no_bit(lengths, random):
    hand, motions = retargeter("chains", rounds=2), [motion(length, seed) for seed, length in enumerate(lengths)]
    found = hand.retarget_all(motions)
    order = list(range(len(motions)))
    random.shuffle(order)
    for number, again in zip(order, hand.retarget_all([motions[number] for number in order]), strict=True):
        same(found[number], again)


class Recorded(Motion):
    """A motion that writes down which frames are read."""

    def __init__(self, held):
        self.held, self.most = held, 0

    def __len__(self):
        return len(self.held)

    def read(self, frames):
        found = self.held.read(frames)
        self.most = max(self.most, len(found[0]))
        return found


def test_a_long_motion_is_never_read_whole():
    long = Recorded(motion(5000))
    retargeter("chains", rounds=1, iterations=1).retarget_all([long])
    assert long.most <= WINDOW + 2 * REACH


def test_a_retargeter_that_knows_no_better_takes_them_one_by_one():
    class Plain(Retargeter):
        id, version, parameters = "acme/plain@1", "1", {}

        def retarget(self, keypoints, confidence=None, warm_start=None):
            return RetargetResult(keypoints[:, 0, :1], confidence[:, 0], confidence[:, 0] > 0)

    plain = Plain(default_host().spec("gripper/panda").hand("right"))
    results = plain.retarget_all([motion(4), motion(7)])
    assert [tuple(result.joints.shape) for result in results] == [(4, 1), (7, 1)]


@pytest.mark.parametrize("kind", HANDS)
def test_another_process_can_be_given_a_retargeter(kind):
    hand, clip = retargeter(kind), motion(40)
    before = hand.retarget_all([clip])[0]
    same(pickle.loads(pickle.dumps(hand)).retarget_all([clip])[0], before)


@pytest.mark.parametrize(("kind", "side"), [("chains", "left"), ("chains", "right"), ("dense", "right")])
def test_everything_is_computed_on_the_device_that_was_asked_for(kind, side, monkeypatch):
    """`meta` stands for a GPU: a table that stayed on the CPU is refused, though no number comes back."""
    back = torch.Tensor.cpu
    monkeypatch.setattr(
        torch.Tensor, "cpu", lambda x: torch.zeros(x.shape, dtype=x.dtype) if x.is_meta else back(x), raising=True
    )
    there = retargeter(kind, side, device="meta", iterations=1, rounds=1)
    J = len(there.hand.actuated)
    found = there.retarget_all([motion(50), motion(1100)])
    assert [tuple(result.joints.shape) for result in found] == [(50, J), (1100, J)]


def test_kernels_for_the_cpu_are_refused_elsewhere():
    with pytest.raises(SpecError, match="'simd' is for the CPU, not for cuda; allowed: eager, compiled"):
        retargeter("chains", backend="simd", device="cuda")


@given(st.lists(st.integers(0, 9000), max_size=12))
def test_lots_hold_every_window_once_and_in_order_and_are_hardly_padded(lengths):
    seen = {number: [] for number in range(len(lengths))}
    for lot in lots(lengths):
        assert len({window.length for window in lot}) == 1
        assert len(lot) * lot[0].length <= BATCH_FRAMES
        for window in lot:
            frames = min(WINDOW, lengths[window.motion] - window.start)
            assert window.length >= frames
            assert frames > MOST_PADDED * window.length - 32
            seen[window.motion].append(window.start)
    for number, starts in seen.items():
        assert starts == [HOP * k for k in range(len(starts))]
        assert not lengths[number] or starts[-1] + WINDOW >= lengths[number] > starts[-1] + OVERLAP * bool(starts[-1])
