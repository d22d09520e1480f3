"""A hand as padded finger chains: every finger the same number of steps, variables and followed frames.

Padding lets one unrolled program serve all fingers of all frames at once. A hand whose fingers do not fit (they share a
joint, or a finger branches) has no such form and is solved by `dense` instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.geometry import inverse_pose, make_pose, rotation_from_rpy
from egoscale_sdk.kinematics.mimic import joint_coupling
from egoscale_sdk.retargeting.quality import thumb_first
from egoscale_sdk.specs import FingerSpec, HandSpec, TreeJoint

Floats = NDArray[Any]

ROUNDED = 1e-5  # published angles such as 1.5708 mean a right angle; the frames move by less than a micrometre
DECIMALS = 6  # of lengths in metres: left and right hands are published with different roundings below it
MIRROR = np.diag([1.0, -1.0, 1.0, 1.0])
LEVER_M = 0.05  # a prismatic variable counts in units of this length, so that one unit moves a tip like one radian


@dataclass(frozen=True)
class Move:
    """One joint on the way from the wrist frame to a frame: a constant pose, then a motion about or along local z."""

    name: str
    sign: float  # -1 where the way leads against the joint, from child to parent
    prismatic: bool
    T: Floats  # (4, 4), from the previous move to this one


@dataclass(frozen=True)
class Path:
    """The way from the wrist frame to one frame; ``tail_m`` is its place in the frame of the last move."""

    moves: tuple[Move, ...]
    tail_m: Floats  # (3,)


@dataclass(frozen=True)
class Chains:
    r"""Fingers as chains, the thumb first; F fingers, M steps, K variables, P frames (slots), all padded in front.

    Step m of a finger turns by ``theta_m = lead[m] @ u + offset[m]`` about (or slides along) local z:

    .. math:: o_m = o_{m-1} + R_{m-1} t_m, \quad R_m = R_{m-1} C_m R_z(\theta_m), \quad p_k = o_{m(k)} + R_{m(k)} c_k

    Attributes:
        thumb: Whether finger 0 is a thumb.
        columns: ``(K, F)`` joint that each variable is, -1 for padding.
        scale: ``(K, F)`` joint value per unit of its variable.
        turn: ``(M, 3, 3, F)`` the matrices C.
        shift: ``(M, 3, F)`` the translations t, metres.
        slides: ``(M, F)`` 1 where a step is prismatic.
        lead: ``(M, K, F)``.
        offset: ``(M, F)``.
        at: ``(P, F)`` step that carries a frame, -1 for the wrist frame itself.
        place: ``(P, 3, F)`` the places c, metres.
    """

    thumb: bool
    columns: NDArray[np.int64]
    scale: Floats
    turn: Floats
    shift: Floats
    slides: Floats
    lead: Floats
    offset: Floats
    at: NDArray[np.int64]
    place: Floats


def padded_chains(hand: HandSpec) -> Chains | None:
    """Lay a hand out as chains in the wrist frame of a right hand (a left one is mirrored); None if it does not fit."""
    fingers = thumb_first(hand)
    paths = [[frame_path(hand, target.frame) for target in finger.frames] for finger in fingers]
    longest = [max(own, key=lambda path: len(path.moves)) for own in paths]
    for own, whole in zip(paths, longest, strict=True):
        if any(_names(path.moves) != _names(whole.moves)[: len(path.moves)] for path in own):
            return None
    drives = [leaders(hand, path.moves) for path in longest]
    used = [sorted({column for column, _, _ in own if column >= 0}) for own in drives]
    if len({column for own in used for column in own}) < sum(map(len, used)):
        return None
    return _pad(hand, fingers, paths, longest, drives)


def frame_path(hand: HandSpec, frame: str) -> Path:
    """Return the way from the canonical wrist frame to a frame of the hand, mirrored for a left hand."""
    up, down = _ancestry(hand, hand.root), _ancestry(hand, frame)
    while up and down and up[-1] is down[-1]:
        up, down = up[:-1], down[:-1]
    T, moves = inverse_pose(hand.T_root_wrist.matrix()), []
    for joint, sign in [*((joint, -1.0) for joint in up), *((joint, 1.0) for joint in reversed(down))]:
        fixed = make_pose(rotation_from_rpy(joint.rpy_rad), joint.xyz_m)
        T = T @ fixed if sign > 0 else T
        if joint.kind != "fixed":
            turn = _z_to(np.asarray(joint.axis, float))
            moves.append((joint, sign, T @ turn))
            T = turn.T
        T = T if sign > 0 else T @ inverse_pose(fixed)
    made = [_move(hand, *move) for move in moves]
    return Path(tuple(made), _rounded(_mirrored(hand, T))[:3, 3])


def _move(hand: HandSpec, joint: TreeJoint, sign: float, T: Floats) -> Move:
    # A mirrored turn about z goes the other way round; a mirrored slide does not.
    prismatic = joint.kind == "prismatic"
    flip = -1.0 if hand.side == "left" and not prismatic else 1.0
    return Move(joint.name, sign * flip, prismatic, _rounded(_mirrored(hand, T)))


def _mirrored(hand: HandSpec, T: Floats) -> Floats:
    return MIRROR @ T @ MIRROR if hand.side == "left" else T


def _rounded(T: Floats) -> Floats:
    R = T[:3, :3]
    nearest = np.where(np.abs(R - np.round(R)) < ROUNDED, np.round(R), R)
    return make_pose(nearest, np.round(T[:3, 3], DECIMALS) + 0.0)


def _ancestry(hand: HandSpec, link: str) -> list[TreeJoint]:
    """Joints from a link up to the root of the tree."""
    assert hand.tree is not None
    found = []
    joint = hand.tree.parent_joint(link)
    while joint is not None:
        found.append(joint)
        joint = hand.tree.parent_joint(joint.parent)
    return found


def _z_to(axis: Floats) -> Floats:
    """Rotation ``(4, 4)`` that takes z to an axis."""
    z = axis / np.linalg.norm(axis)
    side = np.eye(3)[int(np.argmin(np.abs(z)))]
    x = np.cross(side, z) if abs(z[2]) < 1 - 1e-12 else np.array([1.0, 0.0, 0.0])
    x = x / np.linalg.norm(x)
    return make_pose(np.stack([x, np.cross(z, x), z], axis=-1), np.zeros(3))


def _names(moves: Sequence[Move]) -> list[tuple[str, float]]:
    return [(move.name, move.sign) for move in moves]


def leaders(hand: HandSpec, moves: Sequence[Move]) -> list[tuple[int, float, float]]:
    """Per move the joint that leads it (-1: none), and ``theta = multiplier q + offset``."""
    assert hand.tree is not None
    A, b = (part.numpy() for part in joint_coupling(hand.tree, hand.joints, [move.name for move in moves]))
    lead = [int(np.argmax(np.abs(row))) if row.any() else -1 for row in A]
    return [
        (column, move.sign * row[column] if column >= 0 else 0.0, move.sign * offset)
        for column, move, row, offset in zip(lead, moves, A, b, strict=True)
    ]


def _pad(
    hand: HandSpec,
    fingers: Sequence[FingerSpec],
    paths: list[list[Path]],
    longest: list[Path],
    drives: list[list[tuple[int, float, float]]],
) -> Chains:
    own = [list(dict.fromkeys(column for column, _, _ in drive if column >= 0)) for drive in drives]
    F, M = len(fingers), max(1, *(len(path.moves) for path in longest))
    K, P = max(1, *map(len, own)), max(len(finger.frames) for finger in fingers)
    made = Chains(
        thumb=fingers[0].role == "thumb",
        columns=np.full((K, F), -1),
        scale=np.ones((K, F)),
        turn=np.broadcast_to(np.eye(3)[None, :, :, None], (M, 3, 3, F)).copy(),
        shift=np.zeros((M, 3, F)),
        slides=np.zeros((M, F)),
        lead=np.zeros((M, K, F)),
        offset=np.zeros((M, F)),
        at=np.full((P, F), -1),
        place=np.zeros((P, 3, F)),
    )
    units = np.array([LEVER_M if joint.unit == "m" else 1.0 for joint in hand.actuated])
    for f in range(F):
        _fill_steps(made, f, longest[f], drives[f], own[f], units)
        _fill_frames(made, f, paths[f], longest[f])
    return made


def _fill_steps(
    made: Chains, f: int, path: Path, drive: list[tuple[int, float, float]], own: list[int], units: Floats
) -> None:
    first_step, first = len(made.shift) - len(path.moves), len(made.columns) - len(own)
    made.columns[first:, f], made.scale[first:, f] = own, units[own]
    for m, (move, (column, multiplier, offset)) in enumerate(zip(path.moves, drive, strict=True), start=first_step):
        made.turn[m, :, :, f], made.shift[m, :, f] = move.T[:3, :3], move.T[:3, 3]
        made.slides[m, f], made.offset[m, f] = float(move.prismatic), offset
        if column >= 0:
            made.lead[m, first + own.index(column), f] = multiplier * units[column]


def _fill_frames(made: Chains, f: int, paths: list[Path], whole: Path) -> None:
    """Tips share the last slot; the base fills the slots in front."""
    P, first = len(made.at), len(made.shift) - len(whole.moves)
    padded = [paths[0]] * (P - len(paths)) + paths
    for slot, path in enumerate(padded):
        step, place = _settle(path)
        made.at[slot, f], made.place[slot, :, f] = first + step if step >= 0 else -1, place


def _settle(path: Path) -> tuple[int, Floats]:
    """Hang a frame on the innermost move that carries it: a place on an axis of rotation does not turn with it."""
    step, place = len(path.moves) - 1, path.tail_m
    while step >= 0 and not path.moves[step].prismatic and not place[:2].any():
        T = path.moves[step].T
        place = T[:3, :3] @ place + T[:3, 3]
        step -= 1
    return step, place
