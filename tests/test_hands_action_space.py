"""Chunks: what a policy sees of a motion, and what must not change it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from egoscale_sdk.geometry import MIRROR, mirror_pose, pose_from_vec9, vec9_from_pose
from egoscale_sdk.hands import WristHandSpace, hand_rows
from egoscale_sdk.specs import ColumnSpec, HandSpaceSpec, RowLayout
from tests.human_hand import clip, mirrored

seeds = st.integers(0, 2**32 - 1)
JOINTS22 = HandSpaceSpec(id="acme/hand@1", columns=[ColumnSpec(name=f"joint_{j}", unit="rad") for j in range(22)])
CLAW = HandSpaceSpec(id="acme/claw@1", columns=[ColumnSpec(name="opening", unit="m")])
TWO_HANDS = RowLayout.of({"left": JOINTS22, "right": JOINTS22})
RIGHT_ONLY, LEFT_CLAW = RowLayout.of({"right": JOINTS22}), RowLayout.of({"left": CLAW})
LAYOUTS = {"two hands": TWO_HANDS, "right only": RIGHT_ONLY, "claw": LEFT_CLAW}
H = 5


def random_poses(rng, *shape):
    T = np.tile(np.eye(4), (int(np.prod(shape)), 1, 1))
    T[:, :3, :3] = Rotation.random(len(T), rng=rng).as_matrix()
    T[:, :3, 3] = rng.uniform(-2, 2, (len(T), 3))
    return T.reshape(*shape, 4, 4)


def random_rows(rng, layout, *shape):
    """Absolute rows with proper rotations in the wrist columns."""
    rows = rng.uniform(-1, 1, (*shape, layout.dim))
    for side in layout.sides:
        rows[..., layout.blocks[f"{side}_wrist"]] = vec9_from_pose(random_poses(rng, *shape))
    return rows


def all_valid(layout, *shape):
    return np.ones((*shape, len(layout.groups)), bool)


def moved(rows, layout, G):
    """The same rows after the world has moved by G."""
    rows = rows.copy()
    for side in layout.sides:
        block = layout.blocks[f"{side}_wrist"]
        rows[..., block] = vec9_from_pose(G @ pose_from_vec9(rows[..., block]))
    return rows


def test_two_hands_of_22_joints_make_62_columns_in_order():
    space = WristHandSpace(TWO_HANDS)
    assert len(space.names) == len(space.units) == 62
    assert space.names[0] == "left_wrist.x"
    assert space.names[9:12] == ("right_wrist.x", "right_wrist.y", "right_wrist.z")
    assert space.names[18] == "left_hand.joint_0"
    assert space.names[61] == "right_hand.joint_21"
    assert space.units[:4] == ("m", "m", "m", "1")


@pytest.mark.parametrize("name", LAYOUTS)
@given(seed=seeds)
def test_encode_against_the_literal_formula(name, seed):
    layout, rng = LAYOUTS[name], np.random.default_rng(seed)
    trajectory, state = random_rows(rng, layout, 2, H), random_rows(rng, layout, 2)
    chunk = WristHandSpace(layout).encode(trajectory, all_valid(layout, 2, H), state, all_valid(layout, 2))
    assert chunk.mask.all()
    expected = trajectory.copy()
    for side in layout.sides:
        block = layout.blocks[f"{side}_wrist"]
        for b, k in np.ndindex(2, H):
            W0, Wk = pose_from_vec9(state[b, block]), pose_from_vec9(trajectory[b, k, block])
            dW = np.linalg.inv(W0) @ Wk
            expected[b, k, block] = [*dW[:3, 3], *dW[0, :3], *dW[1, :3]]
    np.testing.assert_allclose(chunk.values, expected, atol=1e-12)


@pytest.mark.parametrize("name", LAYOUTS)
@given(seed=seeds)
def test_decode_inverts_encode(name, seed):
    layout, rng = LAYOUTS[name], np.random.default_rng(seed)
    trajectory, state = random_rows(rng, layout, 2, H), random_rows(rng, layout, 2)
    space = WristHandSpace(layout)
    chunk = space.encode(trajectory, all_valid(layout, 2, H), state, all_valid(layout, 2))
    np.testing.assert_allclose(space.decode(chunk.values, state), trajectory, atol=1e-12)


@given(seeds)
def test_a_motion_of_the_world_changes_no_chunk_and_moves_what_is_decoded(seed):
    rng = np.random.default_rng(seed)
    trajectory, state, G = random_rows(rng, TWO_HANDS, H), random_rows(rng, TWO_HANDS), random_poses(rng, 1)[0]
    space = WristHandSpace(TWO_HANDS)
    valid, state_valid = all_valid(TWO_HANDS, H), all_valid(TWO_HANDS)
    here = space.encode(trajectory, valid, state, state_valid)
    there = space.encode(moved(trajectory, TWO_HANDS, G), valid, moved(state, TWO_HANDS, G), state_valid)
    np.testing.assert_allclose(there.values, here.values, atol=1e-12)
    decoded = space.decode(here.values, moved(state, TWO_HANDS, G))
    np.testing.assert_allclose(decoded, moved(trajectory, TWO_HANDS, G), atol=1e-12)


@given(seeds)
def test_the_chunk_of_a_mirrored_motion_is_the_mirrored_chunk(seed):
    rng = np.random.default_rng(seed)
    layout = RIGHT_ONLY
    other = RowLayout.of({"left": JOINTS22})
    trajectory, state = random_rows(rng, layout, H), random_rows(rng, layout)

    def mirror(rows):
        wrist = vec9_from_pose(mirror_pose(pose_from_vec9(rows[..., :9])))
        return np.concatenate([wrist, rows[..., 9:]], axis=-1)

    right = WristHandSpace(layout).encode(trajectory, all_valid(layout, H), state, all_valid(layout))
    left = WristHandSpace(other).encode(mirror(trajectory), all_valid(other, H), mirror(state), all_valid(other))
    dW = pose_from_vec9(right.values[:, :9])
    np.testing.assert_allclose(pose_from_vec9(left.values[:, :9]), MIRROR @ dW @ MIRROR, atol=1e-12)
    np.testing.assert_allclose(left.values, mirror(right.values), atol=1e-12)


@given(seeds)
def test_masked_columns_hold_zero_and_change_nothing(seed):
    rng = np.random.default_rng(seed)
    layout, space = TWO_HANDS, WristHandSpace(TWO_HANDS)
    trajectory, state = random_rows(rng, layout, 3, H), random_rows(rng, layout, 3)
    valid, state_valid = rng.random((3, H, 4)) < 0.6, rng.random((3, 4)) < 0.6
    clean = space.encode(trajectory, valid, state, state_valid)

    dirt = rng.choice([np.nan, np.inf, -1e30, 0.0])
    dirty_rows = np.where(space.column_mask(valid), trajectory, dirt)
    dirty_state = np.where(space.column_mask(state_valid), state, dirt)
    dirty = space.encode(dirty_rows, valid, dirty_state, state_valid)
    np.testing.assert_array_equal(dirty.values, clean.values)
    np.testing.assert_array_equal(dirty.mask, clean.mask)
    assert np.isfinite(clean.values).all()
    assert not clean.values[~clean.mask].any()

    everything = space.encode(trajectory, all_valid(layout, 3, H), state, all_valid(layout, 3))
    np.testing.assert_array_equal(clean.values[clean.mask], everything.values[clean.mask])


def test_a_wrist_without_a_reference_is_masked_over_the_chunk_but_its_hand_is_not():
    rng = np.random.default_rng(0)
    state_valid = np.array([True, False, False, False])  # only the left wrist was measured
    chunk = WristHandSpace(TWO_HANDS).encode(
        random_rows(rng, TWO_HANDS, H), all_valid(TWO_HANDS, H), random_rows(rng, TWO_HANDS), state_valid
    )
    by_group = {group: chunk.mask[:, block].all() for group, block in TWO_HANDS.blocks.items()}
    assert by_group == {"left_wrist": True, "right_wrist": False, "left_hand": True, "right_hand": True}
    assert not chunk.mask[:, TWO_HANDS.blocks["right_wrist"]].any()


def test_decoding_zeros_holds_the_measured_wrists():
    state = random_rows(np.random.default_rng(0), TWO_HANDS)
    rows = WristHandSpace(TWO_HANDS).decode(np.zeros((H, 62)), state)
    np.testing.assert_allclose(rows[:, :18], np.tile(state[:18], (H, 1)), atol=1e-12)


@given(seeds)
def test_decoded_rotations_are_rotations_though_rot6d_is_any_six_numbers(seed):
    rng = np.random.default_rng(seed)
    rows = WristHandSpace(TWO_HANDS).decode(rng.normal(0, 3, (H, 62)), random_rows(rng, TWO_HANDS))
    for side in TWO_HANDS.sides:
        first, second = np.split(rows[:, TWO_HANDS.blocks[f"{side}_wrist"]][:, 3:], 2, axis=1)
        np.testing.assert_allclose(np.linalg.norm([first, second], axis=-1), 1, atol=1e-9)
        np.testing.assert_allclose((first * second).sum(-1), 0, atol=1e-9)


def test_float32_rows_give_float32_chunks_computed_in_float64():
    rng = np.random.default_rng(0)
    trajectory, state = random_rows(rng, TWO_HANDS, H), random_rows(rng, TWO_HANDS)
    space, masks = WristHandSpace(TWO_HANDS), (all_valid(TWO_HANDS, H), all_valid(TWO_HANDS))
    chunk = space.encode(trajectory.astype(np.float32), masks[0], state.astype(np.float32), masks[1])
    assert chunk.values.dtype == np.float32
    assert space.decode(chunk.values, state).dtype == np.float32
    np.testing.assert_allclose(chunk.values, space.encode(trajectory, masks[0], state, masks[1]).values, atol=1e-6)


@given(seeds)
def test_a_persons_chunk_does_not_depend_on_where_the_head_was(seed):
    """Camera poses and keypoints in, 62 columns out: the head may move, the hands in the world count."""
    rng = np.random.default_rng(seed)
    world = np.stack([mirrored(clip(H + 1, seed=1)) - [0.3, 0, 0], clip(H + 1, seed=2)], axis=1)
    joints = rng.uniform(-1, 1, (H + 1, 44))  # of the retargeting, which is none of this test's business
    chunks = []
    for cameras in (random_poses(rng, H + 1), random_poses(rng, H + 1)):
        seen = np.einsum("tij,thkj->thki", np.linalg.inv(cameras)[:, :3, :3], world - cameras[:, None, None, :3, 3])
        wrists = hand_rows(seen, np.ones((H + 1, 2)), cameras).action[:, :18]
        rows = np.concatenate([wrists, joints], axis=1)
        masks = all_valid(TWO_HANDS, H), all_valid(TWO_HANDS)
        chunks.append(WristHandSpace(TWO_HANDS).encode(rows[1:], masks[0], rows[0], masks[1]).values)
    assert chunks[0].shape == (H, 62)
    np.testing.assert_allclose(chunks[0], chunks[1], atol=1e-5)
