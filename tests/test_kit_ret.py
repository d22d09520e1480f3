"""What the retargeting checks judge with: recomputed positions, least distances, and the faults of should clauses."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from egoscale_sdk.host import default_host
from egoscale_sdk.retargeting import KeypointRetargeter
from egoscale_sdk.testing.checks import all_checks
from egoscale_sdk.testing.fakes import good, mutants
from egoscale_sdk.testing.fakes.mutants_ret import FaultyRetargeter
from egoscale_sdk.testing.gestures import clip
from egoscale_sdk.testing.robot_hand import least_distance, limits, mirror_error_m, positions
from egoscale_sdk.testing.run import run_check
from egoscale_sdk.testing.subject import Subject

CHECKS = {check.id: check for check in all_checks() if check.family == "RET"}


@pytest.mark.parametrize("id", [id for id, check in CHECKS.items() if check.level == "should"])
def test_a_should_check_catches_its_mutant_too(id):
    result = run_check(CHECKS[id], mutants()[id]())
    assert (result.status, result.traceback) == ("failed", ""), result.detail


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
    """Four times the motion, about the open pose: each step is large, and half as large at half the speed."""
    hand = good().spec.hand("right")
    open_pose = torch.tensor(hand.open_pose)

    def hasty(ask, hand, *asked):
        result = ask(*asked)
        return replace(result, joints=open_pose + 4 * (result.joints - open_pose))

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
