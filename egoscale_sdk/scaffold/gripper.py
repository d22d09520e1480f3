"""Grippers: one driven joint that opens and closes two or more pads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.geometry import transform_points
from egoscale_sdk.hands.wrist import FINGERS
from egoscale_sdk.scaffold.frames import STANDS_FOR, pose_spec
from egoscale_sdk.scaffold.guess import Guess
from egoscale_sdk.scaffold.model import VendorModel
from egoscale_sdk.scaffold.posture import Pose, Posture, unit
from egoscale_sdk.scaffold.tips import Finger, link_points
from egoscale_sdk.specs import ApertureSpec, FingerSpec, FrameTarget, JointSpec, PoseSpec

Vector = NDArray[np.float64]
WRIST_TO_PADS_M = 0.15  # of an adult who holds something between thumb and index
FIT_M = 1e-4  # a closed form that misses the opening by less is taken
UNFIT_M = 1e-3  # one that misses it by more is asked about
_SAMPLES = 101
_FAR_END = 0.35  # of a finger's length: where its pad is
_OVERLAP_SHARE = 0.25  # of the stroke: estimated pads that pass each other by less are put where they meet


@dataclass(frozen=True)
class Grip:
    """A gripper's own part of a hand."""

    pads: tuple[Finger, ...]
    fingers: tuple[FingerSpec, ...]
    aperture: ApertureSpec
    open_pose: tuple[float, ...]
    T_root_wrist: PoseSpec
    guesses: tuple[Guess, ...]
    questions: tuple[str, ...]


def read_grip(model: VendorModel, posture: Posture) -> Grip:
    """Find pads, opening and approach of a hand with one driven joint."""
    driven = next(joint for joint in posture.joints.values() if joint.mimic is None)
    lower, upper = posture.range_of(driven.name)
    q = np.linspace(lower, upper, _SAMPLES)
    order = _order(posture, driven)
    gaps = _gaps(posture, driven, q, order)
    u, is_open = _opening(gaps)
    z = _approach(posture, driven, order, u, q[is_open])
    q_open, q_closed = ({driven.name: float(q[end])} for end in (is_open, len(q) - 1 - is_open))
    posture = _padded(model, posture, (q_open, q_closed), order, u, z)
    posture = _meeting(posture, driven, q, order, u)
    widths = _gaps(posture, driven, q, order) @ u
    aperture, guess, questions = _fit(driven, q, widths)
    middle = _tips(posture, {driven.name: float((lower + upper) / 2)}, order).mean(0)
    axes = np.stack([u, np.cross(z, u), z], axis=-1)
    thumb = posture.fingers[order[0]].chain.name
    how = f"it holds {driven.name!r}; a person's thumb closes against the fingers from the palm's side"
    return Grip(
        pads=posture.fingers,
        fingers=_specs(posture, order),
        aperture=aperture,
        open_pose=(float(q[int(np.argmax(widths))]),),
        T_root_wrist=pose_spec(axes, middle - WRIST_TO_PADS_M * z),
        guesses=(Guess("thumb", f"chain {thumb}", how, sure=True), guess, *_pad_guesses(posture)),
        questions=questions,
    )


def _order(posture: Posture, driven: JointSpec) -> list[int]:
    """Fingers, the one that holds the driven joint first: it is the thumb."""
    holds = [driven.name in {joint.name for joint in finger.chain.movable} for finger in posture.fingers]
    return sorted(range(len(holds)), key=lambda number: not holds[number])


def _tips(posture: Posture, q: dict[str, float], order: Sequence[int]) -> Vector:
    """The thumb's pad and the middle of the others', ``(2, 3)``."""
    tips = posture.tips(q)[list(order)]
    return np.stack([tips[0], tips[1:].mean(0)])


def _gaps(posture: Posture, driven: JointSpec, q: Vector, order: Sequence[int]) -> Vector:
    """Vectors from the other pads to the thumb's, ``(Q, 3)``."""
    tips = [_tips(posture, {driven.name: float(value)}, order) for value in q]
    return np.stack([thumb - others for thumb, others in tips])


