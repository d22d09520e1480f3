"""Fingertips: the frame that a URDF gives, or one that is estimated from shapes, masses or lengths."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.geometry import transform_points
from egoscale_sdk.scaffold.fingers import Chain, FoundHand
from egoscale_sdk.scaffold.guess import Guess
from egoscale_sdk.scaffold.model import VendorModel
from egoscale_sdk.scaffold.words import words
from egoscale_sdk.specs import KinematicTree, TreeJoint
from egoscale_sdk.testing.numpy_fk import NumpyKinematics

Vector = NDArray[np.float64]
_LEAST_M = 0.005  # nearer to its joint no frame is a tip
_LAST_SHARE = 0.8  # of the phalanx before it: about the proportion of human fingers
_FAR_END = 0.15  # of a shape's length: where its tip is


@dataclass(frozen=True)
class Finger:
    """A chain and its tip: ``tip_m (3,)`` in the frame of the chain's last link.

    ``estimate`` says how the tip was estimated, and is empty where the file has a frame there; ``on_face`` says that it
    is on the inner face of the last link's shapes, as a gripper's pad is.
    """

    chain: Chain
    tip: str
    tip_m: Vector
    estimate: str = ""
    on_face: bool = False


def find_tips(model: VendorModel, found: FoundHand) -> tuple[Finger, ...]:
    """Give every chain of a hand its tip."""
    poses = NumpyKinematics(found.tree).poses({})
    taken = set(found.tree.links)
    return tuple(_finger(model, found, chain, poses, taken) for chain in found.chains)


def tree_with_tips(tree: KinematicTree, fingers: Sequence[Finger]) -> KinematicTree:
    """Add the estimated tips as links on fixed joints."""
    added = tuple(
        TreeJoint(
            name=f"{finger.tip}_joint",
            kind="fixed",
            parent=finger.chain.last,
            child=finger.tip,
            xyz_m=tuple(round(float(value), 6) for value in finger.tip_m),
        )
        for finger in fingers
        if finger.estimate
    )
    return KinematicTree(root=tree.root, joints=(*tree.joints, *added))


def tip_guesses(fingers: Sequence[Finger]) -> tuple[Guess, ...]:
    """Say which tips are estimates."""
    return tuple(
        Guess(f"tip of {finger.chain.name}", f"{finger.tip}: {_millimetres(finger.tip_m)}", finger.estimate)
        for finger in fingers
        if finger.estimate
    )


def link_points(model: VendorModel, tree: KinematicTree, link: str) -> Vector:
    """Points ``(N, 3)`` of the shapes of a link and of all that is fixed to it, in the link's frame."""
    parts = [_shape_points(model, link)]
    parts += [
        np.asarray(transform_points(pose, _shape_points(model, child)), np.float64)
        for child, pose in fixed_below(tree, link)
    ]
    return np.concatenate(parts)


def fixed_below(tree: KinematicTree, link: str) -> Iterator[tuple[str, Vector]]:
    """Links that are fixed to a link, with their poses in its frame."""
    rigid = [joint for joint in tree.joints if joint.kind == "fixed"]
    poses = NumpyKinematics(KinematicTree(root=link, joints=tuple(_reached(link, rigid)))).poses({})
    del poses[link]
    yield from poses.items()


def _reached(link: str, joints: Sequence[TreeJoint]) -> list[TreeJoint]:
    below = [joint for joint in joints if joint.parent == link]
    return [deeper for joint in below for deeper in (joint, *_reached(joint.child, joints))]


def _shape_points(model: VendorModel, link: str) -> Vector:
    shapes = model.links[link].shapes if link in model.links else ()
    return np.concatenate([np.zeros((0, 3)), *(shape.points() for shape in shapes)])


def _finger(model: VendorModel, found: FoundHand, chain: Chain, poses: dict[str, Vector], taken: set[str]) -> Finger:
    before = _bone_before(chain, poses)
    frames = {link: pose[:3, 3] for link, pose in fixed_below(found.tree, chain.last)}
    least = max(_LEAST_M, 0.3 * float(np.linalg.norm(before)))
    named = {link: at for link, at in frames.items() if {"tip", "fingertip", "pad"} & set(words(link))}
    for group, shortest in ((named, _LEAST_M), (frames, least)):
        far = {link: at for link, at in group.items() if np.linalg.norm(at) >= shortest}
        if far:
            link = max(far, key=lambda name: float(np.linalg.norm(far[name])))
            return Finger(chain, link, far[link])
    at, how = _estimated(model, found.tree, chain, before)
    name = next(name for name in _names(f"{chain.last}_tip") if name not in taken)
    taken.add(name)
    return Finger(chain, name, at, how)


def _names(stem: str) -> Iterator[str]:
    yield stem
    yield from (f"{stem}_{number}" for number in range(2, 1000))


def _bone_before(chain: Chain, poses: dict[str, Vector]) -> Vector:
    """The last bone between two joints that are apart, in the frame of the last link; zero if there is none."""
    T_root_last = poses[chain.last]
    for joint in reversed(chain.movable[:-1]):
        bone = T_root_last[:3, 3] - poses[joint.child][:3, 3]
        if np.linalg.norm(bone) >= _LEAST_M:
            return np.asarray(T_root_last[:3, :3].T @ bone)
    return np.zeros(3)


def _estimated(model: VendorModel, tree: KinematicTree, chain: Chain, before: Vector) -> tuple[Vector, str]:
    """Estimate a tip in the frame of the last link: from its shapes, else its centre of mass, else the bone before."""
    points = link_points(model, tree, chain.last)
    if len(points):
        tip = far_end(points, before)
        if np.linalg.norm(tip) >= _LEAST_M:
            return tip, f"no frame in the file; the far end of its shapes, {_length(tip)} from its last joint"
    centre = model.links[chain.last].centre_m
    if centre is not None and np.linalg.norm(centre) >= _LEAST_M:
        axis = np.asarray(chain.joints[-1].axis)
        tip = 2 * centre - (centre @ axis) * axis  # a joint's frame may lie beside its link
        return tip, f"no frame in the file; twice as far as its centre of mass, {_length(tip)} from its last joint"
    if np.linalg.norm(before) > 0:
        tip = _LAST_SHARE * before
        return tip, f"no frame, shape or mass; {_LAST_SHARE:g} of the bone before it, {_length(tip)}"
    return np.array([0.0, 0.0, 0.03]), "no frame, shape, mass or bone before it; 30 mm along z of its link"


def far_end(points: Vector, along: Vector) -> Vector:
    """Middle of the far end of points ``(N, 3)`` around a joint: away from it, or along a direction where unclear."""
    middle = (points.min(0) + points.max(0)) / 2
    outward = middle if np.linalg.norm(middle) >= _LEAST_M or not along.any() else along
    if not outward.any():
        outward = np.array([0.0, 0.0, 1.0])
    reach = points @ (outward / np.linalg.norm(outward))
    end = points[reach >= reach.max() - _FAR_END * np.ptp(reach)]
    return np.asarray((end.min(0) + end.max(0)) / 2)


def _length(vector: Vector) -> str:
    return f"{1e3 * float(np.linalg.norm(vector)):.1f} mm"


def _millimetres(point: Vector) -> str:
    return f"({', '.join(f'{1e3 * float(value):.1f}' for value in point)}) mm in its last link"
