"""The solver behind retargeting: any structure of hand, any cut of a clip, any back end gives the same joints."""

import logging
import shutil

import human_hand
import numpy as np
import pytest
import torch

from egoscale_sdk.errors import SpecError
from egoscale_sdk.host import default_host
from egoscale_sdk.retargeting import GapRetargeter, KeypointRetargeter, backends
from egoscale_sdk.retargeting.chains import padded_chains
from egoscale_sdk.retargeting.dense import DenseEngine
from egoscale_sdk.retargeting.engine import FingerEngine
from egoscale_sdk.retargeting.goals import Goals
from egoscale_sdk.retargeting.smoothing import limit_velocity
from egoscale_sdk.retargeting.terms import TARGETS, finger_terms
from egoscale_sdk.retargeting.windows import OVERLAP, WINDOW
from egoscale_sdk.specs import MimicSpec

HANDS = ("sharpa/wave", "unitree/g1_dex3", "unitree/g1_inspire")


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def hand(name, side="right"):
    return default_host().spec(name).hand(side)


def limits(hand):
    ends = np.array([[joint.lower, joint.upper] for joint in hand.actuated], float).T
    return np.nan_to_num(ends[0], nan=-np.pi), np.nan_to_num(ends[1], nan=np.pi)


def coupled_hand():
    """A hand two fingers of which share a joint: the ring finger follows the index finger."""
    made = hand("unitree/g1_inspire")
    joints = [
        joint.model_copy(update={"mimic": MimicSpec(joint="R_index_proximal_joint")})
        if joint.name == "R_ring_proximal_joint"
        else joint
        for joint in made.joints
    ]
    columns = made.hand_space.columns[:4] + made.hand_space.columns[5:]
    space = made.hand_space.model_copy(update={"columns": columns})
    pose = made.open_pose[:4] + made.open_pose[5:]
    return made.model_copy(update={"joints": tuple(joints), "hand_space": space, "open_pose": pose, "mirror_signs": ()})


def turning_hand():
    """A hand one joint of which turns without end and one of which slides."""
    made = hand("unitree/g1_dex3")

    def changed(joint):
        if joint.name == "right_hand_thumb_0_joint":
            return joint.model_copy(update={"kind": "continuous", "lower_rad": None, "upper_rad": None})
        if joint.name == "right_hand_index_0_joint":
            metres = {"kind": "prismatic", "lower_m": 0.0, "upper_m": 0.03, "lower_rad": None, "upper_rad": None}
            return joint.model_copy(update={**metres, "velocity_rad_s": None, "velocity_m_s": 0.2})
        return joint

    kinds = {"right_hand_thumb_0_joint": "continuous", "right_hand_index_0_joint": "prismatic"}
    moved = [joint.model_copy(update={"kind": kinds.get(joint.name, joint.kind)}) for joint in made.tree.joints]
    tree = made.tree.model_copy(update={"joints": tuple(moved)})
    return made.model_copy(update={"joints": tuple(map(changed, made.joints)), "tree": tree})


OTHERS = {"coupled": coupled_hand, "turning and sliding": turning_hand}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", [*HANDS, "turning and sliding"])
def test_a_step_over_chains_is_the_step_by_dense_algebra(name, target):
    robot = OTHERS[name]() if name in OTHERS else hand(name)
    chains = padded_chains(robot)
    P, F = chains.at.shape
    terms = finger_terms(P, target)
    fingers, dense = FingerEngine(robot, chains, terms), DenseEngine(robot, terms)
    rng, N = np.random.default_rng(0), 16
    lower, upper = limits(robot)
    q = torch.from_numpy(lower[:, None] + (upper - lower)[:, None] * rng.uniform(-0.2, 1.2, (len(lower), N)).clip(0, 1))
    vectors, weights = rng.normal(size=(len(terms), 3, F, N)) * 0.05, rng.uniform(0, 1, (len(terms), F, N))
    pinch, pinch_weights = rng.normal(size=(3, F - 1, N)) * 0.02, rng.uniform(0, 6, (F - 1, N))
    wanted = Goals(*map(torch.from_numpy, (vectors, weights, pinch, pinch_weights)), torch.ones(F, N))
    results = []
    for engine in (fingers, dense):
        u = engine.variables(q)
        rho = torch.full_like(engine.bounds[0], 1e-3)
        results.append(engine.joints(engine.step(u, wanted, 0.5 * u, rho, 0.0), q))
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=2e-4)  # lengths and angles rounded in chains


