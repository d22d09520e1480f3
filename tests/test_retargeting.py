"""The contract of retargeting: limits exactly, pinches kept, mirror images, survival of bad frames."""

import human_hand
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from egoscale_sdk.errors import SpecError
from egoscale_sdk.host import default_host
from egoscale_sdk.kinematics import ForwardKinematics
from egoscale_sdk.retargeting import GapRetargeter, KeypointRetargeter, aperture_width
from egoscale_sdk.retargeting.banded import Whittaker
from egoscale_sdk.retargeting.engine import FingerEngine
from egoscale_sdk.retargeting.smoothing import bridge

HANDS = ("sharpa/wave", "unitree/g1_dex3", "unitree/g1_inspire")
GRIPPERS = ("gripper/parallel", "gripper/panda", "gripper/robotiq_2f85", "gripper/wsg50")


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def hand(name, side="right"):
    return default_host().spec(name).hand(side)


def limits(hand):
    return np.array([j.lower for j in hand.actuated]), np.array([j.upper for j in hand.actuated])


def retarget(name, keypoints, side="right", **settings):
    return KeypointRetargeter(hand(name, side), **settings).retarget(torch.as_tensor(keypoints))


def tip_distances(name, joints, tips):
    robot = hand(name)
    frames = [next(f for f in robot.fingers if f.role == role).frames[-1].frame for role in tips]
    position = ForwardKinematics(robot.tree, robot.joints, frames, robot.root)(joints.double())[..., :3, 3]
    return (position[:, 0] - position[:, 1]).norm(dim=-1)


@pytest.mark.parametrize("name", HANDS)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(0.3, 3.0))
def test_limits_hold_exactly_for_any_input(name, seed, scale):
    noise = np.random.default_rng(seed).normal(size=(4, 21, 3)) * 0.1 * scale
    joints = retarget(name, noise, iterations=4).joints.double().numpy()
    lower, upper = limits(hand(name))
    assert joints.dtype == np.float64
    assert np.all(joints >= lower)
    assert np.all(joints <= upper)


# The vendor's two Inspire hands are no mirror images (their thumbs' zeros are 0.11 rad apart), so they are not asked.
@pytest.mark.parametrize("name", ["sharpa/wave", "unitree/g1_dex3"])
def test_a_left_hand_is_the_mirror_image_of_a_right_one(name):
    motion = human_hand.clip(20)
    right = retarget(name, motion).joints.numpy()
    left = retarget(name, human_hand.mirrored(motion), side="left").joints.numpy()
    signs = np.array(hand(name).mirror_signs)
    np.testing.assert_allclose(left, right * signs, atol=1e-5)


def test_where_the_hand_is_in_the_world_does_not_matter():
    motion = human_hand.clip(10)
    turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    moved = motion @ turn.T + [1.0, -2.0, 0.5]
    np.testing.assert_allclose(retarget("sharpa/wave", motion).joints, retarget("sharpa/wave", moved).joints, atol=1e-5)


def test_an_open_hand_is_open_and_a_fist_is_closed():
    flat = human_hand.right_hand(np.zeros(4))
    fist = human_hand.right_hand(np.ones(4))
    joints = retarget("sharpa/wave", np.stack([flat, fist])[:, None]).joints[:, 0].numpy()
    names = [column.name for column in hand("sharpa/wave").hand_space.columns]
    for finger in ("index", "middle", "ring", "pinky"):
        flexion = [names.index(f"{finger}_{part}") for part in ("mcp_fe", "pip")]
        assert np.all(np.abs(joints[0, flexion]) < 0.1), finger
        assert np.all(joints[1, flexion] > 1.0), finger


def test_a_pinch_stays_a_pinch():
    errors = []
    for seed in range(8):
        motion = human_hand.clip(120, seed)
        human = np.linalg.norm(motion[:, 8] - motion[:, 4], axis=-1)
        robot = tip_distances("sharpa/wave", retarget("sharpa/wave", motion).joints, ("thumb", "index")).numpy()
        errors.append(np.abs(robot - human)[human < 0.02])
    assert len(np.concatenate(errors)) > 10
    assert np.median(np.concatenate(errors)) < 0.003


def test_bones_point_where_the_persons_bones_point():
    result = retarget("sharpa/wave", human_hand.clip(60))
    assert float(result.residual_m.median()) < 0.004
    assert bool(result.valid.all())


