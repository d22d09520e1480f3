"""Retargeting: limits, missing keypoints, pinches and shapes, judged on canonical gestures and motions of a person."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

import numpy as np
import torch
from numpy.typing import NDArray

from egoscale_sdk.geometry import make_pose, rotation_from_rpy, transform_points
from egoscale_sdk.interfaces import RetargetResult
from egoscale_sdk.specs import HandSpec, Side
from egoscale_sdk.testing import gestures, holes
from egoscale_sdk.testing.check import Violation, check
from egoscale_sdk.testing.checks.ret_shapes import (
    bones_keep_their_directions,
    closing_hands_close,
    left_hands_mirror_right_ones,
    no_jumps,
    pinches_are_kept,
    residuals_tell_the_misfit,
)
from egoscale_sdk.testing.checks.ret_time import (
    every_joint_takes_part,
    joints_keep_time,
    long_motions_equal_their_parts,
    what_is_seen_is_valid,
)
from egoscale_sdk.testing.robot_hand import (
    Shown,
    followed,
    limits,
    opening,
    positions,
    rest,
    show,
    shown_clips,
    shown_gestures,
)
from egoscale_sdk.testing.subject import Subject

SAME = 1e-4  # rad or m: what rounding and the order of sums may do to a solver's answer
NEIGHBOURS_M = 0.015
LETS_GO_M = 0.002
PRECISION = 1e-2  # rad or m, between keypoints in float32 and in float64

__all__ = [
    "an_unseen_hand_keeps_its_start",
    "bones_keep_their_directions",
    "closing_hands_close",
    "every_joint_takes_part",
    "joints_keep_time",
    "left_hands_mirror_right_ones",
    "limits_hold",
    "long_motions_equal_their_parts",
    "missing_keypoints_spoil_only_themselves",
    "no_jumps",
    "pinches_are_kept",
    "residuals_tell_the_misfit",
    "results_have_their_form",
    "same_motion_same_joints",
    "the_world_does_not_matter",
    "what_is_seen_is_valid",
    "wrong_shapes_are_refused",
]


@check(
    "RET001",
    "must",
    needs={"retargeter"},
    mend="clamp as the last step, with the limits rounded inwards in the dtype of the result (position_limits)",
)
def limits_hold(subject: Subject) -> str:
    """Retargeted joints never leave the limits, whatever is shown."""
    count, least = 0, np.inf
    for side in subject.retargeters:
        hand = subject.spec.hand(side)
        lower, upper = limits(hand)
        for what, shown in _everything(subject, side):
            room = np.minimum(shown.joints - lower, upper - shown.joints)
            if not np.all(room >= 0):
                *_, joint = np.unravel_index(np.nanargmin(room), room.shape)
                name, by = hand.actuated[joint].name, -np.nanmin(room)
                raise Violation(f"{what}: {name!r} leaves its limits by {by:.3g} {hand.actuated[joint].unit}")
            count += room[..., 0].size
            least = min(least, float(room.min()))
    return f"{count} hand-frames, least distance to a limit {least:.1g} rad or m"


def _everything(subject: Subject, side: Side) -> Iterator[tuple[str, Shown]]:
    """Gestures, motions, small and large hands, noise of every size, and points that are no measurement."""
    yield f"{side} hand, gestures", shown_gestures(subject, side)
    yield f"{side} hand, motions", shown_clips(subject, side)
    for scale in (0.8, 1.2):
        yield f"{side} hand {scale} times as large", show(subject, side, gestures.clip("fist", side, scale))
    rng = np.random.default_rng(0)
    for size_m in (0.05, 1.0, 1e3):
        yield f"{side} hand, noise of {size_m:g} m", show(subject, side, rng.normal(size=(8, 21, 3)) * size_m)
    motion = gestures.clip("fist", side)[:8] + 0.1
    for factor in (0.0, 1e9, 1e60, np.inf):
        yield f"{side} hand, keypoints times {factor:g}", show(subject, side, motion * factor)


@check(
    "RET002", "must", needs={"retargeter"}, mend="return what RetargetResult documents, for no frames and no clips too"
)
def results_have_their_form(subject: Subject) -> str:
    """Results have the documented shapes and dtypes, and are finite, for any leading dimensions and precision."""
    shapes = ((3,), (1, 2), (2, 1, 3), (0,), (2, 0))
    for side, retargeter in subject.retargeters.items():
        width = len(subject.spec.hand(side).actuated)
        for shape in shapes:
            motion = np.broadcast_to(gestures.gesture("point", side), (*shape, 21, 3))
            in_64, in_32 = (retargeter.retarget(torch.tensor(motion, dtype=dtype)) for dtype in _PRECISIONS)
            _check_form(f"{side} hand, frames {shape}", in_64, shape, width)
            _check_form(f"{side} hand, frames {shape} in float32", in_32, shape, width)
            if not torch.allclose(in_64.joints.double(), in_32.joints.double(), rtol=0, atol=PRECISION):
                raise Violation(f"{side} hand, frames {shape}: keypoints in float32 give other joints than in float64")
        spoilt = torch.tensor(gestures.clip("grasp", side)[:6])
        spoilt[2] = torch.nan
        result = retargeter.retarget(spoilt)
        _check_form(f"{side} hand, a frame of NaN", result, (6,), width)
        if float(result.residual_m[2]) != 0:
            raise Violation(
                f"{side} hand: residual_m of a frame that is not valid is {result.residual_m[2]:.3g}, not 0"
            )
    return f"leading dimensions {', '.join(map(str, shapes))}, float32 and float64"


_PRECISIONS = (torch.float64, torch.float32)


def _check_form(where: str, result: RetargetResult, shape: tuple[int, ...], joints: int) -> None:
    for name, value, wanted in (
        ("joints", result.joints, (*shape, joints)),
        ("residual_m", result.residual_m, shape),
        ("valid", result.valid, shape),
    ):
        if not isinstance(value, torch.Tensor) or tuple(value.shape) != wanted:
            raise Violation(f"{where}: {name} is {tuple(getattr(value, 'shape', ()))}, should be {wanted}")
        if value.is_floating_point() != (name != "valid") or (name == "valid" and value.dtype != torch.bool):
            raise Violation(f"{where}: {name} is {value.dtype}")
        if not bool(value.isfinite().all()):
            raise Violation(f"{where}: {name} is not finite")
    if bool((result.residual_m < 0).any()):
        raise Violation(f"{where}: residual_m is negative")


@check("RET003", "must", needs={"retargeter"}, mend="check shapes before anything else and raise ValueError")
def wrong_shapes_are_refused(subject: Subject) -> str:
    """Keypoints, confidences and starts of a wrong shape are refused with ValueError."""
    for side, retargeter in subject.retargeters.items():
        width, points = len(subject.spec.hand(side).actuated), torch.zeros(2, 5, 21, 3)
        for what, arguments in (
            ("20 keypoints", (points[:, :, :20],)),
            ("keypoints of 2 coordinates", (points[..., :2],)),
            ("keypoints without time", (points[0, 0],)),
            ("confidence of 4 frames for 5", (points, torch.ones(2, 4, 21))),
            ("confidence per frame", (points, torch.ones(2, 5))),
            ("a warm start without batch", (points, None, torch.zeros(width))),
            ("a warm start of one joint too many", (points, None, torch.zeros(2, width + 1))),
        ):
            try:
                retargeter.retarget(*arguments)
            except ValueError:
                continue
            except Exception as error:
                raise Violation(f"{side} hand: {what} raised {type(error).__name__}, not ValueError") from error
            raise Violation(f"{side} hand: {what} was accepted")
    return "7 wrong shapes"


@check(
    "RET004",
    "must",
    needs={"retargeter"},
    mend="keep no state between calls, draw nothing at random, and solve every clip of a batch by itself",
)
def same_motion_same_joints(subject: Subject) -> str:
    """The same motion gives the same joints, bit for bit, the same alone as in a batch, and stays as it was."""
    worst = 0.0
    for side in subject.retargeters:
        whole, motions = shown_clips(subject, side).joints, gestures.clips(side)
        again = show(subject, side, motions).joints
        if not np.array_equal(whole, again):
            raise Violation(f"{side} hand: asked twice, joints differ by {np.abs(whole - again).max():.3g} rad or m")
        for index, name in list(enumerate(gestures.CLIPS))[-3:]:
            gap = np.abs(show(subject, side, motions[index]).joints - whole[index]).max()
            if not gap <= SAME:
                raise Violation(f"{side} hand: {name!r} alone differs from {name!r} in a batch by {gap:.3g} rad or m")
            worst = max(worst, float(gap))
        _check_untouched(subject, side)
    return f"twice: equal; alone and in a batch: within {worst:.1g} rad or m"


def _check_untouched(subject: Subject, side: Side) -> None:
    """What is given, with something missing in all of it, is the caller's."""
    keypoints = torch.tensor(gestures.clip("grasp", side)[:6])
    keypoints[1, 8], keypoints[3] = torch.nan, torch.nan
    confidence = torch.ones(6, 21)
    confidence[2, 12] = torch.nan
    start = torch.full((len(subject.spec.hand(side).actuated),), torch.nan)
    given = {"keypoints": keypoints, "confidence": confidence, "warm_start": start}
    before = {name: value.clone() for name, value in given.items()}
    subject.retargeters[side].retarget(**given)
    for name, value in given.items():
        if not torch.equal(value.nan_to_num(-1e3), before[name].nan_to_num(-1e3)):
            raise Violation(f"{side} hand: {name}, which the caller still uses, are written to")


