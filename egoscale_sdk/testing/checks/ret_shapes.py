"""Retargeting: is what the robot's hand shows what the person's hand shows? Judged by the kit's own kinematics."""

from __future__ import annotations

from itertools import product

import numpy as np

from egoscale_sdk.specs import FingerSpec, Side
from egoscale_sdk.testing import gestures
from egoscale_sdk.testing.check import NotApplicable, Violation, check
from egoscale_sdk.testing.robot_hand import (
    Floats,
    aperture_error_m,
    bone_errors,
    followed,
    gesture_positions,
    least_distance,
    mirror_error_m,
    misfit,
    opening,
    positions,
    show,
    shown_clips,
    shown_gestures,
    slowness,
    target,
)
from egoscale_sdk.testing.subject import Subject

MIRROR_TOLERANCE = 5e-3  # rad or m
TOUCH_M, APART_M = 0.010, 0.020
BONES_DEG = 25.0
RISE_M, LEAST_FALL = 0.001, 0.1
PADS_M = 0.002
SIZES = (1.0, 0.8, 1.2)
FAST, STILL = 3.0, 0.75


@check(
    "RET008",
    "must",
    needs={"retargeter", "both_hands"},
    mend="turn keypoints by each hand's own T_root_wrist, and compare mirror_signs with the joints' axes",
)
def left_hands_mirror_right_ones(subject: Subject) -> str:
    """A left hand that is shown the mirror image does what the right hand does."""
    left, right = (subject.spec.hand(side) for side in ("left", "right"))
    if not right.mirror_signs or set(subject.retargeters) != {"left", "right"}:
        raise NotApplicable("the spec states no mirror_signs of the two hands")
    apart = mirror_error_m(subject)
    if apart > 1e-3:
        raise NotApplicable(
            f"the two hands are no mirror images: with mirrored joints tips lie {1e3 * apart:.1f} mm apart"
        )
    signs, worst = np.array(right.mirror_signs), 0.0
    for shown, names in ((shown_gestures, gestures.GESTURES), (shown_clips, gestures.CLIPS)):
        gaps = np.abs(shown(subject, "left").joints - signs * shown(subject, "right").joints)
        worst = max(worst, float(gaps.max()))
        if not worst <= MIRROR_TOLERANCE:
            index, _, joint = np.unravel_index(gaps.argmax(), gaps.shape)
            name = left.actuated[joint].name
            raise Violation(f"{name!r} is {gaps.max():.3g} rad or m from the mirrored right one ({names[index]!r})")
    return f"joints within {worst:.1g} rad or m"


@check(
    "RET009",
    "must",
    needs={"retargeter", "fingers"},
    mend="weight the vector between thumb tip and fingertip while a person pinches; check which frames are the tips",
)
def pinches_are_kept(subject: Subject) -> str:
    """Where a person's fingertip meets the thumb the robot's does, and an open or a pointing hand pinches nothing."""
    kept: dict[str, str] = {}
    beyond: dict[str, str] = {}
    for side in subject.retargeters:
        for thumb, finger in _opposed(subject, side):
            distances = _distances(subject, side, thumb, finger)
            _check_apart(side, thumb, finger, distances)
            name = next(name for name, role in gestures.PINCHES.items() if role == finger.role)
            if _persons_distances(side, thumb, finger)[gestures.GESTURES.index(name)] > TOUCH_M:
                continue  # this fingertip follows several of a person's, of which only one pinches
            distance = float(distances[gestures.GESTURES.index(name)])
            reach = _reach(subject, side, name, thumb, finger) if distance > TOUCH_M else distance
            if reach > TOUCH_M / 2 and distance > TOUCH_M:
                beyond[f"{side} {finger.role}"] = f"{1e3 * reach:.0f} mm"
            elif distance > TOUCH_M:
                raise Violation(f"{side} hand, {name!r}: {_tips(thumb, finger)} are {1e3 * distance:.1f} mm apart")
            else:
                kept[f"{side} {finger.role}"] = f"{1e3 * distance:.1f} mm"
    if not kept and not beyond:
        raise NotApplicable("no fingertip of this hand follows a person's alone and opposes a thumb")
    cannot = [f"cannot meet: {', '.join(f'{tip} (at best {gap})' for tip, gap in beyond.items())}"] if beyond else []
    return "; ".join([", ".join(f"{tip} {gap}" for tip, gap in kept.items()) or "no pinch within reach", *cannot])


