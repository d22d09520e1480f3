"""Two vendor files, left and right: one hand space, and the signs by which one hand mirrors the other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.errors import SpecError, did_you_mean
from egoscale_sdk.scaffold.draft import HandDraft
from egoscale_sdk.scaffold.guess import Guess
from egoscale_sdk.scaffold.rename import rename_hand, rename_in
from egoscale_sdk.specs import HandSpec
from egoscale_sdk.testing.numpy_fk import NumpyKinematics

MIRRORED_M = 0.015  # makers' left and right hands differ by a centimetre at a thumb's tip
_ALIKE_M = 2e-3
_PROOFS = 16
_FLIP = np.array([1.0, -1.0, 1.0])


def pair_hands(left: HandDraft, right: HandDraft) -> tuple[HandDraft, HandDraft]:
    """Bring two drafts to one hand space: the right hand's columns; and find ``q_left = signs * q_right``.

    Joint names that both files use get their side in front. Where the left hand is the mirror image of the right one to
    15 mm, both state ``mirror_signs`` and the left one takes the mirrored open pose; elsewhere neither does.

    Returns:
        Left and right.

    Raises:
        SpecError: the files do not describe a left and a right hand with the same joints.
    """
    if (left.hand.side, right.hand.side) != ("left", "right"):
        raise SpecError(f"a pair is a left and a right hand, not {left.hand.side} and {right.hand.side}")
    one, other = _ordered_as(left.hand, right.hand), right.hand
    if {joint.name for joint in one.joints} & {joint.name for joint in other.joints}:
        left, right = (_renamed(draft) for draft in (replace(left, hand=one), right))
        one, other = left.hand, right.hand
    signs = _signs(one, other)
    frame, off = _farthest(one, other, signs)
    if off > MIRRORED_M:
        how = f"{frame!r} is {1e3 * off:.1f} mm from the mirror image of the right hand's at best"
        guess = Guess("both hands", "left and right are no mirror images", how)
        return HandDraft(one, (*left.guesses, guess), left.questions), HandDraft(other, right.guesses, right.questions)
    update = {"mirror_signs": tuple(float(sign) for sign in signs)}
    pose = tuple(
        joint.clamp(float(sign) * value) + 0.0
        for joint, sign, value in zip(one.actuated, signs, other.open_pose, strict=True)
    )
    flipped = [column.name for column, sign in zip(other.hand_space.columns, signs, strict=True) if sign < 0]
    value = f"the same joint vector, but for {', '.join(flipped)} with the other sign" if flipped else "the same vector"
    guess = Guess("both hands", value, f"then finger frames mirror each other to {1e3 * off:.2g} mm", off < _ALIKE_M)
    one, other = one.model_copy(update={**update, "open_pose": pose}), other.model_copy(update=update)
    return HandDraft(one, (*left.guesses, guess), left.questions), HandDraft(other, right.guesses, right.questions)


def _ordered_as(left: HandSpec, right: HandSpec) -> HandSpec:
    """The left hand with its driven joints in the right one's order."""
    columns = [column.name for column in left.hand_space.columns]
    wanted = [column.name for column in right.hand_space.columns]
    for name in wanted:
        if name not in columns:
            problem = f"the right hand's joint {name!r} has no counterpart in the left hand"
            raise SpecError(problem, allowed=columns, hint=did_you_mean(name, columns))
    if len(columns) != len(wanted):
        extra = next(name for name in columns if name not in wanted)
        raise SpecError(f"the left hand's joint {extra!r} has no counterpart in the right hand", allowed=wanted)
    order = [columns.index(name) for name in wanted]
    driven = [left.actuated[index] for index in order]
    for joint, column in zip(driven, right.hand_space.columns, strict=True):
        if joint.unit != column.unit:
            raise SpecError(f"joint {joint.name!r} counts in {joint.unit}, the right hand's {column.name!r} does not")
    joints = (*driven, *(joint for joint in left.joints if joint.mimic is not None))
    pose = tuple(left.open_pose[index] for index in order)
    return left.model_copy(update={"hand_space": right.hand_space, "joints": joints, "open_pose": pose})


def _renamed(draft: HandDraft) -> HandDraft:
    """The draft with its side before every name."""
    hand = draft.hand
    assert hand.tree is not None, "a drafted hand has a tree"
    names = {*hand.tree.links, *(joint.name for joint in hand.tree.joints)}
    new = {name: f"{hand.side}_{name}" for name in names}
    return replace(draft, hand=rename_hand(hand, new), questions=rename_in(draft.questions, new))


def _signs(left: HandSpec, right: HandSpec) -> NDArray[np.float64]:
    """Per joint the sign that mirrors best when it moves alone, the others where they are nearest to zero."""
    rest = np.array([joint.clamp(0.0) for joint in right.actuated])
    other_rest = np.array([joint.clamp(0.0) for joint in left.actuated])
    signs = np.ones(len(rest))
    for index, joint in enumerate(right.actuated):
        lower, upper = joint.lower or -1.0, joint.upper or 1.0
        moved = rest.copy()
        moved[index] = upper if abs(upper) >= abs(lower) else lower
        wanted = _FLIP * _points(right, moved)
        off = []
        for sign in (1.0, -1.0):
            there = other_rest.copy()
            there[index] = sign * moved[index]
            off.append(float(np.linalg.norm(_points(left, there) - wanted)))
        signs[index] = -1.0 if off[1] < off[0] - 1e-6 else 1.0
    return signs


def _farthest(left: HandSpec, right: HandSpec, signs: NDArray[np.float64]) -> tuple[str, float]:
    """The left frame that is farthest from the mirror image at random joint vectors, and how far, metres."""
    rng = np.random.default_rng(0)
    frames = [target.frame for finger in left.fingers for target in finger.frames]
    if len(frames) != sum(len(finger.frames) for finger in right.fingers):
        return frames[0], np.inf
    bounds = [(-np.pi, np.pi) if j.lower is None or j.upper is None else (j.lower, j.upper) for j in right.actuated]
    off = np.zeros(len(frames))
    for _ in range(_PROOFS):
        q = np.array([rng.uniform(*bound) for bound in bounds])
        gaps = np.linalg.norm(_points(left, signs * q) - _FLIP * _points(right, q), axis=-1)
        off = np.maximum(off, gaps)
    return frames[int(off.argmax())], float(off.max())


def _points(hand: HandSpec, q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Origins of the finger frames in the hand's wrist frame, ``(F, 3)`` metres."""
    assert hand.tree is not None, "a drafted hand has a tree"
    values = {joint.name: float(value) for joint, value in zip(hand.actuated, q, strict=True)}
    poses = NumpyKinematics(hand.tree, hand.joints, hand.root).poses(values)
    into = np.linalg.inv(hand.T_root_wrist.matrix())
    return np.array([(into @ poses[target.frame])[:3, 3] for finger in hand.fingers for target in finger.frames])