@pytest.mark.parametrize("name", OTHERS)
def test_hands_of_any_structure_follow_within_their_limits(name):
    robot = OTHERS[name]()
    motion = human_hand.clip(40)
    result = KeypointRetargeter(robot).retarget(torch.from_numpy(motion))
    lower, upper = (np.array([getattr(j, end) for j in robot.actuated], float) for end in ("lower", "upper"))
    joints = result.joints.double().numpy()
    assert bool(result.valid.all())
    assert not np.any(joints < lower)  # NaN where there is no limit
    assert not np.any(joints > upper)
    assert float(result.residual_m.median()) < 0.035
    assert joints.std(0).max() > 0.1


def test_joints_that_fingers_share_are_solved_densely():
    assert padded_chains(coupled_hand()) is None
    assert padded_chains(hand("unitree/g1_inspire")) is not None


def long_clip(frames=WINDOW + 200, seed=3):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(human_hand.clip(frames, seed) + rng.normal(scale=5e-4, size=(frames, 21, 3)))


def test_a_clip_that_is_cut_elsewhere_gives_the_same_joints_beyond_one_overlap():
    motion, retargeter = long_clip(), KeypointRetargeter(hand("unitree/g1_dex3"))
    whole = retargeter.retarget(motion).joints
    for cut in (101, 530):
        later, sooner = retargeter.retarget(motion[cut:]).joints, retargeter.retarget(motion[:cut]).joints
        torch.testing.assert_close(later[OVERLAP:], whole[cut + OVERLAP :], rtol=0, atol=1e-3)
        torch.testing.assert_close(sooner[:-OVERLAP], whole[: cut - OVERLAP], rtol=0, atol=1e-3)


def test_how_many_windows_are_solved_at_once_changes_no_bit(monkeypatch):
    clips = torch.stack([long_clip(seed=seed) for seed in range(3)])
    retargeter = KeypointRetargeter(hand("unitree/g1_dex3"), iterations=2, rounds=2)
    whole = retargeter.retarget(clips).joints
    monkeypatch.setattr("egoscale_sdk.retargeting.windows.BATCH_FRAMES", WINDOW)
    assert torch.equal(retargeter.retarget(clips).joints, whole)
    assert torch.equal(retargeter.retarget(clips[1]).joints, whole[1])


@pytest.mark.parametrize(
    ("name", "target"),
    [("sharpa/wave", "shape"), ("unitree/g1_inspire", "metric"), ("unitree/g1_dex3", "scaled"), ("coupled", "scaled")],
)
def test_the_gradient_with_respect_to_keypoints_is_that_of_finite_differences(name, target):
    """Away from the bounds; in float64 until the last rounding of the joints."""
    time = np.arange(12) / 12
    bent = [np.array([0.45, 0.5, 0.4, 0.5]) + 0.1 * np.sin(3 * t + np.arange(4)) for t in time]
    motion = np.stack(
        [human_hand.right_hand(b, 0.05, (0.5 + 0.1 * t, 0.2, 0.3)) for b, t in zip(bent, time, strict=True)]
    )
    robot, rng, step = OTHERS[name]() if name in OTHERS else hand(name), np.random.default_rng(0), 2e-5
    retargeter = KeypointRetargeter(robot, target=target, rounds=4)
    keypoints = torch.from_numpy(motion).requires_grad_()
    joints = retargeter.retarget(keypoints).joints.double()
    lower, upper = map(torch.from_numpy, limits(robot))
    inside = ((joints > lower + 0.02) & (joints < upper - 0.02)).all(0)
    assert int(inside.sum()) > len(inside) / 2
    share = torch.from_numpy(rng.normal(size=len(inside))) * inside
    (gradient,) = torch.autograd.grad((share * joints[6]).sum(), keypoints)
    for _ in range(2):
        way = torch.from_numpy(rng.normal(size=motion.shape))
        ends = [retargeter.retarget((keypoints + sign * step * way).detach().requires_grad_()) for sign in (1, -1)]
        change = (share * (ends[0].joints[6].double() - ends[1].joints[6].double()).detach()).sum() / (2 * step)
        torch.testing.assert_close((gradient * way).sum(), change, rtol=2e-3, atol=0.02)


@pytest.mark.parametrize("backend", ["compiled", "simd", "gripper"])
def test_only_the_reference_is_differentiable(backend):
    retargeter = (
        GapRetargeter(hand("gripper/panda"))
        if backend == "gripper"
        else KeypointRetargeter(hand("unitree/g1_dex3"), backend=backend)
    )
    with pytest.raises(ValueError, match="eager"):
        retargeter.retarget(torch.zeros(3, 21, 3, requires_grad=True))