@check(
    "RET005",
    "must",
    needs={"retargeter"},
    mend="bring keypoints to the wrist frame (keypoints_in_wrist) before anything else",
)
def the_world_does_not_matter(subject: Subject) -> str:
    """Where a person stands and how they are turned changes no joint."""
    rng = np.random.default_rng(5)
    turns = rotation_from_rpy(rng.uniform(-np.pi, np.pi, (len(gestures.CLIPS), 3)))
    T_world = make_pose(turns, rng.uniform(-3, 3, (len(gestures.CLIPS), 3)))[:, None]
    worst = 0.0
    for side in subject.retargeters:
        moved = show(subject, side, transform_points(T_world, gestures.clips(side))).joints
        gaps = np.abs(moved - shown_clips(subject, side).joints)
        worst = max(worst, float(gaps.max()))
        if not gaps.max() <= 1e-3:
            clip, frame, joint = np.unravel_index(gaps.argmax(), gaps.shape)
            name = subject.spec.hand(side).actuated[joint].name
            raise Violation(
                f"{name!r} changes by {gaps.max():.3g} rad or m when the person moves "
                f"({gestures.CLIPS[clip]!r}, frame {frame})"
            )
    return f"8 motions, each moved by up to 3 m and half a turn: joints within {worst:.1g} rad or m"


