"""Kinematics: where the frames of a body are, judged by the kit's own forward kinematics in numpy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from egoscale_sdk.specs import JointSpec
from egoscale_sdk.testing.check import Need, NotApplicable, Violation, check
from egoscale_sdk.testing.mirror import Mirror
from egoscale_sdk.testing.numpy_body import Array, NumpyBody, configurations, frame_poses, judged
from egoscale_sdk.testing.subject import Subject

EXACT_M, ROUNDED_M = 1e-9, 4e-6  # of metres and of entries of a rotation: in float64, in float32
STEP = 1e-5  # of finite differences, rad or m
MANY = 1000  # configurations in one batch, as when a data set is read
NUDGE = {"rad": 0.05, "m": 0.002}
FAR = 1e4
HAND_REACH_M = (0.01, 1.0)
MIRRORED_M = 0.015
FK: set[Need] = {"forward_kinematics"}


@check("KIN001", "must", mend="let `capabilities` follow from the spec, as SpecEmbodiment does")
def capabilities_follow_from_the_trees(subject: Subject) -> str:
    """The body is capable of what its spec has kinematic trees for, and of nothing else."""
    expected = subject.has & {"forward_kinematics", "wrist_from_arms"}
    found = frozenset(subject.embodiment.capabilities)
    if found != expected:
        raise Violation(f"capabilities are {sorted(found)}, the trees of the spec give {sorted(expected)}")
    return ", ".join(sorted(found)) or "none: its hands have no kinematic trees"


@check("KIN002", "must", needs=FK, mend="list each link once per side, in the base of its arm or else its hand's root")
def frames_are_complete(subject: Subject) -> str:
    """Frames are links, once each and in the right base, and every frame that the spec names is there."""
    frames, body = subject.embodiment.frames, NumpyBody(subject.spec)
    keys = body.keys(frames)
    repeated = [key for key, count in Counter(keys).items() if count > 1]
    if repeated:
        raise Violation(f"link {repeated[0][1]!r} of the {repeated[0][0]} side stands among the frames more than once")
    for frame, (side, *_) in zip(frames, keys, strict=True):
        if frame.base != body.bases()[side]:
            expected = body.bases()[side]
            raise Violation(f"frame {frame.name!r} ({side}) says its base is {frame.base!r}, it must be {expected!r}")
    there = {(side, name) for side, name, _ in keys}
    for hand in subject.spec.hands:
        for name in (hand.root, *(target.frame for finger in hand.fingers for target in finger.frames)):
            if (hand.side, name) not in there:
                raise Violation(f"the spec names link {name!r} of the {hand.side} hand, which is not among the frames")
    return f"{len(frames)} frames in {', '.join(dict.fromkeys(frame.base for frame in frames))}"


@check(
    "KIN003", "must", needs=FK, mend="compare origin, axis, mimic and joint order above the named link with the URDF"
)
def fk_agrees(subject: Subject) -> str:
    """Forward kinematics agrees with the URDF, mimic joints and arms included."""
    found, truth = _forward(subject, judged(subject).q), judged(subject).poses
    _same_poses(subject, found, truth, EXACT_M)
    rounded = _forward(subject, judged(subject).q, torch.float32)
    _same_poses(subject, rounded, truth, ROUNDED_M)
    beyond = _forward(subject, judged(subject).beyond)
    _same_poses(subject, beyond, judged(subject).beyond_poses, EXACT_M, "with every joint beyond its limits")
    exact, single = (np.abs(poses - truth).max(initial=0) for poses in (found, rounded))
    count = f"{len(truth)} configurations of {truth.shape[1]} frames"
    return f"within {exact:.0e} m in float64 and {single:.0e} m in float32 at {count}, and beyond limits"


@check("KIN004", "must", needs=FK, mend="compute in the dtype of q and return (*b, F, 4, 4)")
def fk_keeps_dtype_and_shape(subject: Subject) -> str:
    """Forward kinematics keeps the dtype and the leading dimensions of the joint vector."""
    joints, frames = len(subject.spec.joints), len(subject.embodiment.frames)
    _keeps_dtype_and_shape(subject.embodiment.forward_kinematics, joints, frames)
    return f"(*b, {joints}) to (*b, {frames}, 4, 4) in float32 and float64"


@check("KIN005", "must", needs=FK, mend="let no element of a batch read another's joints")
def batches_agree(subject: Subject) -> str:
    """A configuration has the same poses alone and in any batch."""
    q = judged(subject).q[2:8]
    together = _forward(subject, q.reshape(2, 3, -1)).reshape(len(q), -1)
    alone = np.stack([_forward(subject, one).ravel() for one in q])
    worst = np.abs(together - alone).max(axis=-1, initial=0)
    if not (worst <= EXACT_M).all():
        raise Violation(
            f"element {worst.argmax()} of a batch of {len(q)} differs by {worst.max():.3g} (m, or 1) from itself alone"
        )
    many = _forward(subject, np.resize(q, (MANY, q.shape[-1]))).reshape(MANY, -1)
    off = np.nan_to_num(np.abs(many - np.resize(alone, many.shape)), nan=np.inf).max(axis=-1, initial=0)
    if not (off <= EXACT_M).all():
        at = int((off > EXACT_M).argmax())
        raise Violation(f"element {at} of a batch of {MANY} differs by {off[at]:.3g} (m, or 1) from itself alone")
    return f"{len(q)} configurations in a batch (2, 3), one by one, and repeated in a batch of {MANY}"


@check("KIN006", "must", needs=FK, mend="raise ValueError unless q.shape[-1] is the number of joints")
def wrong_length_is_refused(subject: Subject) -> str:
    """A joint vector of the wrong length is refused with a ValueError."""
    joints = len(subject.spec.joints)
    wrong = [(joints + 1,), (2, joints + 1), (2, joints - 1)]
    for shape in wrong:
        try:
            subject.embodiment.forward_kinematics(torch.zeros(*shape))
        except ValueError:
            continue
        except Exception as error:
            raise Violation(f"q of shape {shape} raises {type(error).__name__}, not ValueError: {error}") from error
        raise Violation(f"q of shape {shape} is taken although there are {joints} joints")
    return f"{joints - 1} and {joints + 1} joints are refused"


@check("KIN007", "must", needs=FK, mend="keep no state between calls and change q in no place")
def fk_is_a_function(subject: Subject) -> str:
    """The same joint vector gives the same poses, bit by bit, and is left as it was."""
    q = torch.from_numpy(3 * judged(subject).q[:4])  # beyond the limits too, where one may be tempted to clamp it
    before = q.clone()
    first = subject.embodiment.forward_kinematics(q)
    subject.embodiment.forward_kinematics(-q)
    second = subject.embodiment.forward_kinematics(q)
    if not torch.equal(q, before):
        joint = subject.spec.joints[int((q != before).any(0).nonzero()[0])].name
        raise Violation(f"forward_kinematics changes its argument, at joint {joint!r}")
    if not torch.equal(first, second):
        raise Violation(f"a second call gives poses that are {float((first - second).abs().max()):.3g} m or 1 off")
    return "two calls, another between them"


@check(
    "KIN008", "must", needs=FK, mend="build the poses with differentiable torch operations, without detach() or .data"
)
def gradients_agree(subject: Subject) -> str:
    """Gradients of the poses agree with finite differences of the URDF's kinematics."""
    q, count = judged(subject).q[2], 4
    weights = np.random.default_rng(1).normal(size=(count, *judged(subject).poses.shape[1:]))
    variable = torch.tensor(np.tile(q, (count, 1)), requires_grad=True)
    poses = subject.embodiment.forward_kinematics(variable)
    if not poses.requires_grad:
        raise NotApplicable("its forward kinematics is not differentiable, which the interface leaves open")
    (gradient,) = torch.autograd.grad((poses * torch.from_numpy(weights)).sum(), variable)
    steps = STEP * np.eye(len(q))
    rise = frame_poses(subject, np.concatenate([q + steps, q - steps]))
    slope = (rise[: len(q)] - rise[len(q) :]) / (2 * STEP)  # (J, F, 4, 4)
    expected = np.einsum("kfij,nfij->kn", weights, slope)
    off = np.abs(gradient.numpy() - expected).max(axis=0) / np.maximum(np.abs(expected).max(axis=0), 1)
    if not (off <= 1e-5).all():
        joint = subject.spec.joints[int(off.argmax())].name
        raise Violation(f"the gradient with respect to joint {joint!r} is {100 * off.max():.3g} % off")
    return f"joints: {len(q)}, within {off.max(initial=0):.0e}"


