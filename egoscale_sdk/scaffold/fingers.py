"""Finding the hand in a URDF: the link from which fingers branch, and the chains of joints that they are."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.errors import SpecError
from egoscale_sdk.scaffold.guess import Guess
from egoscale_sdk.scaffold.model import VendorModel
from egoscale_sdk.specs import KinematicTree, TreeJoint
from egoscale_sdk.testing.numpy_fk import NumpyKinematics

MAX_FINGERS = 5
LONGEST_FINGER_M = 0.4
ARM_JOINTS = 6
_ROD_SHARE = 0.6  # a linkage rod starts nearer to the finger that it guides than this share of its length


@dataclass(frozen=True)
class Chain:
    """One finger: its joints from the palm outwards, fixed ones included, to the last one that moves."""

    joints: tuple[TreeJoint, ...]

    @property
    def movable(self) -> tuple[TreeJoint, ...]:
        """Its joints that move, from the palm outwards."""
        return tuple(joint for joint in self.joints if joint.kind != "fixed")

    @property
    def last(self) -> str:
        """The last link that moves by itself."""
        return self.joints[-1].child

    @property
    def name(self) -> str:
        """How it is called where it has no role: its first and last moving link."""
        first = self.movable[0].child
        return first if first == self.last else f"{first} .. {self.last}"


Chains = tuple[Chain, ...]
Poses = dict[str, NDArray[np.float64]]
Couplings = dict[str, tuple[str, float, float]]


@dataclass(frozen=True)
class FoundHand:
    """The hand's own part of a URDF."""

    palm: str
    tree: KinematicTree
    chains: Chains
    guesses: tuple[Guess, ...]


def find_hand(model: VendorModel) -> FoundHand:
    """Find palm and fingers, and cut off what stands before the hand: an arm, a wrist, a world link.

    Raises:
        SpecError: no link has two chains of moving joints, or those that leave it are too many or too long for fingers,
            or joints follow each other in a circle.
    """
    below = _joints_below(model.tree)
    palm, before = _palm(model, below)
    try:
        kinematics = NumpyKinematics(model.tree)
    except SpecError as error:  # mimic joints in a circle
        raise SpecError(error.what, where=model.source) from None
    poses = kinematics.poses({})
    fingers, rods = _without_rods(_chains(palm, below), poses, kinematics.couplings)
    _check_fingers(model, palm, fingers, poses)
    root = _root(model, palm, before)
    tree = KinematicTree(root=root, joints=_subtree(root, below, model.tree))
    guesses = [_palm_guess(palm, fingers), *_cut_guess(model, before, root), *_rod_guess(rods)]
    return FoundHand(palm, tree, fingers, tuple(guesses))


def _joints_below(tree: KinematicTree) -> dict[str, list[TreeJoint]]:
    below: dict[str, list[TreeJoint]] = {link: [] for link in tree.links}
    for joint in tree.joints:
        below[joint.parent].append(joint)
    return below


def _palm(model: VendorModel, below: dict[str, list[TreeJoint]]) -> tuple[str, list[TreeJoint]]:
    """Walk from the root to the first link below which moving joints branch; return it and the joints on the way."""
    moving = _moving_links(model.tree)
    link = model.tree.root
    passed: list[TreeJoint] = []
    while True:
        onward = [joint for joint in below[link] if joint.kind != "fixed" or joint.child in moving]
        if len(onward) > 1:
            return link, passed
        if not onward:
            raise _one_chain(model, [joint for joint in passed if joint.kind != "fixed"])
        passed.append(onward[0])
        link = onward[0].child


def _one_chain(model: VendorModel, moves: list[TreeJoint]) -> SpecError:
    if not moves:
        return SpecError("has no moving joint", where=model.source, hint="give the URDF of a hand or gripper")
    hint = "a hand or gripper needs at least two chains of moving joints that leave one link"
    what = "one moving joint" if len(moves) == 1 else f"{len(moves)} moving joints are one chain"
    problem = f"no link has two fingers: its {what}" if len(moves) > 1 else f"no link has two fingers: it has {what}"
    if len(moves) == 1:
        hint = "of a gripper with a fixed jaw, make the fixed jaw a link on a joint that follows the other 0 times"
    return SpecError(problem, where=model.source, hint=hint)


def _moving_links(tree: KinematicTree) -> set[str]:
    """Links that have a moving joint somewhere below them."""
    above = {joint.child: joint for joint in tree.joints}
    found: set[str] = set()
    for joint in tree.joints:
        link = joint.parent if joint.kind != "fixed" else None
        while link is not None and link not in found:
            found.add(link)
            link = above[link].parent if link in above else None
    return found


def _chains(palm: str, below: dict[str, list[TreeJoint]]) -> list[Chain]:
    """One chain per last moving joint, in the order of the file; fingers may share their first joints."""
    found: list[Chain] = []
    pending: list[tuple[TreeJoint, ...]] = [(joint,) for joint in reversed(below[palm])]
    while pending:
        path = pending.pop()
        deeper = [(*path, joint) for joint in reversed(below[path[-1].child])]
        if path[-1].kind != "fixed" and not _moves_below(path[-1].child, below):
            found.append(Chain(path))
        else:
            pending += deeper
    return found