def _opposed(subject: Subject, side: Side) -> list[tuple[FingerSpec, FingerSpec]]:
    """The thumb with every other finger."""
    fingers = {finger.role: finger for finger in followed(subject.spec.hand(side))}
    thumb = fingers.pop("thumb", None)
    return [(thumb, finger) for finger in fingers.values()] if thumb else []


def _distances(subject: Subject, side: Side, thumb: FingerSpec, finger: FingerSpec) -> Floats:
    """From the thumb's tip to a finger's, the robot's, in every gesture, ``(8,)`` metres."""
    at = gesture_positions(subject, side)
    distances: Floats = np.linalg.norm(at[finger.frames[-1].frame] - at[thumb.frames[-1].frame], axis=-1)
    return distances


def _persons_distances(side: Side, thumb: FingerSpec, finger: FingerSpec) -> Floats:
    keypoints = gestures.gestures(side)
    distances: Floats = np.linalg.norm(
        target(keypoints, finger.frames[-1]) - target(keypoints, thumb.frames[-1]), axis=-1
    )
    return distances


def _check_apart(side: Side, thumb: FingerSpec, finger: FingerSpec, distances: Floats) -> None:
    for name in ("open", "point"):
        distance = distances[gestures.GESTURES.index(name)]
        if distance < APART_M:
            raise Violation(f"{side} hand, {name!r}: {_tips(thumb, finger)} pinch, {1e3 * distance:.1f} mm apart")


def _reach(subject: Subject, side: Side, name: str, thumb: FingerSpec, finger: FingerSpec) -> float:
    start = shown_gestures(subject, side).joints[gestures.GESTURES.index(name), 0]
    return least_distance(subject, side, (thumb.frames[-1].frame, finger.frames[-1].frame), start)


def _tips(thumb: FingerSpec, finger: FingerSpec) -> str:
    return f"{thumb.frames[-1].frame!r} and {finger.frames[-1].frame!r}"


