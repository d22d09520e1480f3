"""What a hand touches with: capsules and boxes from a URDF's shapes, else from the lengths of its links."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.scaffold.guess import Guess
from egoscale_sdk.scaffold.model import Link, VendorModel
from egoscale_sdk.scaffold.posture import Pose, Posture
from egoscale_sdk.scaffold.shapes import Shape
from egoscale_sdk.scaffold.tips import Finger
from egoscale_sdk.specs import BodySpec, PoseSpec

Vector = NDArray[np.float64]
_LEAST_M = 1e-3  # half of the least side of a box, and the least radius
_SHORT_M = 0.005  # a link shorter than this has no body of its own
_SLENDER = 1.5  # a mesh this much longer than wide becomes a capsule
_RADIUS_SHARE, _RADII_M = 0.3, (0.005, 0.01)  # of a phalanx whose file has no shape
_PALM_LENGTH_M, _PALM_HALF_THICKNESS_M, _PALM_MARGIN_M = 0.07, 0.013, 0.01
_PAD_HALF_M = (0.006, 0.01, 0.015)  # a pad without shape: along the opening, across, along the finger
_SQUARE = np.cos(np.radians(15))


def hand_bodies(
    model: VendorModel, posture: Posture, palm: str, wrist: PoseSpec, q_open: Pose, *, pads: bool
) -> tuple[tuple[BodySpec, ...], tuple[Guess, ...]]:
    """Make the bodies of every link of a hand.

    Args:
        model: The file, for shapes and centres of mass.
        posture: The hand's fingers and their tips.
        palm: The link from which they branch.
        wrist: ``T_root_wrist``: its axes say where a palm or a pad looks.
        q_open: Driven joints of the open hand, by name.
        pads: Whether last links are pads of a gripper, whose inner faces are at their tips.
    """
    found = {link: list(_from_shapes(link, model.links[link])) for link in posture.tree.links if link in model.links}
    read = [link for link, bodies in found.items() if bodies]
    made: dict[str, list[BodySpec]] = {}
    for finger in posture.fingers:
        for link, end in _segments(finger):
            if not found.get(link) and link not in made and np.linalg.norm(end) >= _SHORT_M:
                flat = pads and link == finger.chain.last
                made[link] = [_pad(posture, finger, wrist, q_open) if flat else _phalanx(link, end)]
    for link in _bare_ends(posture, {*read, *made}):
        made[link] = [_rod(model.links.get(link, Link()), link)]
    if not any(found.get(link) for link in _rigid_with_root(posture)):
        made[palm] = _palm_bodies(posture, palm, wrist, q_open, pads)
    bodies = [body for link in posture.tree.links for body in (found.get(link) or made.get(link, []))]
    lost = [why for link in posture.tree.links if link in model.links for why in _lost(model.links[link])]
    return tuple(bodies), _guesses(read, list(made), list(dict.fromkeys(lost)))


def _lost(part: Link) -> list[str]:
    return [why for shape in part.shapes if (why := shape.lost())]


def _from_shapes(link: str, part: Link) -> Iterator[BodySpec]:
    for shape in part.shapes:
        points = shape.points()
        if len(points) and np.ptp(points, axis=0).max() > 2 * _LEAST_M:
            yield _around(link, points) if shape.kind == "mesh" else _primitive(link, shape)


def _primitive(link: str, shape: Shape) -> BodySpec:
    R, centre = shape.pose[:3, :3], shape.pose[:3, 3]
    if shape.kind == "box":
        turned = np.abs(R)
        if np.all(turned.max(axis=0) > np.cos(np.radians(2))):
            return box(link, centre, turned.round() @ shape.size)
        longest = int(np.argmax(shape.size))
        radius = float(np.sqrt(np.prod(np.delete(np.array(shape.size), longest))))
        return capsule(link, centre, R[:, longest] * (shape.size[longest] - radius), radius)
    radius = shape.size[0]
    half = shape.size[1] / 2 if len(shape.size) > 1 else 0.0
    if shape.kind == "cylinder" and half < radius:
        square = radius * np.sqrt(np.pi) / 2  # of the same area as the disc
        return _primitive(link, Shape("box", shape.pose, (square, square, half)))
    return capsule(link, centre, R[:, 2] * (half - radius if shape.kind == "cylinder" else half), radius)


def _around(link: str, points: Vector) -> BodySpec:
    """A capsule around slender points, a box around others."""
    half, centre = np.ptp(points, axis=0) / 2, (points.min(0) + points.max(0)) / 2
    longest = int(np.argmax(half))
    radius = float(np.delete(half, longest).mean())
    if half[longest] < _SLENDER * radius:
        return box(link, centre, half)
    return capsule(link, centre, np.eye(3)[longest] * (half[longest] - radius), radius)


def box(link: str, centre: Vector, half: Vector) -> BodySpec:
    """A box in the link's axes, not thinner than 2 mm."""
    sides = np.maximum(np.abs(half), _LEAST_M)
    return BodySpec(link=link, kind="box", center_m=_rounded(centre), half_extent_m=_rounded(sides))


def capsule(link: str, centre: Vector, half: Vector, radius: float) -> BodySpec:
    """A capsule around ``centre +- half``; never a ball, which has no axis."""
    if np.linalg.norm(half) < _LEAST_M / 2:
        half = np.array([0.0, 0.0, _LEAST_M / 2])
    ends = {"from_m": _rounded(centre - half), "to_m": _rounded(centre + half)}
    return BodySpec(link=link, kind="capsule", radius_m=round(max(radius, _LEAST_M), 6), **ends)


