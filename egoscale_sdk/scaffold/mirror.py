"""The other hand: the mirror image of one that is drafted, proven by forward kinematics."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from egoscale_sdk.errors import SpecError
from egoscale_sdk.geometry import MIRROR
from egoscale_sdk.scaffold.draft import HandDraft
from egoscale_sdk.scaffold.guess import Guess
from egoscale_sdk.scaffold.rename import rename_hand, rename_in
from egoscale_sdk.scaffold.words import renamed
from egoscale_sdk.specs import BodySpec, HandSpec, JointSpec, KinematicTree, PoseSpec, Side, TreeJoint
from egoscale_sdk.specs.base import Vec3
from egoscale_sdk.testing.numpy_fk import NumpyKinematics

PROOFS = 16
EXACT = 1e-9
_OTHER: dict[Side, Side] = {"left": "right", "right": "left"}


def mirrored_pair(draft: HandDraft) -> tuple[HandDraft, HandDraft]:
    """Return left and right of a hand and its mirror image, both stating the signs by which one follows the other."""
    other = mirror_hand(draft)
    own = draft.hand.model_copy(update={"mirror_signs": other.hand.mirror_signs})
    pair = (HandDraft(own, draft.guesses, draft.questions), other)
    return pair if draft.hand.side == "left" else (pair[1], pair[0])


def mirror_hand(draft: HandDraft) -> HandDraft:
    """Make the hand of the other side: the mirror image in the plane y = 0 of the canonical wrist frame.

    With M = diag(1, -1, 1) every link's own frame is reflected in its plane y = 0: an offset ``(x, y, z; R)`` becomes
    ``(x, -y, z; M R M)``, a turning axis a becomes ``-M a``, a sliding one ``M a``. Poses in the root are then
    ``M T M``, and so is ``T_root_wrist``, hence ``T_wrist_link`` is, too. The same joint vector gives the mirror image:
    limits stay and ``mirror_signs`` are all 1. Side words in names are swapped; others get the side in front.

    Raises:
        SpecError: forward kinematics does not prove it to 1e-9 at 16 configurations.
    """
    hand = draft.hand
    assert hand.tree is not None, "a drafted hand has a tree"
    side = _OTHER[hand.side]
    new = renamed({*hand.tree.links, *(joint.name for joint in hand.tree.joints)}, side)
    image = hand.model_copy(
        update={
            "side": side,
            "tree": KinematicTree(root=hand.tree.root, joints=tuple(_joint(joint) for joint in hand.tree.joints)),
            "T_root_wrist": _pose(hand.T_root_wrist),
            "mirror_signs": (1.0,) * len(hand.actuated),
            "bodies": tuple(_body(body) for body in hand.bodies),
        }
    )
    made = HandSpec.model_validate(rename_hand(image, new).model_dump())
    worst = _prove(hand, made, new)
    found = f"to {worst:.0e}" if worst else "exactly"
    evidence = f"forward kinematics agrees {found} at {PROOFS} configurations; a maker's other hand may differ"
    guess = Guess(f"{side} hand", f"mirror image of the {hand.side} one", evidence)
    return HandDraft(made, (guess,), _questions(draft, side, new))


def _questions(draft: HandDraft, side: Side, new: Mapping[str, str]) -> tuple[str, ...]:
    """What is asked about a hand is asked about its image, whose figures are the same; but for which hand it is."""
    own, other = f"{draft.hand.side}.toml: ", f"{side}.toml: "
    asked = [question for question in draft.questions if f"{own}side" not in question]
    return tuple(question.replace(own, other, 1) for question in rename_in(asked, new))


def _joint(joint: TreeJoint) -> TreeJoint:
    roll, pitch, yaw = joint.rpy_rad
    x, y, z = _flipped(joint.axis)
    turns = joint.kind in ("revolute", "continuous")
    return joint.model_copy(
        update={
            "xyz_m": _flipped(joint.xyz_m),
            "rpy_rad": (0.0 - roll, pitch, 0.0 - yaw),
            "axis": (0.0 - x, 0.0 - y, 0.0 - z) if turns else (x, y, z),
        }
    )


def _body(body: BodySpec) -> BodySpec:
    points = {key: _flipped(value) for key in ("from_m", "to_m", "center_m") if (value := getattr(body, key))}
    return body.model_copy(update=points)


def _pose(pose: PoseSpec) -> PoseSpec:
    w, x, y, z = pose.quat_wxyz
    return PoseSpec(xyz_m=_flipped(pose.xyz_m), quat_wxyz=(w, 0.0 - x, y, 0.0 - z))


def _flipped(point: Vec3) -> Vec3:
    return point[0], 0.0 - point[1], point[2]


def _prove(hand: HandSpec, made: HandSpec, new: Mapping[str, str]) -> float:
    """Compare every link in the wrist frame at random joint vectors; return the largest difference of a pose."""
    assert hand.tree is not None
    assert made.tree is not None
    own, other = NumpyKinematics(hand.tree, hand.joints, hand.root), NumpyKinematics(made.tree, made.joints, made.root)
    into, back = np.linalg.inv(hand.T_root_wrist.matrix()), np.linalg.inv(made.T_root_wrist.matrix())
    rng, worst = np.random.default_rng(0), 0.0
    for _ in range(PROOFS):
        q = {joint.name: float(rng.uniform(*_range(joint))) for joint in hand.actuated}
        mine, theirs = own.poses(q), other.poses({new[name]: value for name, value in q.items()})
        for link, pose in mine.items():
            off = np.abs(back @ theirs[new[link]] - MIRROR @ into @ pose @ MIRROR).max()
            if off > EXACT:
                raise SpecError(f"link {new[link]!r} is {off:.2g} off the mirror image of {link!r}")
            worst = max(worst, float(off))
    return worst


def _range(joint: JointSpec) -> tuple[float, float]:
    return (-np.pi, np.pi) if joint.lower is None or joint.upper is None else (joint.lower, joint.upper)