@check(
    "RET006",
    "must",
    needs={"retargeter"},
    mend="a hand that is not seen keeps warm_start (the open pose, where none is given) and is not valid",
)
def an_unseen_hand_keeps_its_start(subject: Subject) -> str:
    """A hand that is not seen is marked invalid, stays where it was, and does not let go."""
    for side in subject.retargeters:
        hand = subject.spec.hand(side)
        lower, upper = (np.nan_to_num(end, posinf=1.0, neginf=-1.0) for end in limits(hand))
        start = lower + 0.3 * (upper - lower)
        motion = np.broadcast_to(gestures.gesture("fist", side), (4, 21, 3))
        missing, unsure = np.full((4, 21, 3), np.nan), np.zeros((4, 21))
        for what, shown, wanted in (
            ("all keypoints NaN", show(subject, side, missing, warm_start=start), start),
            ("no confidence at all", show(subject, side, motion, unsure, start), start),
            ("all keypoints NaN and no warm start", show(subject, side, missing), rest(hand)),
        ):
            if shown.valid.any():
                raise Violation(f"{side} hand, {what}: a frame is marked valid")
            gap = np.abs(shown.joints - wanted).max(axis=0)
            if not gap.max() <= SAME:
                name = hand.actuated[int(gap.argmax())].name
                raise Violation(f"{side} hand, {what}: {name!r} moves by {gap.max():.3g} from its start")
        for lost in (slice(15, 22), slice(15, None)):
            _check_holds(subject, side, lost)
    return "NaN and no confidence, with a warm start and without; lost in a grasp and from a grasp on"