def _moves_below(link: str, below: dict[str, list[TreeJoint]]) -> bool:
    pending = list(below[link])
    while pending:
        joint = pending.pop()
        if joint.kind != "fixed":
            return True
        pending += below[joint.child]
    return False


def _without_rods(chains: list[Chain], poses: Poses, couplings: Couplings) -> tuple[Chains, list[tuple[str, str]]]:
    """Tell fingers from rods of their linkages: followers only, shorter than a finger that starts beside them."""
    rods = {chain: guided for chain in chains if (guided := _guided(chain, chains, poses, couplings))}
    fingers = tuple(chain for chain in chains if chain not in rods)
    return fingers, [(rod.name, guided.name) for rod, guided in rods.items()]


def _guided(rod: Chain, chains: list[Chain], poses: Poses, couplings: Couplings) -> Chain | None:
    """Return the finger that a chain guides, or None where the chain is a finger itself."""
    if any(joint.mimic is None for joint in rod.movable):
        return None
    leaders = {couplings[joint.name][0] for joint in rod.movable}
    near: list[tuple[float, Chain]] = []
    for finger in chains:
        start = finger.joints[0].child
        gap = float(np.linalg.norm(poses[rod.movable[0].child][:3, 3] - poses[start][:3, 3]))
        longer = len(finger.movable) > len(rod.movable) and gap < _ROD_SHARE * _length(finger, poses)
        if longer and leaders <= {couplings[joint.name][0] for joint in finger.movable}:
            near.append((gap, finger))
    return min(near, key=lambda pair: pair[0])[1] if near else None


def _length(chain: Chain, poses: Poses) -> float:
    """Metres from the first moving joint along the chain to the last."""
    first = chain.joints.index(chain.movable[0])
    origins = [poses[joint.child][:3, 3] for joint in chain.joints[first:]]
    return float(sum(np.linalg.norm(b - a) for a, b in pairwise(origins)))


def _check_fingers(model: VendorModel, palm: str, fingers: Chains, poses: Poses) -> None:
    hint = "give a URDF of one hand alone"
    if len(fingers) > MAX_FINGERS:
        names = ", ".join(chain.name for chain in fingers[:3])
        problem = (
            f"{len(fingers)} chains of moving joints leave link {palm!r} ({names}, ..), and a hand has at most five"
        )
        raise SpecError(problem, where=model.source, hint=hint)
    for chain in fingers:
        if (length := _length(chain, poses)) > LONGEST_FINGER_M:
            problem = f"the chain {chain.name} that leaves link {palm!r} is {length:.2f} m long: that is no finger"
            raise SpecError(problem, where=model.source, hint=hint)


def _root(model: VendorModel, palm: str, before: list[TreeJoint]) -> str:
    """Root of the hand: the palm, or the first link before it that is fixed to it and has a mass or a surface.

    The last moving link of an arm is the arm's, if anything is fixed between it and the palm.
    """
    rigid: list[str] = []
    for joint in before:
        rigid = [*rigid, joint.parent] if joint.kind == "fixed" else []
    if rigid and any(joint.kind != "fixed" for joint in before):
        rigid = rigid[1:]
    solid = (link for link in rigid if (part := model.links[link]).mass_kg > 0 or (part.collides and part.shapes))
    return next(solid, palm)


def _subtree(root: str, below: dict[str, list[TreeJoint]], tree: KinematicTree) -> tuple[TreeJoint, ...]:
    reached, pending = {root}, [root]
    while pending:
        children = [joint.child for joint in below[pending.pop()]]
        reached |= set(children)
        pending += children
    return tuple(joint for joint in tree.joints if joint.parent in reached)


def _palm_guess(palm: str, fingers: Chains) -> Guess:
    chains = "; ".join(chain.name for chain in fingers)
    evidence = f"{len(fingers)} chains of moving joints leave this link"
    return Guess("palm and fingers", f"{palm}: {chains}", evidence, sure=len(fingers) > 1)


def _cut_guess(model: VendorModel, before: list[TreeJoint], root: str) -> list[Guess]:
    moving = [joint.name for joint in before if joint.kind != "fixed"]
    if moving:
        what = "an arm" if len(moving) >= ARM_JOINTS else "a wrist"
        names = f"{moving[0]} .. {moving[-1]}" if len(moving) > 1 else moving[0]
        evidence = f"{len(moving)} moving joints before the palm ({names}) are taken for {what} and left out"
        return [Guess("root of the hand", root, evidence, sure=len(moving) >= ARM_JOINTS)]
    if root != model.tree.root:
        return [Guess("root of the hand", root, f"{model.tree.root!r} before it has no mass and no surface", sure=True)]
    return []


def _rod_guess(rods: list[tuple[str, str]]) -> list[Guess]:
    return [
        Guess(
            "linkage", f"{rod} is no finger", f"it only follows, and starts beside the longer chain {finger}", sure=True
        )
        for rod, finger in rods
    ]