@pytest.mark.parametrize("name", ["sharpa/wave", "unitree/g1_dex3"])
def test_missing_frames_are_marked_and_bridged_by_a_straight_line(name):
    motion = human_hand.clip(50)
    motion[10:32] = np.nan
    result = retarget(name, motion)
    assert result.valid.tolist() == [not 10 <= t < 32 for t in range(50)]
    share = np.linspace(0, 1, 24)[:, None]
    line = (1 - share) * result.joints[9].numpy() + share * result.joints[32].numpy()
    np.testing.assert_allclose(result.joints[9:33].numpy(), line, atol=1e-5)


def test_smoothing_is_no_lag_at_the_ends_of_a_fast_clip():
    """Ten frames from open to fist, 30 degrees of joint motion each: the first and last are not pulled inwards."""
    motion = np.stack([human_hand.right_hand(np.full(4, closed)) for closed in np.linspace(0, 1, 10)])
    smoothed, single = (retarget("sharpa/wave", motion, rounds=rounds).joints.numpy() for rounds in (6, 0))
    np.testing.assert_allclose(smoothed, single, atol=0.03)


@given(seed=st.integers(0, 2**32 - 1), stiffness=st.floats(0.01, 100))
def test_the_smoother_leaves_a_steady_motion_as_it_is(seed, stiffness):
    rng = np.random.default_rng(seed)
    weight = torch.from_numpy(rng.uniform(0.01, 1, (30, 1, 2)))
    line = torch.from_numpy(np.arange(30)[:, None, None] * rng.normal(size=(3, 2)) + rng.normal(size=(3, 2)))
    torch.testing.assert_close(Whittaker(weight, torch.full_like(weight, stiffness))(line), line)


@given(seed=st.integers(0, 2**32 - 1))
def test_the_smoother_solves_its_equations(seed):
    rng = np.random.default_rng(seed)
    T, rho, x = 20, rng.uniform(0.01, 1, 20), rng.normal(size=20)
    D = np.diff(np.eye(T), n=2, axis=0)
    wanted = np.linalg.solve(np.diag(rho) + 0.3 * D.T @ D, rho * x)
    np.testing.assert_allclose(
        Whittaker(torch.from_numpy(rho), torch.full((T,), 0.3, dtype=torch.float64))(torch.from_numpy(x)),
        wanted,
        atol=1e-12,
    )


@given(seed=st.integers(0, 2**32 - 1))
def test_a_bridge_is_straight_and_frames_that_are_not_known_count_for_nothing(seed):
    rng = np.random.default_rng(seed)
    known = torch.from_numpy(rng.random(30) < 0.6)
    line = torch.from_numpy(np.arange(30)[:, None] * rng.normal(size=3) + rng.normal(size=3))
    if bool(known.any()):
        inside = slice(*(np.flatnonzero(known)[[0, -1]] + [0, 1]))
        torch.testing.assert_close(bridge(line, known)[inside], line[inside])
        torch.testing.assert_close(bridge(torch.where(known[:, None], line, 1e3), known), bridge(line, known))


def test_a_missing_finger_leaves_the_others_alone():
    motion = human_hand.clip(12)
    confidence = torch.ones(12, 21)
    confidence[:, 17 + 1 :] = 0
    retargeter = KeypointRetargeter(hand("sharpa/wave"))
    whole = retargeter.retarget(torch.from_numpy(motion)).joints
    part = retargeter.retarget(torch.from_numpy(motion), confidence).joints
    index = [i for i, c in enumerate(hand("sharpa/wave").hand_space.columns) if c.name.startswith("index")]
    assert bool(part.isfinite().all())
    np.testing.assert_allclose(part[:, index], whole[:, index], atol=0.05)


def test_all_missing_is_the_open_pose_and_invalid():
    result = retarget("sharpa/wave", np.full((3, 21, 3), np.nan))
    assert not bool(result.valid.any())
    open_pose = np.clip(hand("sharpa/wave").open_pose, *limits(hand("sharpa/wave")))
    np.testing.assert_allclose(result.joints.numpy(), np.tile(open_pose, (3, 1)), atol=1e-5)


@pytest.mark.parametrize("name", HANDS)
def test_batches_are_clips_side_by_side_and_results_repeat(name):
    clips = np.stack([human_hand.clip(8, seed) for seed in range(2)])
    both = retarget(name, clips).joints
    assert both.shape == (2, 8, len(hand(name).actuated))
    for clip, joints in zip(clips, both, strict=True):
        torch.testing.assert_close(retarget(name, clip).joints, joints, rtol=0, atol=0)


def test_how_many_frames_are_solved_at_once_changes_nothing(monkeypatch):
    motion = human_hand.clip(23)
    whole = retarget("unitree/g1_dex3", motion).joints
    monkeypatch.setattr(FingerEngine.__init__, "__defaults__", (7,))
    torch.testing.assert_close(retarget("unitree/g1_dex3", motion).joints, whole, rtol=0, atol=1e-6)