@check("KIN009", "must", needs={*FK, "joints"}, mend="mind the order of q: left arm, right arm, left hand, right hand")
def joints_move_their_own_side(subject: Subject) -> str:
    """Every joint moves frames of its own side, and none of the other."""
    joints, frames = subject.spec.joints, subject.embodiment.frames
    q = judged(subject).q[2]
    nudged = q + np.diag([NUDGE[joint.unit] for joint in joints])
    moved = np.abs(_forward(subject, nudged) - _forward(subject, q)).max(axis=(-2, -1)) > 1e-7  # (J, F)
    parts = (
        *((arm.side, arm.joints) for arm in subject.spec.arms),
        *((h.side, h.actuated) for h in subject.spec.hands),
    )
    sides = [side for side, listed in parts for _ in listed]
    for joint, side, row in zip(joints, sides, moved, strict=True):
        reached = {frame.side for frame, moves in zip(frames, row, strict=True) if moves and frame.side}
        if not row.any():
            raise Violation(f"joint {joint.name!r} moves no frame of the {side} side")
        if not reached <= {side}:
            raise Violation(f"joint {joint.name!r} of the {side} side moves frames of the other side")
    return f"joints: {len(joints)}; frames that they move: {int(moved.any(0).sum())} of {len(frames)}"