def _opening(gaps: Vector) -> tuple[Vector, int]:
    """Unit vector along which the pads part, toward the thumb's, and the row at which they are widest apart."""
    sizes = np.linalg.norm(gaps, axis=-1)
    is_open = 0 if sizes[0] > sizes[-1] else len(gaps) - 1
    u = unit(gaps[is_open] - gaps[len(gaps) - 1 - is_open])
    if not u.any():
        u = unit(gaps[is_open]) if sizes[is_open] > 1e-9 else np.array([1.0, 0.0, 0.0])
    return (u if gaps[is_open] @ u >= 0 else -u), is_open


def _approach(posture: Posture, driven: JointSpec, order: Sequence[int], u: Vector, q_open: float) -> Vector:
    """Unit vector out of the gripper between its pads, across the opening; near an axis of the root it is that."""
    poses = posture.kinematics.poses({driven.name: q_open})
    tips = _tips(posture, {driven.name: q_open}, order).mean(0)
    chains = [posture.fingers[number].chain for number in order]
    turning = [joint for chain in chains for joint in chain.movable if joint.kind != "prismatic"]
    bases = np.mean([poses[chain.movable[0].child][:3, 3] for chain in chains], axis=0)
    ahead = tips - (bases if np.linalg.norm(tips - bases) > 0.01 else poses[chains[0].joints[0].parent][:3, 3])
    if turning:
        across = np.cross(posture.axis(turning[0], poses), u)
        ahead = across * np.sign(across @ ahead or 1.0)
    ahead = ahead - (ahead @ u) * u
    nearest = int(np.argmax(np.abs(ahead)))
    square = np.eye(3)[nearest] * np.sign(ahead[nearest])
    if abs(square @ u) < 1e-3 and square @ unit(ahead) > np.cos(np.radians(20)):
        return np.asarray(square - (square @ u) * u)
    return unit(ahead)


def _padded(
    model: VendorModel, posture: Posture, ends: tuple[Pose, Pose], order: Sequence[int], u: Vector, z: Vector
) -> Posture:
    """Put estimated tips on the inner faces of the fingers' far ends, as they stand closed, where shapes are known."""
    q_open, q_closed = ends
    poses, tips = posture.kinematics.poses(q_closed), posture.tips(q_open)
    pads = list(posture.fingers)
    for place, number in enumerate(order):
        finger = pads[number]
        points = link_points(model, posture.tree, finger.chain.last)
        if not finger.estimate or not len(points):
            continue
        T_root_last = poses[finger.chain.last]
        to_middle = tips.mean(0) - tips[number]
        inward = unit(to_middle - (to_middle @ z) * z) if len(tips) > 2 else -u if place == 0 else u
        axes = np.stack([inward, np.cross(z, inward), z], axis=-1)
        seen = np.asarray(transform_points(T_root_last, points)) @ axes
        far = float(_FAR_END * np.ptp(seen[:, 2]))
        end = seen[seen[:, 2] >= seen[:, 2].max() - far]
        pad = np.array([end[:, 0].max(), (end[:, 1].min() + end[:, 1].max()) / 2, seen[:, 2].max() - far / 2])
        at = T_root_last[:3, :3].T @ (axes @ pad - T_root_last[:3, 3])
        how = "no frame in the file; middle of the inner face of its far end"
        pads[number] = replace(finger, tip_m=at, estimate=how, on_face=True)
    return posture.with_fingers(pads)


