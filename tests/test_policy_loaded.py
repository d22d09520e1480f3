"""A loaded policy: whom it drives, with what, and what it refuses."""

import logging

import numpy as np
import pytest
import torch
from data_kit import robot_spec
from policy_cases import checkpoint

from egoscale_sdk.errors import CheckpointError
from egoscale_sdk.runtime.policy import LoadedPolicy
from egoscale_sdk.specs import RowLayout

torch.set_num_threads(1)
IDENTITY = [0, 0, 0, 1, 0, 0, 0, 1, 0]


def row_of(spec) -> np.ndarray:
    layout = RowLayout.of(spec.hand_spaces)
    row = np.full(layout.dim, 0.1)
    for side in layout.sides:
        row[layout.blocks[f"{side}_wrist"]] = IDENTITY
    return row


def image(seed=0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (48, 64, 3), dtype=np.uint8)


def act(policy, spec, **changes):
    fields = {"images": {"head": image()}, "state_row": row_of(spec), "state_valid": None, "prompt": "pick"}
    return policy.act(spec.id, **{**fields, **changes})


def test_rows_are_absolute_and_the_same_for_the_same_seed(tmp_path):
    spec = robot_spec(sides=("left", "right"))
    checkpoint(spec).save(tmp_path / "c")
    policy = LoadedPolicy.load(tmp_path / "c")
    rows, mask = act(policy, spec)
    assert rows.shape == mask.shape == (4, 24)
    assert mask.all()
    assert np.array_equal(rows, act(policy, spec)[0])
    assert not np.array_equal(rows, act(policy, spec, seed=1)[0])
    assert np.allclose(np.linalg.norm(rows[:, 3:6], axis=1), 1), "rot6d is orthonormal"


def test_wrists_follow_the_measured_pose_wherever_the_world_is():
    spec = robot_spec()
    policy = LoadedPolicy(checkpoint(spec, state_hand_spaces=None, state_groups=()))
    here = act(policy, spec)[0]
    moved = row_of(spec)
    moved[:3] += [1.0, -2.0, 3.0]
    there = act(policy, spec, state_row=moved)[0]
    np.testing.assert_allclose(there[:, :3] - here[:, :3], np.tile([1.0, -2.0, 3.0], (4, 1)), atol=1e-12)
    np.testing.assert_allclose(there[:, 3:], here[:, 3:], atol=1e-12)


def test_an_unmeasured_wrist_and_an_absent_side_are_not_commanded():
    spec = robot_spec(sides=("left", "right"))
    policy = LoadedPolicy(checkpoint(spec))
    layout = RowLayout.of(spec.hand_spaces)
    valid = np.array([group != "left_wrist" for group in layout.groups])
    rows, mask = act(policy, spec, state_valid=valid)
    assert not mask[:, layout.blocks["left_wrist"]].any()
    assert mask[:, layout.blocks["left_hand"]].all()
    absent = np.array([group.startswith("right") for group in layout.groups])
    rows, mask = act(policy, spec, state_valid=absent)
    assert not mask[:, layout.blocks["left_hand"]].any()
    other = row_of(spec)
    other[layout.blocks["left_hand"]] = 9.0
    again, _ = act(policy, spec, state_valid=absent, state_row=other)
    assert np.array_equal(rows[:, mask[0]], again[:, mask[0]])


def test_without_any_state_hands_are_commanded_and_wrists_are_not():
    spec = robot_spec()
    _, mask = act(LoadedPolicy(checkpoint(spec)), spec, state_row=None)
    assert not mask[:, :9].any()
    assert mask[:, 9:].all()


def test_what_was_never_trained_is_neither_commanded_nor_looked_at():
    spec = robot_spec(sides=("left", "right"))
    right = ("right_wrist", "right_hand")
    policy = LoadedPolicy(checkpoint(spec, groups=right, state_groups=right))
    layout = RowLayout.of(spec.hand_spaces)
    rows, mask = act(policy, spec)
    assert not mask[:, layout.blocks["left_hand"]].any()
    other = row_of(spec)
    other[layout.blocks["left_hand"]] = 9.0
    assert np.array_equal(rows[:, mask[0]], act(policy, spec, state_row=other)[0][:, mask[0]])