BUILT = [*((name, KeypointRetargeter) for name in HANDS), *((name, GapRetargeter) for name in GRIPPERS)]
each_retargeter = pytest.mark.parametrize(("name", "kind"), BUILT, ids=[name for name, _ in BUILT])


@each_retargeter
@pytest.mark.parametrize("shape", [(0,), (0, 5), (2, 0), (3, 0, 4)])
def test_no_frames_and_no_clips_give_no_joints(name, kind, shape):
    result = kind(hand(name)).retarget(torch.zeros(*shape, 21, 3))
    assert result.joints.shape == (*shape, len(hand(name).actuated))
    assert result.residual_m.shape == result.valid.shape == shape


GARBAGE = {
    "NaN": np.nan,
    "infinite": np.inf,
    "absent": 0.0,
    "collapsed to a point": 1e-9,
    "beyond float32": 1e60,
    "beyond its own square": 1e160,
}


@each_retargeter
@pytest.mark.parametrize("garbage", GARBAGE)
@pytest.mark.parametrize("length", [1, 2, 3, 9])
def test_garbage_is_invalid_within_limits_and_finite(name, kind, garbage, length):
    motion = (human_hand.clip(9)[:length] + 0.3) * GARBAGE[garbage]
    result = kind(hand(name)).retarget(torch.from_numpy(motion))
    lower, upper = limits(hand(name))
    joints = result.joints.double().numpy()
    assert np.all((joints >= lower) & (joints <= upper))
    assert not bool(result.valid.any())
    assert result.residual_m.tolist() == [0.0] * length


@each_retargeter
def test_garbage_spoils_only_its_own_frame(name, kind):
    motion = human_hand.clip(9)
    motion[4] *= 1e40
    result = kind(hand(name)).retarget(torch.from_numpy(motion))
    assert result.valid.tolist() == [frame != 4 for frame in range(9)]
    lower, upper = limits(hand(name))
    joints = result.joints.double().numpy()
    assert np.all((joints >= lower) & (joints <= upper))


@each_retargeter
def test_a_hand_that_is_never_seen_stays_at_the_warm_start(name, kind):
    lower, upper = limits(hand(name))
    start = torch.from_numpy(lower + 0.3 * (upper - lower))
    result = kind(hand(name)).retarget(torch.full((2, 3, 21, 3), torch.nan), warm_start=torch.stack([start, start]))
    torch.testing.assert_close(result.joints, start.float().expand(2, 3, -1), rtol=0, atol=1e-5)
    unknown = kind(hand(name)).retarget(torch.full((3, 21, 3), torch.nan), warm_start=torch.full_like(start, torch.nan))
    rest = np.clip(hand(name).open_pose, lower, upper)
    np.testing.assert_allclose(unknown.joints, np.tile(rest, (3, 1)), atol=1e-5)


@each_retargeter
def test_a_warm_start_beyond_the_limits_is_one_at_them(name, kind):
    motion, retargeter = torch.from_numpy(human_hand.clip(40)), kind(hand(name))
    _, upper = limits(hand(name))
    absurd = retargeter.retarget(motion, warm_start=torch.full((len(upper),), 1e30))
    assert torch.equal(absurd.joints, retargeter.retarget(motion, warm_start=torch.from_numpy(upper)).joints)
    assert np.all(absurd.joints.double().numpy() <= upper)


@each_retargeter
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int64])
def test_numbers_of_any_type_are_taken(name, kind, dtype):
    motion = torch.from_numpy(human_hand.clip(20)).to(dtype)
    given, wanted = (kind(hand(name)).retarget(k, torch.ones(20, 21).to(k)) for k in (motion, motion.float()))
    assert torch.equal(given.joints, wanted.joints)


@each_retargeter
def test_confidence_that_is_no_number_or_negative_is_none(name, kind):
    motion = torch.from_numpy(human_hand.clip(3))
    for value in (torch.nan, -1.0, 0.0):
        assert not bool(kind(hand(name)).retarget(motion, torch.full((3, 21), value)).valid.any())


@each_retargeter
def test_shapes_are_checked(name, kind):
    retargeter = kind(hand(name))
    with pytest.raises(ValueError, match=r"\(\*b, T, 21, 3\)"):
        retargeter.retarget(torch.zeros(5, 20, 3))
    with pytest.raises(ValueError, match="confidence must be"):
        retargeter.retarget(torch.zeros(5, 21, 3), torch.ones(4, 21))
    with pytest.raises(ValueError, match="warm_start must be"):
        retargeter.retarget(torch.zeros(2, 5, 21, 3), warm_start=torch.zeros(len(hand(name).actuated)))


