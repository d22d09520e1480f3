"""Orders: permutations of any size, and blocks that are read together but seen mixed; every part computed alone."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from egoscale_sdk.data import Blocks, Mixture, Permutation
from egoscale_sdk.data.order import BlockOrder
from egoscale_sdk.errors import RecipeError
from tests.test_data_mixture import Windows

SIZES = st.one_of(st.integers(1, 20), st.integers(21, 5000))
KEYS = st.integers(0, 2**40)
BLOCKS = st.builds(Blocks, st.integers(1, 40), st.integers(1, 300), st.integers(1, 5))


@given(SIZES, KEYS)
def test_a_permutation_sends_every_place_somewhere_else(size, key):
    assert sorted(Permutation(size, key)(np.arange(size)).tolist()) == list(range(size))


@given(SIZES, KEYS, st.integers(1, 50))
def test_a_part_of_a_permutation_is_computed_alone(size, key, count):
    whole = Permutation(size, key)(np.arange(size))
    some = np.random.default_rng(key).integers(0, size, count)
    np.testing.assert_array_equal(Permutation(size, key)(some), whole[some])


def test_every_order_of_four_comes_up_equally_often():
    counts = dict.fromkeys(itertools.permutations(range(4)), 0)
    for key in range(4800):
        counts[tuple(Permutation(4, key)(np.arange(4)).tolist())] += 1
    surprise = sum((count - 200) ** 2 / 200 for count in counts.values())
    assert surprise < 49.7, "chi squared with 23 degrees of freedom: one in a thousand"


def test_neighbours_part_in_a_large_permutation():
    size = 2_250_000_000
    places = Permutation(size, 7)(np.arange(100_000))
    assert len(np.unique(places)) == 100_000
    shares = np.histogram(places, 50, (0, size))[0] / 2000
    assert (abs(shares - 1) < 0.1).all()
    assert abs(np.corrcoef(places[1:], places[:-1])[0, 1]) < 0.01


@given(SIZES, BLOCKS, KEYS)
def test_an_epoch_in_blocks_draws_every_window_once(size, blocks, key):
    order = BlockOrder(size, blocks, key)
    drawn = order(np.arange(size))
    assert sorted(drawn.tolist()) == list(range(size))
    some = np.random.default_rng(key).integers(0, size, 20)
    np.testing.assert_array_equal(order(some), drawn[some])
    of_blocks = [order.windows_of(block) for block in range(-(-size // blocks.block))]
    assert sorted(np.concatenate(of_blocks).tolist()) == list(range(size))
    for number, windows in enumerate(of_blocks):
        assert (order.block_of(windows) == number).all()


@given(st.integers(500, 5000), st.integers(2, 20), st.integers(1, 4), KEYS)
def test_a_stream_needs_few_blocks_at_a_time_and_shares_none(size, block, streams, key):
    order = BlockOrder(size, Blocks(block, 6 * block * streams, streams), key)
    body = np.arange(order.body)
    found = order.block_of(order(body))
    for stream in range(streams):
        own = found[stream::streams]
        for start in range(0, len(own), 6 * block):
            assert len(set(own[start : start + 6 * block])) <= 6
        others = np.delete(found, np.s_[stream::streams])
        assert not set(own) & set(others)


def test_a_buffer_is_mixed_and_epochs_cut_blocks_elsewhere():
    order = BlockOrder(100_000, Blocks(128, 4096, 1), 3)
    first = order.block_of(order(np.arange(64)))
    assert len(set(first.tolist())) > 20
    assert order._shift != BlockOrder(100_000, Blocks(128, 4096, 1), 4)._shift


# --- over processes --------------------------------------------------------------------------------------------------


def mixture(sizes, weights, batch, blocks, seed=0):
    return Mixture([(Windows(n), w) for n, w in zip(sizes, weights, strict=True)], batch, seed, blocks)


@given(
    st.lists(st.integers(1, 200), min_size=1, max_size=3),
    st.integers(1, 24),
    st.sampled_from([1, 2, 3, 4, 6, 12]),
    st.sampled_from([Blocks(1), Blocks(8, 32, 12), Blocks(5, 5, 12)]),
    KEYS,
)
def test_processes_share_every_step_and_do_nothing_twice(sizes, batch, ranks, blocks, seed):
    mixed = mixture(sizes, range(1, len(sizes) + 1), batch, blocks, seed)
    for step in (0, 1, 17):
        together = sorted((n, w) for r in range(ranks) for n, own in mixed.share(step, r, ranks) for w in own.tolist())
        assert together == sorted((n, w) for n, own in mixed.indices(step) for w in own.tolist())
        assert [(n, own.tolist()) for n, own in mixed.share(step)] == [(n, w.tolist()) for n, w in mixed.indices(step)]


@pytest.mark.parametrize("ranks", [2, 3, 8])
def test_windows_that_are_drawn_alone_are_dealt_out_evenly(ranks):
    mixed = mixture([100, 50, 70], [1, 2, 3], 24, Blocks(1))
    for step in range(20):
        assert {sum(len(own) for _, own in mixed.share(step, rank, ranks)) for rank in range(ranks)} == {24 // ranks}


def test_a_process_reads_only_the_blocks_of_its_own_streams():
    mixed = mixture([10_000], [1], 64, Blocks(16, 128, 4))
    order = mixed.order(0, 0)
    seen = []
    for rank in range(4):
        windows = np.concatenate([own for step in range(150) for _, own in mixed.share(step, rank, 4)])
        seen.append(set(order.block_of(windows).tolist()))
    assert sum(map(len, seen)) == len(set.union(*seen))


def test_streams_that_cannot_be_dealt_out_are_refused():
    mixed = mixture([1000], [1], 8, Blocks(16, 64, 4))
    with pytest.raises(
        RecipeError, match="4 streams of blocks cannot be dealt out over 3 processes; choose a multiple"
    ):
        mixed.share(0, 0, 3)
    with pytest.raises(RecipeError, match="no process 2 of 2"):
        mixed.share(0, 2, 2)
    with pytest.raises(RecipeError, match="positive numbers"):
        mixture([1000], [1], 8, Blocks(0))