def _meeting(posture: Posture, driven: JointSpec, q: Vector, order: Sequence[int], u: Vector) -> Posture:
    """Put pads that are estimates from masses or lengths, and overlap where the gripper closes, to where they meet."""
    widths = _gaps(posture, driven, q, order) @ u
    overlap = -float(widths.min())
    rough = all(finger.estimate and not finger.on_face for finger in posture.fingers)
    if not rough or not 0 < overlap < _OVERLAP_SHARE * float(np.ptp(widths)):
        return posture
    poses = posture.kinematics.poses({driven.name: float(q[int(np.argmin(widths))])})
    pads = list(posture.fingers)
    for place, number in enumerate(order):
        finger = pads[number]
        outward = (u if place == 0 else -u) * overlap / 2
        at = finger.tip_m + poses[finger.chain.last][:3, :3].T @ outward
        how = f"{finger.estimate}; then {1e3 * overlap / 2:.1f} mm outwards, so that pads meet where it closes"
        pads[number] = replace(finger, tip_m=at, estimate=how)
    return posture.with_fingers(pads)


def _fit(driven: JointSpec, q: Vector, widths: Vector) -> tuple[ApertureSpec, Guess, tuple[str, ...]]:
    """Fit the opening in closed form, the simplest that is near enough."""
    one = np.ones_like(q)
    forms = [{"constant_m": one, "linear": q}]
    if driven.kind != "prismatic":
        wave = {"cosine_m": np.cos(q), "sine_m": np.sin(q)}
        forms += [{"constant_m": one, **wave}, {"constant_m": one, "linear": q, **wave}]
    best: dict[str, float] = {}
    error = np.inf
    for form in forms:
        table = np.stack(list(form.values()), axis=-1)
        found = np.linalg.lstsq(table, widths, rcond=None)[0]
        worst = float(np.abs(table @ found - widths).max())
        if worst < error:
            best, error = dict(zip(form, (round(float(value), 9) for value in found), strict=True)), worst
        if error < FIT_M:
            break
    low, high = float(widths.min()) + 0.0, float(widths.max())
    if -FIT_M <= low < 0:  # of rounded figures: pads that touch
        best["constant_m"], low = round(best["constant_m"] - low, 9), 0.0
    value = f"{1e3 * low:.1f}..{1e3 * high:.1f} mm over {driven.name!r} {q[0]:g}..{q[-1]:g} {driven.unit}"
    guess = Guess("opening", value, f"least squares over {len(q)} values misses by {1e3 * error:.3f} mm", error < FIT_M)
    return ApertureSpec(joint=driven.name, **best), guess, _doubts(driven, widths, error)


def _doubts(driven: JointSpec, widths: Vector, error: float) -> tuple[str, ...]:
    steps = np.diff(widths)
    if driven.lower is None:
        problem = "it is continuous: between which angles does it open?"
    elif error > UNFIT_M:
        problem = (
            f"no closed form of the opening is nearer than {1e3 * error:.1f} mm: how wide is it open at which value?"
        )
    elif not (np.all(steps > 0) or np.all(steps < 0)):
        problem = "the opening does not grow steadily over its range: between which values does it open?"
    elif widths.min() < -FIT_M:
        problem = f"the pads pass each other by {-1e3 * float(widths.min()):.1f} mm where it closes: where are they?"
    else:
        return ()
    return (f"aperture: joint {driven.name!r}: {problem}",)


def _specs(posture: Posture, order: Sequence[int]) -> tuple[FingerSpec, ...]:
    """Pads follow tips: the thumb's pad the thumb's, the other pads those of the fingers that they stand for."""
    return tuple(
        FingerSpec.model_validate(
            {
                "role": role,
                "frames": [
                    FrameTarget(frame=posture.fingers[number].tip, keypoints=tuple(FINGERS[name][-1] for name in human))
                ],
            }
        )
        for role, number, human in zip(FINGERS, order, STANDS_FOR[len(order)], strict=False)
    )


def _pad_guesses(posture: Posture) -> tuple[Guess, ...]:
    return tuple(
        Guess(
            f"pad of {finger.chain.name}", f"frame {finger.tip}", "a frame of the file, farthest along the finger", True
        )
        for finger in posture.fingers
        if not finger.estimate
    )