def _check_holds(subject: Subject, side: Side, lost: slice) -> None:
    """A hand that is lost while it grasps opens no wider than before and after."""
    motion = gestures.clip("grasp", side).copy()
    motion[lost] = np.nan
    wide = opening(subject, side, show(subject, side, motion).joints)
    seen = [wide[frame] for frame in (lost.start - 1, lost.stop) if frame is not None]
    by = float(wide[lost].max() - max(seen))
    if by > LETS_GO_M:
        until = f"to {lost.stop - 1}" if lost.stop else "to the end"
        raise Violation(f"{side} hand: lost in a grasp from frame {lost.start} {until}, it opens by {1e3 * by:.1f} mm")


@check(
    "RET007",
    "must",
    needs={"retargeter"},
    mend="give what is missing no weight; never fill it with zeros, and never drop what was seen beside it",
)
def missing_keypoints_spoil_only_themselves(subject: Subject) -> str:
    """A missing finger, keypoint or frame is survived, and the other fingers stay where they were."""
    missing, worst = holes.missing(), 0.0
    for side in subject.retargeters:
        whole = show(subject, side, holes.whole_hand(side))
        for how in get_args(holes.How):
            shown = holes.shown_holes(subject, side, how)
            for index, name in enumerate(holes.HOLES):
                part = Shown(shown.joints[index], shown.residual_m[index], shown.valid[index])
                what = f"{side} hand, {name} {how}"
                _check_sound(subject.spec.hand(side), what, part)
                worst = max(worst, _check_others(subject, side, what, missing[index], part, whole))
        _check_dropped(subject, side)
    return f"5 fingers, 21 keypoints, 7 frames; tips of the other fingers within {1e3 * worst:.1f} mm"


def _check_others(
    subject: Subject, side: Side, what: str, missing: NDArray[np.bool_], part: Shown, whole: Shown
) -> float:
    """Return how far the tips moved of fingers that miss nothing, metres; a hand that is not valid is not judged."""
    fingers = [
        finger
        for finger in followed(subject.spec.hand(side))
        if part.valid.all() and not missing[[k for target in finger.frames for k in target.keypoints]].any()
    ]
    before, after = (positions(subject, side, shown.joints[0]) if fingers else {} for shown in (whole, part))
    worst = 0.0
    for tip in (finger.frames[-1].frame for finger in fingers):
        by = float(np.linalg.norm(after[tip] - before[tip]))
        if not by <= NEIGHBOURS_M:
            raise Violation(f"{what}: {tip!r}, which misses nothing, moves by {1e3 * by:.1f} mm")
        worst = max(worst, by)
    return worst


def _check_dropped(subject: Subject, side: Side) -> None:
    """Frames that are lost are not valid, and the ones beside them are."""
    motion = gestures.clip("grasp", side).copy()
    motion[15:22] = np.nan
    shown = show(subject, side, motion)
    _check_sound(subject.spec.hand(side), f"{side} hand, frames 15 to 21 lost", shown)
    if shown.valid[15:22].any() or not np.delete(shown.valid, slice(15, 22)).all():
        raise Violation(f"{side} hand: frames 15 to 21 of {len(motion)} are lost, valid is {shown.valid.astype(int)}")


def _check_sound(hand: HandSpec, what: str, shown: Shown) -> None:
    lower, upper = limits(hand)
    sound = (shown.joints >= lower) & (shown.joints <= upper)
    if not (sound.all() and np.isfinite(shown.joints).all() and np.isfinite(shown.residual_m).all()):
        raise Violation(f"{what}: a joint is not finite or leaves its limits")
