"""What importers of people share, against literal loops: frozen hands, gaps, poses between stamps."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from egoscale_sdk.data.importers.people import HandTrack, map_ids, without_frozen
from egoscale_sdk.data.importers.trajectory import poses_at

MILLISECOND = 1_000_000


def track_of(values, seen):
    points = np.zeros((len(values), 2, 21, 3))
    points[:, 1] += np.array(values, float)[:, None, None]
    both = np.ones((len(values), 2), bool)
    both[:, 1] = seen
    times = np.arange(len(values), dtype=np.int64)
    return HandTrack("k", "w", times, points, both, np.ones_like(points[:, :, 0, 0]))


def literally_not_frozen(values, seen):
    """A row is frozen if it stands in a run of three or more seen rows that each equal the row before them."""
    repeats = [t > 0 and seen[t] and values[t] == values[t - 1] for t in range(len(values))]
    kept = list(seen)
    for t in range(len(values)):
        start, stop = t, t
        while repeats[t] and start > 0 and repeats[start - 1]:
            start -= 1
        while repeats[t] and stop + 1 < len(values) and repeats[stop + 1]:
            stop += 1
        if repeats[t] and stop - start + 1 >= 3:
            kept[t] = False
    return kept


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.booleans()), min_size=1, max_size=30))
def test_frozen_rows_are_those_of_a_literal_reading(rows):
    values, seen = [value for value, _ in rows], [flag for _, flag in rows]
    kept = without_frozen(track_of(values, seen)).seen[:, 1]
    assert kept.tolist() == literally_not_frozen(values, seen)


@settings(deadline=None)
@given(st.lists(st.sampled_from([20, 33, 40, 400, 501, 2000, 6000]), min_size=1, max_size=20))
def test_a_gap_is_longer_than_half_a_second_and_than_four_periods(steps):
    times = np.cumsum([0, *steps]).astype(np.int64) * MILLISECOND
    period, ids = float(np.median(steps)), [0]
    for step in steps:
        ids.append(ids[-1] + int(step > max(500, 4 * period)))
    assert map_ids(times, None).tolist() == ids


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.integers(1, 300), min_size=0, max_size=8),
    st.lists(st.integers(-50, 2500), min_size=1, max_size=20),
)
def test_a_pose_between_stamps_is_linear_and_unknown_outside_and_in_gaps(steps, queries):
    times = np.cumsum([0, *steps]).astype(np.int64) * MILLISECOND
    poses = np.tile(np.eye(4), (len(times), 1, 1))
    poses[:, 0, 3] = np.sin(np.arange(len(times)))
    found = poses_at(times, poses, np.array(queries) * MILLISECOND)[:, 0, 3]
    for query, x in zip(queries, found, strict=True):
        at = query * MILLISECOND
        before = [t for t in times if t <= at]
        after = [t for t in times if t >= at]
        known = before and after and after[0] - before[-1] <= 200 * MILLISECOND
        if not known:
            assert np.isnan(x)
        else:
            assert abs(x - np.interp(at, times, poses[:, 0, 3])) < 1e-9