@check(
    "RET010",
    "must",
    needs={"retargeter"},
    mend="check the sign of the aperture or of the fingers' axes, the limits, and T_root_wrist",
)
def closing_hands_close(subject: Subject) -> str:
    """While a person's hand closes the robot's closes, and never opens on the way."""
    figures = []
    for side, size in product(subject.retargeters, SIZES):
        times = slowness(subject.spec.hand(side))
        motion = gestures.slow_clip("grasp", side, size, times)
        closing = show(subject, side, motion).joints[: (gestures.FRAMES // 2 - 1) * times + 1]
        wide = opening(subject, side, closing)
        if (by := aperture_error_m(subject, side)) > PADS_M:
            raise Violation(f"{side} hand: its aperture changes by {1e3 * by:.1f} mm more or less than its pads part")
        rise = float(np.diff(wide).max())
        if not rise <= RISE_M:
            frame = int(np.diff(wide).argmax())
            raise Violation(
                f"{side} hand: it opens by {1e3 * rise:.1f} mm from frame {frame} to {frame + 1} of a closing, "
                f"shown by a hand of {size} times the size"
            )
        if not wide[-1] <= (1 - LEAST_FALL) * wide[0]:
            raise Violation(
                f"{side} hand: closing takes its opening from {1e3 * wide[0]:.0f} to {1e3 * wide[-1]:.0f} mm only, "
                f"shown by a hand of {size} times the size"
            )
        if size == SIZES[0]:
            figures.append(
                f"{side} {1e3 * wide[0]:.0f} to {1e3 * wide[-1]:.0f} mm, at worst {1e3 * rise:+.2f} mm a frame"
            )
    return "; ".join(figures)


@check(
    "RET011",
    "must",
    needs={"retargeter"},
    mend="start each frame from the one before, or pull frames to their neighbours; look for a solver with two minima",
)
def no_jumps(subject: Subject) -> str:
    """Neighbouring frames of a smooth motion have neighbouring joints."""
    worst = 0.0
    for side in subject.retargeters:
        joints = subject.spec.hand(side).actuated
        steps = np.abs(np.diff(shown_clips(subject, side).joints, axis=1)).max(axis=1)  # (clips, J)
        for name, row in zip(gestures.CLIPS, steps, strict=True):
            turn = float(np.abs(np.diff(gestures.clip_angles_rad(name), axis=0)).max())
            way = float(np.linalg.norm(np.diff(gestures.clip(name), axis=0), axis=-1).max())
            own = np.array([turn if joint.unit == "rad" else way for joint in joints])
            worst = max(worst, float((row / own).max()))
            slow = _slow_steps(subject, side, name) if (row > FAST * own).any() else np.zeros_like(row)
            for joint, step, still, own_step in zip(joints, row, slow, own, strict=True):
                if step > FAST * own_step and still > STILL * step:
                    times = f"{step:.3g} {joint.unit} in a frame, and by {still:.3g} in one of half the length"
                    raise Violation(f"{joint.name!r} jumps by {times} ({name!r})")
    return f"largest step {worst:.1f} times the person's own"


def _slow_steps(subject: Subject, side: Side, name: str) -> Floats:
    """Largest step of every joint in the same motion at half the speed; of what is merely fast it is half as large."""
    joints = show(subject, side, gestures.slow_clip(name, side)).joints
    steps: Floats = np.abs(np.diff(joints, axis=0)).max(axis=0)
    return steps


@check(
    "RET012",
    "should",
    needs={"retargeter", "fingers"},
    mend="compare T_root_wrist with the wrist frame, and the keypoints that each frame follows with the robot's joints",
)
def bones_keep_their_directions(subject: Subject) -> str:
    """The robot's bones point where the person's bones point."""
    figures = []
    for side in subject.retargeters:
        if not followed(subject.spec.hand(side)):
            continue
        for size in SIZES:
            keypoints = gestures.gestures(side, size)
            at = positions(subject, side, show(subject, side, keypoints[:, None]).joints[:, 0])
            errors = bone_errors(subject, side, at, keypoints)
            mean = float(np.mean(list(errors.values())))
            worst = max(errors, key=lambda frame: float(errors[frame].mean()))
            found = f"{side} {mean:.1f} deg (bone to {worst!r} {errors[worst].mean():.0f} deg)"
            if not mean <= BONES_DEG:
                raise Violation(f"mean over bones and gestures of a hand of {size} times the size: {found}")
            figures += [found] if size == SIZES[0] else []
    if not figures:
        raise NotApplicable("no bone of this hand follows a person's")
    return "; ".join(figures)


@check(
    "RET013",
    "should",
    needs={"retargeter"},
    mend="residual_m is the distance between followed frames and their targets; compute it from the returned joints",
)
def residuals_tell_the_misfit(subject: Subject) -> str:
    """The residual is larger where the robot's hand is farther from the person's."""
    figures = []
    for side in subject.retargeters:
        near = gestures.gesture("fist", side)
        far = near * (-1.0, 1.0, 1.0)  # fingers bent backwards, in the same wrist frame
        if subject.spec.hand(side).aperture is not None:
            near, far = gestures.clip("grasp", side)[12], gestures.gesture("open", side, 3.0)
        shown = show(subject, side, np.stack([near, far])[:, None])
        errors = misfit(subject, side, shown.joints[:, 0], np.stack([near, far]))
        if not errors[1] > 2 * errors[0]:
            continue  # this hand can do both
        small, large = shown.residual_m[:, 0]
        if not large > small:
            raise Violation(f"{side} hand: residual {1e3 * small:.1f} mm within its reach, {1e3 * large:.1f} mm beyond")
        figures.append(f"{side} {1e3 * small:.1f} mm within its reach, {1e3 * large:.0f} mm beyond")
    if not figures:
        raise NotApplicable("this hand does all that it is shown")
    return "; ".join(figures)