@check("KIN010", "must", needs={"joints"}, mend="round a limit that does not fit the dtype towards the inside")
def clamp_lands_inside(subject: Subject) -> str:
    """Clamping lands inside the limits as they are written, and changes nothing that is inside."""
    joints, body = subject.spec.joints, subject.embodiment
    within = torch.from_numpy(configurations(joints, 16))
    for dtype in (torch.float32, torch.float64):
        for values in (sign * FAR * torch.ones(len(joints), dtype=dtype) for sign in (-1, 1)):
            given = values.clone()
            clamped = body.clamp(given)
            if not torch.equal(given, values):
                raise Violation(f"clamp changes the joint vector that it is given, in {dtype}")
            _inside(joints, clamped)
            if (clamped.double() - within[0 if values[0] < 0 else 1])[_limited(joints)].abs().max() > 1e-5:
                raise Violation(f"clamping {values[0]:g} in {dtype} does not end at the limits")
        inner = (0.98 * within + 0.02 * within.mean(0)).to(dtype)
        for before in (inner, body.clamp(FAR * inner)):
            changed = body.clamp(before.clone()) != before
            if changed.any():
                joint = joints[int(changed.nonzero()[0, 1])]
                raise Violation(f"clamping changes joint {joint.name!r}, which is inside its limits, in {dtype}")
    return f"joints: {len(joints)}, in float32 and float64"


