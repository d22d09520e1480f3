"""What the retargeting checks judge with: recomputed positions, least distances, and the faults of should clauses."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from egoscale_sdk.host import default_host
from egoscale_sdk.retargeting import KeypointRetargeter, gap
from egoscale_sdk.testing.checks import all_checks
from egoscale_sdk.testing.fakes import good, mutants
from egoscale_sdk.testing.fakes.mutants_ret import FaultyRetargeter
from egoscale_sdk.testing.gestures import clip, gesture
from egoscale_sdk.testing.robot_hand import least_distance, limits, mirror_error_m, positions, rest
from egoscale_sdk.testing.run import run_check
from egoscale_sdk.testing.subject import Subject

CHECKS = {check.id: check for check in all_checks() if check.family == "RET"}


@pytest.mark.parametrize("id", [id for id, check in CHECKS.items() if check.level == "should"])
def test_a_should_check_catches_its_mutant_too(id):
    result = run_check(CHECKS[id], mutants()[id]())
    assert (result.status, result.traceback) == ("failed", ""), result.detail


def faulty(fault):
    return good(retargeters={side: FaultyRetargeter(inner, fault) for side, inner in good().retargeters.items()})


def backwards_in_time(ask, hand, *asked):
    result = ask(*asked)
    return replace(result, joints=result.joints.flip(-2))


def lets_go(ask, hand, *asked):
    result = ask(*asked)
    opened = torch.where(result.valid[..., None], result.joints, torch.from_numpy(rest(hand)).to(result.joints))
    return replace(result, joints=opened if result.valid.any() else result.joints)


def no_fists(ask, hand, keypoints, *others):
    result = ask(keypoints, *others)
    curled = (keypoints[..., 8, :] - keypoints[..., 0, :]).norm(dim=-1) < 0.09
    return replace(result, residual_m=torch.where(curled, 0, result.residual_m), valid=result.valid & ~curled)


def no_float32(ask, hand, keypoints, *others):
    if keypoints.dtype == torch.float32 and keypoints.numel() > 63:
        raise TypeError("float64 only")
    return ask(keypoints, *others)


def writes_to_keypoints(ask, hand, keypoints, *others):
    result = ask(keypoints.clone(), *others)
    keypoints.nan_to_num_()
    return result


def adults_only(ask, hand, keypoints, *others):
    """Hands of another size bend by a third."""
    result, adult = ask(keypoints, *others), torch.tensor(gesture("open"))
    palm = (keypoints[..., 9, :] - keypoints[..., 0, :]).norm(dim=-1)
    other = ((palm / (adult[9] - adult[0]).norm() - 1).abs() > 0.01) & result.valid
    open_pose = torch.from_numpy(rest(hand)).to(result.joints)
    bent = open_pose + 0.3 * (result.joints - open_pose)
    lower, upper = (torch.from_numpy(end) for end in limits(hand))
    return replace(result, joints=torch.where(other[..., None], bent, result.joints).double().clamp(lower, upper))


@pytest.mark.parametrize(
    ("id", "fault"),
    [
        ("RET002", no_float32),
        ("RET004", writes_to_keypoints),
        ("RET006", lets_go),
        ("RET010", adults_only),
        ("RET012", adults_only),
        ("RET014", no_fists),
        ("RET015", backwards_in_time),
    ],
)
def test_further_faults_are_caught(id, fault):
    result = run_check(CHECKS[id], faulty(fault))
    assert result.status == "failed", result.detail


def test_an_aperture_that_is_not_what_the_pads_do_is_caught():
    subject = Subject(default_host(), "gripper", "gripper/panda@1")
    assert run_check(CHECKS["RET010"], subject).status == "passed"
    hand = subject.spec.hands[0]
    half = hand.model_copy(update={"aperture": hand.aperture.model_copy(update={"linear": hand.aperture.linear / 2})})
    subject = Subject(
        default_host(), "gripper", "gripper/panda@1", spec=subject.spec.model_copy(update={"hands": (half,)})
    )
    result = run_check(CHECKS["RET010"], subject)
    assert (result.status, result.traceback) == ("failed", "")
    assert "mm more or less than its pads part" in result.detail


def test_what_the_kit_judges_grippers_with_is_its_own(monkeypatch):
    """A wrong aperture in the retargeter alone is a gripper that does not close."""
    monkeypatch.setattr(gap, "aperture_width", lambda aperture, q: 1 - aperture.linear * np.asarray(q))
    result = run_check(CHECKS["RET010"], Subject(default_host(), "gripper", "gripper/panda@1"))
    assert result.status == "failed", result.detail


def test_tips_that_cannot_meet_are_named_and_not_judged():
    subject = Subject(default_host(), "unitree", "unitree/g1_inspire@1")
    result = run_check(CHECKS["RET009"], subject)
    assert result.status == "passed"
    assert "cannot meet: left middle (at best 19 mm)" in result.detail


@pytest.mark.parametrize("finger", ["index", "middle"])
def test_the_least_distance_is_that_of_an_optimiser(finger):
    subject = Subject(default_host(), "unitree", "unitree/g1_inspire@1")
    hand = subject.spec.hand("left")
    lower, upper = limits(hand)
    pair = tuple(next(f for f in hand.fingers if f.role == role).frames[-1].frame for role in ("thumb", finger))

    def distance(q):
        at = positions(subject, "left", q)
        return 1e3 * float(np.linalg.norm(at[pair[0]] - at[pair[1]]))

    starts = [lower + share * (upper - lower) for share in (0.3, 0.6)]
    best = min(minimize(distance, q, bounds=list(zip(lower, upper, strict=True)), tol=1e-9).fun for q in starts)
    assert 1e3 * least_distance(subject, "left", pair, lower) == pytest.approx(best, abs=0.5)


def test_what_is_fast_is_no_jump():
    """Every joint turns four times as far as the index finger bends: large steps, half as large at half the speed."""
    open_pose = torch.tensor(good().spec.hand("right").open_pose)

    def hasty(ask, hand, keypoints, *asked):
        bones = torch.nn.functional.normalize((keypoints[..., 6:8, :] - keypoints[..., 5:7, :]).float(), dim=-1)
        bend = (bones[..., 0, :] * bones[..., 1, :]).sum(-1).clamp(-1, 1).arccos()
        return replace(ask(keypoints, *asked), joints=open_pose + 4 * bend[..., None])

    hasty_one = FaultyRetargeter(good().retargeters["right"], hasty)
    result = run_check(CHECKS["RET011"], good(retargeters={"right": hasty_one}))
    assert result.status == "passed", result.detail
    assert float(re.search(r"step ([\d.]+) times", result.detail)[1]) > 3


def test_hands_that_are_no_mirror_images_are_found_out():
    assert mirror_error_m(good()) < 1e-9
    assert mirror_error_m(Subject(default_host(), "unitree", "unitree/g1_inspire@1")) > 5e-3
    result = run_check(CHECKS["RET008"], Subject(default_host(), "unitree", "unitree/g1_inspire@1"))
    assert result.status == "skipped"
    assert "no mirror images" in result.detail


def test_a_bone_whose_inner_joint_is_never_seen_keeps_its_length():
    """This hand follows knuckle, middle joint and tip; the joint between the last two only gives a length."""
    hand = default_host().spec("unitree/g1_dex3").hand("right")
    motion = torch.tensor(clip("wave")[14:15])
    whole = KeypointRetargeter(hand).retarget(motion).joints
    motion[:, 7] = torch.nan
    part = KeypointRetargeter(hand).retarget(motion).joints
    names = [column.name for column in hand.hand_space.columns]
    index = [names.index(name) for name in names if "index" in name]
    torch.testing.assert_close(part[:, index], whole[:, index], rtol=0, atol=0.1)