def test_without_a_compiler_it_is_the_eager_step_and_one_line_in_the_log(monkeypatch, caplog):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(backends, "_compiled", {})
    backends._hindrance.cache_clear()
    motion = torch.from_numpy(human_hand.clip(20))
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            found = KeypointRetargeter(hand("unitree/g1_dex3"), backend="compiled").retarget(motion)
    backends._hindrance.cache_clear()
    assert torch.equal(found.joints, KeypointRetargeter(hand("unitree/g1_dex3")).retarget(motion).joints)
    assert [record.message for record in caplog.records if "compiler" in record.message] == [
        "retargeting runs without a compiler, slower and with the same results: "
        "no C++ compiler (g++ or clang++) is installed"
    ]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
def test_the_compiled_step_is_the_reference_to_a_hundred_thousandth():
    motion = torch.from_numpy(human_hand.clip(200))
    compiled = KeypointRetargeter(hand("unitree/g1_dex3"), backend="compiled").retarget(motion).joints
    eager = KeypointRetargeter(hand("unitree/g1_dex3")).retarget(motion).joints
    torch.testing.assert_close(compiled, eager, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("setting", "value"), [("target", "shapes"), ("backend", "compile")])
def test_an_unknown_setting_is_refused_with_the_ones_there_are(setting, value):
    with pytest.raises(SpecError, match="did you mean"):
        KeypointRetargeter(hand("unitree/g1_dex3"), **{setting: value})


def test_limits_of_velocity_hold_from_frame_to_frame():
    rng = np.random.default_rng(1)
    robot = hand("unitree/g1_dex3")
    poses = [human_hand.right_hand(rng.uniform(0, 1, 4), thumb=rng.uniform(0, 0.5, 3)) for _ in range(24)]
    slow = KeypointRetargeter(robot, rounds=0, rate_hz=120.0).retarget(torch.from_numpy(np.stack(poses)))
    steps = np.abs(np.diff(slow.joints.double().numpy(), axis=0)).max(0)
    most = np.array([joint.velocity for joint in robot.actuated]) / 120
    assert np.all(steps <= most)
    assert np.any(steps > 0.99 * most)


def test_what_is_slow_enough_is_left_as_it_is_and_a_jump_becomes_a_ramp_around_it():
    q = torch.zeros(40, 2, dtype=torch.float64)
    q[20:, 0], q[:, 1] = 1.0, torch.linspace(0, 1, 40)
    limited = limit_velocity(q, torch.tensor([0.1, 0.1], dtype=torch.float64))
    assert torch.equal(limited[:, 1], q[:, 1])
    assert float(limited.diff(dim=0).abs().max()) <= 0.1
    torch.testing.assert_close(limited[:, 0] + limited[:, 0].flip(0), torch.ones(40).double())


FAILURES = {
    "bones twice as long": lambda p: p * 2,
    "the other hand": lambda p: p * np.array([-1.0, 1.0, 1.0]),
    "a leap": lambda p: np.where(np.isin(np.arange(21), [4, 8, 12, 16, 20])[:, None], p + np.array([0, 0, 0.4]), p),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_frames_that_show_no_hand_of_this_person_are_not_valid(failure):
    motion = np.stack([human_hand.right_hand(np.full(4, 0.6 + 0.002 * t)) for t in range(40)])
    motion[20] = FAILURES[failure](motion[20])
    valid = KeypointRetargeter(hand("unitree/g1_dex3")).retarget(torch.from_numpy(motion)).valid
    assert valid.tolist() == [t != 20 for t in range(40)]


def test_what_is_hardly_seen_hardly_counts():
    robot, motion = hand("sharpa/wave"), np.repeat(human_hand.clip(30)[15:16], 30, axis=0)
    shifted = motion.copy()
    shifted[10:20, 6:9] += [0.0, 0.0, 0.015]
    whole, *others = (
        KeypointRetargeter(robot).retarget(*map(torch.from_numpy, given)).joints
        for given in ((motion,), (shifted, np.ones((30, 21))), (shifted, hidden(1e-3)))
    )
    moved = [float((other - whole).abs().max()) for other in others]
    assert moved[1] < 0.3 * moved[0]


def hidden(sure):
    confidence = np.ones((30, 21))
    confidence[10:20, 6:9] = sure
    return confidence