@check("KIN011", "must", needs={"joints"}, mend="return the hands' open_pose with arms at zero, clamped")
def neutral_is_open(subject: Subject) -> str:
    """The neutral pose is the open pose of the hands with arms at zero, within the limits."""
    arms = [joint.clamp(0.0) for arm in subject.spec.arms for joint in arm.joints]
    hands = [
        value
        for hand in subject.spec.hands
        for value in hand.open_pose or [joint.clamp(0.0) for joint in hand.actuated]
    ]
    for dtype in (torch.float32, torch.float64):
        found = subject.embodiment.neutral(torch.zeros(0, dtype=dtype))
        if found.dtype != dtype or found.shape != (len(subject.spec.joints),):
            raise Violation(
                f"neutral is {found.dtype} of shape {tuple(found.shape)}, not {dtype} of one value per joint"
            )
        _inside(subject.spec.joints, found)
        off = np.abs(found.double().numpy() - [*arms, *hands])
        if not (off <= 1e-6).all():
            joint = subject.spec.joints[int(off.argmax())]
            value = float(found[int(off.argmax())])
            raise Violation(f"neutral has joint {joint.name!r} at {value:.6g} {joint.unit}, {off.max():.3g} off")
        before = found.clone()
        found += 1  # by a caller, who may
        again = subject.embodiment.neutral(torch.zeros(0, dtype=dtype)).clone()
        found.copy_(before)
        if not torch.equal(again, before):
            raise Violation("neutral gives a caller the tensor that it keeps: one who changes it changes everybody's")
    return f"joints: {len(subject.spec.joints)}"


@check(
    "KIN012",
    "must",
    needs={"wrist_from_arms"},
    mend="return tip of the arm . T_tip_root . T_root_wrist, left first, as (*b, sides, 4, 4)",
)
def wrists_hang_on_arms(subject: Subject) -> str:
    """A wrist pose is the arm's tip times the hand's mount times the hand's canonical wrist frame."""
    q = judged(subject).q
    expected = np.stack([NumpyBody(subject.spec).wrists(one) for one in q])
    found = subject.embodiment.wrist_poses(torch.from_numpy(q)).numpy()
    if found.shape != expected.shape:
        raise Violation(f"wrist_poses of {len(q)} vectors has shape {found.shape}, not {expected.shape}")
    off = np.abs(found - expected).max(axis=(0, 2, 3))
    if not (off <= EXACT_M).all():
        side = subject.spec.hands[int(off.argmax())].side
        raise Violation(f"the {side} wrist is up to {off.max():.3g} (m, or 1 in its rotation) off")
    _keeps_dtype_and_shape(subject.embodiment.wrist_poses, q.shape[-1], len(subject.spec.hands))
    boxed = subject.embodiment.wrist_poses(torch.from_numpy(q[:6].reshape(2, 3, -1))).numpy()
    if not np.abs(boxed.reshape(found[:6].shape) - found[:6]).max() <= EXACT_M:
        raise Violation("wrist_poses of a batch of shape (2, 3) differ from those of the same vectors in one row")
    return f"within {off.max():.0e} at {len(q)} configurations"


@check("KIN013", "must", needs=FK, mend="the URDF's lengths are metres: look for millimetres or centimetres in origins")
def hands_have_a_plausible_size(subject: Subject) -> str:
    """Every frame of a hand is within a metre of its root, and the farthest more than a centimetre away."""
    figures = []
    for hand in subject.spec.hands:
        names = [joint.name for joint in hand.actuated]
        poses = subject.oracles[hand.side].poses(dict(zip(names, hand.open_pose or [0.0] * len(names), strict=True)))
        reach = {link: float(np.linalg.norm(pose[:3, 3])) for link, pose in poses.items()}
        link = max(reach, key=reach.__getitem__)
        if not HAND_REACH_M[0] <= reach[link] <= HAND_REACH_M[1]:
            raise Violation(
                f"{hand.side} hand: its farthest link {link!r} is {reach[link]:.4g} m from root {hand.root!r}"
            )
        figures.append(f"{hand.side} {1e3 * reach[link]:.0f} mm")
    return ", ".join(figures)


