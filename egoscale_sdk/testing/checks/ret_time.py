"""Retargeting: which frames count as seen, and whether the joints keep to the person's time."""

from __future__ import annotations

from typing import get_args

import numpy as np

from egoscale_sdk.specs import HandSpec, Side
from egoscale_sdk.testing import gestures, holes
from egoscale_sdk.testing.check import NotApplicable, Violation, check
from egoscale_sdk.testing.robot_hand import (
    Floats,
    limits,
    misfit_of,
    positions,
    rest,
    shape,
    show,
    shown_clips,
    shown_gestures,
)
from egoscale_sdk.testing.subject import Subject

SIZES = (0.8, 1.2)
MOST_LAG, SEARCHED = 1, 10  # frames
PERIOD, TIMES = 76, 15  # frames of `gestures.PICK`, and how often it is repeated
LONG_APART = 0.01  # rad or m
LEAST_SHARE, MATTERS_M = 0.01, 0.002


@check(
    "RET014",
    "must",
    needs={"retargeter"},
    mend="a frame with the palm and most keypoints is valid; look at what else the retargeter takes for a bad frame",
)
def what_is_seen_is_valid(subject: Subject) -> str:
    """A hand that is seen is valid, also where a finger or a keypoint beside the palm is missing."""
    count = 0
    for side in subject.retargeters:
        for what, valid in (
            *zip(gestures.GESTURES, shown_gestures(subject, side).valid, strict=True),
            *zip(gestures.CLIPS, shown_clips(subject, side).valid, strict=True),
            *((f"{size} times as large", _shown_size(subject, side, size)) for size in SIZES),
        ):
            if not valid.all():
                raise Violation(
                    f"{side} hand, {what!r}: {(~valid).sum()} of {valid.size} complete frames are not valid"
                )
            count += valid.size
        enough = holes.determined(subject.spec.hand(side))
        for how in get_args(holes.How):
            valid = holes.shown_holes(subject, side, how).valid[:, 0]
            for name, is_valid, is_enough in zip(holes.HOLES, valid, enough, strict=True):
                if is_enough and not is_valid:
                    raise Violation(f"{side} hand: a frame is not valid because {name} is {how}")
            count += int(enough.sum())
    return f"{count} frames, {enough.sum()} kinds of holes"


def _shown_size(subject: Subject, side: Side, size: float) -> np.ndarray:
    return show(subject, side, gestures.gestures(side, size)[:, None]).valid


@check(
    "RET015",
    "must",
    needs={"retargeter"},
    mend="filter forwards and backwards, or not at all; look for a buffer that answers with an earlier frame",
)
def joints_keep_time(subject: Subject) -> str:
    """Joints move when the person moves, not later, not earlier and not backwards."""
    figures = []
    for side in subject.retargeters:
        motion = gestures.slow_clip(gestures.PICK, side)
        errors = _by_lag(subject, side, show(subject, side, motion).joints, motion)
        backwards = _by_lag(subject, side, show(subject, side, motion).joints, motion[::-1])
        if min(backwards.values()) < min(errors.values()):
            raise Violation(f"{side} hand: it does what the person does backwards in time")
        lag = min(errors, key=lambda frames: errors[frames])
        if abs(lag) > MOST_LAG:
            late = "late" if lag > 0 else "early"
            raise Violation(f"{side} hand: it is {abs(lag)} frames {late} (looked for up to {SEARCHED})")
        figures.append(f"{side} {lag} frames late")
    return ", ".join(figures)


def _by_lag(subject: Subject, side: Side, joints: Floats, motion: Floats) -> dict[int, float]:
    """Mean misfit between the robot's frames and the person's that are some frames earlier, by their number."""
    robot = {name: at[SEARCHED:-SEARCHED] for name, at in shape(subject, side, joints).items()}
    end = len(motion) - SEARCHED
    lags = range(-SEARCHED, SEARCHED + 1)
    return {lag: float(misfit_of(subject, side, robot, motion[SEARCHED - lag : end - lag]).mean()) for lag in lags}


@check(
    "RET016",
    "must",
    needs={"retargeter"},
    mend="carry the state over the border where a long clip is cut, or let the windows overlap and fade",
)
def long_motions_equal_their_parts(subject: Subject) -> str:
    """A long motion is retargeted as its parts are, from the first frame to the last."""
    worst, frames = 0.0, TIMES * PERIOD
    for side in subject.retargeters:
        part = show(subject, side, gestures.long_clip(side, 3)).joints[PERIOD : 2 * PERIOD]
        shown = show(subject, side, gestures.long_clip(side, TIMES))
        inside = shown.joints[PERIOD : frames - PERIOD]  # where a clip begins and ends it lacks neighbours
        gaps = np.abs(inside - np.tile(part, (TIMES - 2, 1)))
        worst = max(worst, float(gaps.max()))
        if not gaps.max() <= LONG_APART:
            frame, joint = np.unravel_index(gaps.argmax(), gaps.shape)
            name = subject.spec.hand(side).actuated[joint].name
            raise Violation(
                f"{name!r} is {gaps.max():.3g} rad or m from what it is in a short motion, "
                f"in frame {PERIOD + frame} of {frames} that repeat every {PERIOD}"
            )
        if not shown.valid.all():
            raise Violation(f"{side} hand: {(~shown.valid).sum()} complete frames of {frames} are not valid")
    return f"{frames} frames, {TIMES} times the same: joints within {worst:.1g} rad or m of those in a short motion"


@check(
    "RET017",
    "should",
    needs={"retargeter"},
    mend="look for a joint that is left out of the solver, or whose limits, axis or mimic keep it where it is",
)
def every_joint_takes_part(subject: Subject) -> str:
    """Every joint that moves what is followed takes part in what the hand shows."""
    least, least_name = np.inf, ""
    for side in subject.retargeters:
        hand = subject.spec.hand(side)
        shown = np.concatenate([of(subject, side).joints.reshape(-1, len(hand.actuated)) for of in _SHOWN])
        span = np.subtract(*limits(hand)[::-1])
        moved = np.ptp(shown, axis=0) / np.where(np.isfinite(span), span, 2 * np.pi)
        for joint, share, matters in zip(hand.actuated, moved, _matters(subject, side, hand), strict=True):
            if matters and not share >= LEAST_SHARE:
                raise Violation(
                    f"{joint.name!r} moves through {100 * share:.1f} % of its range in all gestures and motions"
                )
            if matters and share < least:
                least, least_name = float(share), joint.name
    if not least_name:
        raise NotApplicable("no joint of this hand moves a followed frame")
    return f"least {least_name!r}, {100 * least:.0f} % of its range"


_SHOWN = (shown_gestures, shown_clips)


def _matters(subject: Subject, side: Side, hand: HandSpec) -> list[bool]:
    """Whether each joint moves a followed frame by more than 2 mm between its limits, from the open pose."""
    if side not in subject.oracles:
        return [True] * len(hand.actuated)
    lower, upper = (np.nan_to_num(end, posinf=1.0, neginf=-1.0) for end in limits(hand))
    found = []
    for index in range(len(hand.actuated)):
        ends = np.stack([rest(hand), rest(hand)])
        ends[:, index] = lower[index], upper[index]
        at = positions(subject, side, ends).values()
        found.append(any(float(np.linalg.norm(ends[1] - ends[0])) > MATTERS_M for ends in at))
    return found