def _segments(finger: Finger) -> Iterator[tuple[str, Vector]]:
    """Links of a finger with the point in their frame at which the next one starts, or the tip."""
    joints = finger.chain.joints
    for joint, after in pairwise(joints):
        yield joint.child, np.asarray(after.xyz_m)
    yield finger.chain.last, finger.tip_m


def _phalanx(link: str, end: Vector) -> BodySpec:
    length = float(np.linalg.norm(end))
    radius = float(np.clip(_RADIUS_SHARE * length, *_RADII_M))
    stop = end * max(0.5, 1 - radius / length)  # the cap ends near the next joint
    return capsule(link, stop / 2, stop / 2, radius)


def _rod(part: Link, link: str) -> BodySpec:
    """A thin capsule for a moving link that nothing else tells of: without any mass it could not be simulated."""
    centre = np.zeros(3) if part.centre_m is None else part.centre_m
    return capsule(link, centre, centre, 0.004)


def _bare_ends(posture: Posture, covered: set[str]) -> list[str]:
    """Moving links without a body on themselves or on anything below them."""
    below = set(covered)
    for joint in reversed(posture.kinematics.ordered):
        if joint.child in below:
            below.add(joint.parent)
    ends: list[str] = []
    for joint in reversed(posture.kinematics.ordered):
        if joint.kind != "fixed" and joint.child not in below:
            ends.append(joint.child)
            below |= {joint.child, joint.parent}
    return ends


def _rigid_with_root(posture: Posture) -> set[str]:
    rigid = {posture.tree.root}
    for joint in posture.kinematics.ordered:
        if joint.kind == "fixed" and joint.parent in rigid:
            rigid.add(joint.child)
    return rigid


def _palm_bodies(posture: Posture, palm: str, wrist: PoseSpec, q_open: Pose, pads: bool) -> list[BodySpec]:
    """A box behind the fingers' bases, or capsules to them where the palm's frame is askew."""
    poses = posture.kinematics.poses(q_open)
    R = poses[palm][:3, :3].T @ wrist.matrix()[:3, :3]  # the wrist's axes in the palm
    bases = np.stack([poses[finger.chain.movable[0].child][:3, 3] for finger in posture.fingers])
    spread = np.concatenate([bases, posture.tips(q_open)]) if pads else bases
    seen, wide = ((points - poses[palm][:3, 3]) @ wrist.matrix()[:3, :3] for points in (bases, spread))
    low, high = wide.min(0) - _PALM_MARGIN_M, wide.max(0) + _PALM_MARGIN_M
    high[2] = seen[:, 2].max()
    low[2] = min(seen[:, 2].min() - _PALM_MARGIN_M, high[2] - _PALM_LENGTH_M)
    thin = 1 if pads else 0  # fingers open across the palm, a gripper's along x
    middle = float(np.median(seen[:, thin]))
    low[thin], high[thin] = middle - _PALM_HALF_THICKNESS_M, middle + _PALM_HALF_THICKNESS_M
    centre, half = (low + high) / 2, (high - low) / 2
    if np.all(np.abs(R).max(axis=0) > _SQUARE):
        turn = np.round(R)
        return [box(palm, turn @ centre, np.abs(turn) @ half)]
    start = R @ np.array([centre[0], centre[1], low[2]])
    ends = [R @ np.array([centre[0], *point[1:]]) for point in seen]
    return [capsule(palm, (start + end) / 2, (end - start) / 2, _PALM_MARGIN_M) for end in ends]


def _pad(posture: Posture, finger: Finger, wrist: PoseSpec, q_open: Pose) -> BodySpec:
    """A box behind the pad, or a capsule where its link's frame is askew to the opening."""
    poses, tips = posture.kinematics.poses(q_open), posture.tips(q_open)
    number = posture.fingers.index(finger)
    R = poses[finger.chain.last][:3, :3].T @ wrist.matrix()[:3, :3]
    away = tips[number] - np.delete(tips, number, axis=0).mean(0)
    outward = R[:, 0] * (1.0 if away @ wrist.matrix()[:3, 0] >= 0 else -1.0)
    if np.all(np.abs(R).max(axis=0) > _SQUARE):
        turn = np.round(R)
        return box(finger.chain.last, finger.tip_m + outward * _PAD_HALF_M[0], np.abs(turn) @ np.array(_PAD_HALF_M))
    centre = finger.tip_m + outward * _PAD_HALF_M[1]
    return capsule(finger.chain.last, centre, R[:, 2] * _PAD_HALF_M[2], _PAD_HALF_M[1])


def _guesses(read: Sequence[str], made: Sequence[str], lost: Sequence[str]) -> tuple[Guess, ...]:
    how = f"the file has shapes of {len(read)} links"
    if made:
        how = f"{how}, and none of {len(made)} other{'s' if len(made) > 1 else ''}"
    if lost:
        more = f" (and {len(lost) - 1} more like it)" if len(lost) > 1 else ""
        how = f"{how}; {lost[0]}{more}"
    if not made:
        return (Guess("bodies", f"{len(read)} links", how, sure=not lost),)
    names = made[0] if len(made) == 1 else f"{made[0]} .. {made[-1]}"
    return (Guess("bodies", f"{names} by their lengths", how),)


def _rounded(point: Vector) -> tuple[float, float, float]:
    x, y, z = (round(float(value), 6) + 0.0 for value in point)
    return x, y, z