@check(
    "KIN014", "must", needs={*FK, "both_hands"}, mend="flip the sign of the named joint in mirror_signs of both hands"
)
def hands_mirror(subject: Subject) -> str:
    """With mirror_signs, the left hand's finger frames are the mirror image of the right hand's in the wrist frame."""
    left, right = subject.spec.hands
    if not (left.mirror_signs or right.mirror_signs):
        raise NotApplicable("neither hand states mirror_signs: left and right differ")
    if left.mirror_signs != right.mirror_signs:
        raise Violation(f"mirror_signs are {left.mirror_signs} in the left hand and {right.mirror_signs} in the right")
    mirror = Mirror(left, right, subject.oracles["left"], subject.oracles["right"])
    if not mirror.frames:
        raise NotApplicable("no frames of the two hands follow the same keypoints")
    frame, off = mirror.farthest()
    if off > MIRRORED_M:
        raise Violation(f"the left hand's {frame!r} is {1e3 * off:.3g} mm from where the mirrored right hand has it")
    worse = mirror.better_flipped()
    if worse:
        raise Violation(f"joint {worse!r} of the right hand mirrors better with the other sign")
    return f"finger frames within {1e3 * off:.2g} mm"


def _forward(subject: Subject, q: Array, dtype: torch.dtype = torch.float64) -> Array:
    """Return the body's own poses for ``q (*b, J)`` as float64."""
    with torch.no_grad():
        poses: Array = subject.embodiment.forward_kinematics(torch.from_numpy(q).to(dtype)).double().numpy()
    return poses


def _keeps_dtype_and_shape(poses: Callable[[Tensor], Tensor], joints: int, count: int) -> None:
    """Refuse a function from ``q (*b, J)`` to anything else than ``(*b, count, 4, 4)`` of the same dtype."""
    for dtype in (torch.float32, torch.float64):
        for batch in ((), (3,), (2, 3), (0,), (2, 0)):
            asked = f"q {dtype} of shape {(*batch, joints)}"
            try:
                found = poses(torch.zeros(*batch, joints, dtype=dtype))
            except Exception as error:
                raise Violation(f"{asked} raises {type(error).__name__}: {error}") from error
            if found.dtype != dtype or found.shape != (*batch, count, 4, 4):
                got = f"{found.dtype} of shape {tuple(found.shape)}"
                raise Violation(f"{asked} gives {got}, not {(*batch, count, 4, 4)}")


def _same_poses(subject: Subject, found: Array, truth: Array, tolerance: float, at_place: str = "") -> None:
    """Refuse poses ``(N, F, 4, 4)`` that differ, and say of the first frame that does by how much."""
    if found.shape != truth.shape:
        raise Violation(f"{len(truth)} joint vectors give poses of shape {found.shape}, not {truth.shape}")
    off = np.nan_to_num(np.abs(found - truth), nan=np.inf).max(axis=(-2, -1), initial=0)  # (N, F)
    wrong = off.max(axis=0) > tolerance
    if not wrong.any():
        return
    index = int(wrong.argmax())
    at = int(off[:, index].argmax())
    frame = subject.embodiment.frames[index]
    distance = float(np.linalg.norm(found[at, index, :3, 3] - truth[at, index, :3, 3]))
    chord = np.linalg.norm(found[at, index, :3, :3] - truth[at, index, :3, :3])
    turn = float(np.rad2deg(2 * np.arcsin(np.clip(chord / np.sqrt(8), 0, 1))))
    corners = {0: "with all joints at their lower limits", 1: "with all joints at their upper limits"}
    where = at_place or corners.get(at, f"at configuration {at}")
    raise Violation(
        f"link {frame.name!r} ({frame.side}) is {1e3 * distance:.3g} mm and {turn:.3g} deg off "
        f"{where}; {int(wrong.sum())} of {len(wrong)} frames are off"
    )


def _inside(joints: Sequence[JointSpec], values: Tensor) -> None:
    for joint, value in zip(joints, values.double().tolist(), strict=True):
        if joint.clamp(value) != value:
            limits = f"{joint.lower}..{joint.upper} {joint.unit}"
            raise Violation(f"joint {joint.name!r} is at {value!r} in {values.dtype}, beyond its limits {limits}")


def _limited(joints: Sequence[JointSpec]) -> list[bool]:
    return [joint.lower is not None for joint in joints]
