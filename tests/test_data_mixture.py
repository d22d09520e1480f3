"""A mixture is a pure function of seed and step, in exact proportions."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from egoscale_sdk.data import Mixture
from egoscale_sdk.errors import RecipeError


class Windows:
    """All that a mixture asks of a dataset: how many windows it has, and whether it is far away."""

    remote = False

    def __init__(self, size):
        self.size = size

    def __len__(self):
        return self.size


def mixture(sizes, weights, batch=8, seed=0):
    return Mixture([(Windows(n), w) for n, w in zip(sizes, weights, strict=True)], batch, seed)


WEIGHTS = st.lists(st.one_of(st.floats(1e-3, 1e3), st.integers(1, 100)), min_size=1, max_size=6)


@given(WEIGHTS, st.integers(0, 10**9))
def test_shares_are_the_weights_to_within_rounding(weights, count):
    drawn = mixture([10] * len(weights), weights).drawn(count)
    assert sum(drawn) == count
    for number, weight in zip(drawn, weights, strict=True):
        assert abs(number - count * weight / sum(weights)) < len(weights) + 1e-6 * count


@given(WEIGHTS, st.integers(0, 10**6))
def test_no_dataset_is_drawn_backwards(weights, count):
    mixed = mixture([10] * len(weights), weights)
    assert all(0 <= b - a <= 1 for a, b in zip(mixed.drawn(count), mixed.drawn(count + 1), strict=True))


def test_integer_weights_come_out_exactly():
    mixed = mixture([50, 50, 50], [1, 2, 5], batch=16)
    counts = Counter()
    for step in range(10):
        for number, indices in mixed.indices(step):
            counts[number] += len(indices)
    assert counts == {0: 20, 1: 40, 2: 100}


@given(st.lists(st.integers(1, 30), min_size=1, max_size=4), st.integers(1, 20), st.integers(0, 2**31))
def test_every_window_is_drawn_once_before_any_again(sizes, batch, seed):
    mixed = mixture(sizes, [1] * len(sizes), batch, seed)
    drawn = {number: [] for number in range(len(sizes))}
    for step in range(40):
        parts = mixed.indices(step)
        assert sum(len(indices) for _, indices in parts) == batch
        for number, indices in parts:
            drawn[number] += indices.tolist()
    for number, size in enumerate(sizes):
        for start in range(0, len(drawn[number]) - size + 1, size):
            assert sorted(drawn[number][start : start + size]) == list(range(size))


def test_resuming_gives_the_same_batches_and_seeds_differ():
    whole = [mixture([70, 30], [1, 3], seed=4).indices(step) for step in range(50)]
    resumed = mixture([70, 30], [1, 3], seed=4)
    for step in reversed(range(50)):
        for (a, one), (b, two) in zip(whole[step], resumed.indices(step), strict=True):
            assert a == b
            np.testing.assert_array_equal(one, two)
    other = mixture([70, 30], [1, 3], seed=5).indices(0)
    assert any((one != two).any() for (_, one), (_, two) in zip(whole[0], other, strict=True))


def test_two_datasets_of_one_size_have_different_orders():
    (_, one), (_, two) = mixture([100, 100], [1, 1], batch=100).indices(0)
    assert (one != two).any()


def test_a_negative_seed_is_refused():
    with pytest.raises(RecipeError, match="the seed of a mixture is -1"):
        mixture([5], [1], seed=-1)


@pytest.mark.parametrize(("weights", "batch"), [([], 8), ([0.0], 8), ([-1.0], 8), ([float("nan")], 8), ([1.0], 0)])
def test_a_mixture_that_makes_no_sense_is_refused(weights, batch):
    with pytest.raises(RecipeError, match="a mixture needs a dataset, positive weights"):
        mixture([10] * len(weights), weights, batch)