FEWER = {
    "one finger": {"index": 4},
    "no thumb": {"index": 4, "pinky": 4},
    "a thumb alone": {"thumb": 4},
    "two frames each": {"thumb": 2, "index": 2},
    "one frame of the thumb": {"thumb": 1, "index": 4},
}


def with_fingers(frames):
    """The five-finger hand, of whose fingers only some are followed, each by its outermost frames."""
    five = hand("sharpa/wave")
    kept = [finger for finger in five.fingers if finger.role in frames]
    cut = [finger.model_copy(update={"frames": finger.frames[-frames[finger.role] :]}) for finger in kept]
    return five.model_copy(update={"fingers": tuple(cut)})


@pytest.mark.parametrize("fewer", FEWER)
def test_hands_with_fewer_fingers_are_followed_as_far_as_they_go(fewer):
    result = KeypointRetargeter(with_fingers(FEWER[fewer])).retarget(torch.from_numpy(human_hand.clip(12)))
    assert bool(result.valid.all())
    assert float(result.residual_m.median()) < 0.004


def test_tips_alone_have_no_bones_to_follow():
    with pytest.raises(SpecError, match="no finger of two frames"):
        KeypointRetargeter(with_fingers({"thumb": 1, "index": 1}))


def test_people_have_no_joints_to_retarget_to():
    with pytest.raises(SpecError, match="no finger of two frames"):
        KeypointRetargeter(default_host().spec("human/hands").hand("right"))


@pytest.mark.parametrize("name", GRIPPERS)
@settings(max_examples=30, deadline=None)
@given(gap=st.floats(0.0, 0.25))
def test_a_gripper_opens_as_wide_as_the_gap(name, gap):
    gripper = hand(name)
    keypoints = torch.zeros(1, 21, 3, dtype=torch.float64)
    keypoints[0, 0, 2] = -0.15
    keypoints[0, 8, 0] = keypoints[0, 12, 0] = gap
    result = GapRetargeter(gripper).retarget(keypoints)
    q = result.joints[0].double().numpy()
    lower, upper = limits(gripper)
    assert lower[0] <= q[0] <= upper[0]
    widths = aperture_width(gripper.aperture, np.linspace(lower[0], upper[0], 4001))
    wanted = np.clip(gap, widths.min(), widths.max())
    assert abs(aperture_width(gripper.aperture, q)[0] - wanted) < 2e-5
    assert result.residual_m[0] == pytest.approx(abs(gap - wanted), abs=1e-6)


@pytest.mark.parametrize("name", GRIPPERS)
def test_a_gripper_does_not_let_go_while_the_hand_is_lost(name):
    gripper = hand(name)
    motion = torch.zeros(9, 21, 3, dtype=torch.float64)
    motion[:, 0, 2] = -0.15
    motion[:, [8, 12], 0] = 0.03
    motion[3:6] = torch.nan
    result = GapRetargeter(gripper).retarget(motion)
    assert result.valid.tolist() == [not 3 <= t < 6 for t in range(9)]
    np.testing.assert_allclose(aperture_width(gripper.aperture, result.joints[:, 0].double().numpy()), 0.03, atol=1e-5)


@pytest.mark.parametrize("name", GRIPPERS)
@pytest.mark.parametrize("rate_hz", [10.0, 30.0])
def test_a_gripper_is_no_faster_than_it_can_be_and_does_not_lag(name, rate_hz):
    """Where a person opens and closes at once, it is half-way when they do."""
    gripper = hand(name)
    motion = torch.zeros(481, 21, 3, dtype=torch.float64)
    motion[:, 0, 2] = -0.15
    motion[160:321, [8, 12], 0] = 0.2
    q = GapRetargeter(gripper, rate_hz=rate_hz).retarget(motion).joints[:, 0].double()
    fastest = gripper.actuated[0].velocity / rate_hz
    assert float(q.diff().abs().max()) <= fastest
    torch.testing.assert_close(q, q.flip(0), rtol=0, atol=1e-5)
    closed, opened = q[0], q[240]
    assert float((q[159:161].mean() - (closed + opened) / 2).abs()) <= fastest


def test_a_real_noisy_hand_stays_within_limits_and_close(shared):
    keypoints = np.load(shared / "data/webcam_hand/human_joint_right.npz", allow_pickle=False)["keypoints"][:120]
    result = retarget("sharpa/wave", keypoints)
    lower, upper = limits(hand("sharpa/wave"))
    joints = result.joints.double().numpy()
    assert np.all((joints >= lower) & (joints <= upper))
    assert bool(result.valid.all())
    assert float(result.residual_m.median()) < 0.012