def test_a_state_encoder_that_was_never_trained_is_said_and_replaced(caplog):
    spec = robot_spec()
    policy = LoadedPolicy(checkpoint(spec, state_hand_spaces=None, state_groups=()))
    with caplog.at_level(logging.WARNING):
        first = act(policy, spec)[0]
    assert "placeholder" in caplog.text
    other = row_of(spec)
    other[9:] = 0.9
    assert np.array_equal(first, act(policy, spec, state_row=other)[0]), "hands were looked at"


def test_images_of_any_size_are_accepted_and_a_missing_camera_is_masked():
    spec = robot_spec()
    policy = LoadedPolicy(checkpoint(spec))
    assert np.isfinite(act(policy, spec, images={})[0]).all()
    assert np.isfinite(act(policy, spec, images={"head": image()[:7, :9], "unknown": image()})[0]).all()
    assert not np.array_equal(act(policy, spec)[0], act(policy, spec, images={})[0])


def test_a_wrong_row_is_an_error_of_the_caller():
    spec = robot_spec()
    with pytest.raises(ValueError, match="rows \\(12,\\)"):
        act(LoadedPolicy(checkpoint(spec)), spec, state_row=np.zeros(5))


def test_the_robot_it_was_trained_for_is_bound():
    spec = robot_spec()
    assert LoadedPolicy(checkpoint(spec)).bind(spec).id == "acme/hand@1"


def test_a_robot_whose_joints_are_in_another_order_is_refused_with_the_difference():
    spec = robot_spec()
    hand = spec.hands[0]
    space = hand.hand_space.model_copy(update={"columns": hand.hand_space.columns[::-1]})
    swapped = hand.model_copy(update={"joints": hand.joints[::-1], "hand_space": space})
    other = spec.model_copy(update={"hands": (swapped,)})
    with pytest.raises(CheckpointError) as error:
        LoadedPolicy(checkpoint(spec)).bind(other)
    assert "'joint_0' (checkpoint) != 'joint_2' (robot)" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_robot_without_the_camera_is_refused_unless_it_is_said_to_be_there():
    spec = robot_spec()
    policy = LoadedPolicy(checkpoint(spec, cameras=("head",)))
    with pytest.raises(CheckpointError, match="cameras head \\(checkpoint\\) are not among none \\(robot\\)"):
        policy.bind(spec)
    policy.bind(spec, cameras=("head", "side"))


def test_another_body_with_the_same_hand_runs_on_the_placeholder(caplog):
    spec = robot_spec()
    policy = LoadedPolicy(checkpoint(spec))
    other = robot_spec(name="acme/arm_and_hand@1")
    with caplog.at_level(logging.WARNING):
        entry = policy.bind(other)
    assert "shares its hands with acme/hand@1" in caplog.text
    assert entry.state_layout is None
    assert np.isfinite(act(policy, other)[0]).all()
    with pytest.raises(CheckpointError, match="trained for acme/hand@1, the robot is acme/hand@2"):
        policy.bind(robot_spec(name="acme/hand@2"))
    stranger = robot_spec(name="beta/hand@1", space="beta/other@1")
    with pytest.raises(CheckpointError, match="none of its hands"):
        policy.bind(stranger)


def test_choosing_an_embodiment():
    policy = LoadedPolicy(checkpoint(robot_spec()))
    assert policy.choose().id == policy.drivable[0] == "acme/hand@1"
    with pytest.raises(CheckpointError, match="did you mean 'acme/hand@1'"):
        policy.choose("acme/hnd@1")
    policy.bind(robot_spec(name="acme/arm_and_hand@1"))
    with pytest.raises(CheckpointError, match="several embodiments; name one"):
        policy.choose()
