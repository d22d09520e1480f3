"""From a vendor's URDF to the draft of a hand: what the file says, what is guessed, what a person must answer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from egoscale_sdk.errors import SpecError
from egoscale_sdk.scaffold.bodies import hand_bodies
from egoscale_sdk.scaffold.coupling import couple_sliders
from egoscale_sdk.scaffold.fingers import FoundHand, find_hand
from egoscale_sdk.scaffold.frames import finger_specs, wrist_pose
from egoscale_sdk.scaffold.gains import joint_dynamics
from egoscale_sdk.scaffold.gripper import read_grip
from egoscale_sdk.scaffold.guess import Guess
from egoscale_sdk.scaffold.joints import ReadJoints, read_joints
from egoscale_sdk.scaffold.model import VendorModel, read_model
from egoscale_sdk.scaffold.opening import open_pose
from egoscale_sdk.scaffold.posture import Posture
from egoscale_sdk.scaffold.roles import Named, assign_roles
from egoscale_sdk.scaffold.tips import find_tips, fixed_below, tip_guesses, tree_with_tips
from egoscale_sdk.scaffold.words import column_names, roles_of, side_of
from egoscale_sdk.specs import (
    ApertureSpec,
    ColumnSpec,
    FingerSpec,
    HandSpaceSpec,
    HandSpec,
    KinematicTree,
    PoseSpec,
    Side,
)

__all__ = ["Guess", "HandDraft", "draft_hand"]


@dataclass(frozen=True)
class HandDraft:
    """A hand as far as its URDF tells it.

    Attributes:
        hand: Complete and valid; its ``urdf`` is not set, its ``tree`` is the hand alone with estimated tips added.
        guesses: What the file does not say, with evidence.
        questions: What a person must answer, one line each, ``hand/right.toml: field: ..``: the plugin's file and the
            field in which the answer belongs. Empty where the vendor's file is complete.
    """

    hand: HandSpec
    guesses: tuple[Guess, ...]
    questions: tuple[str, ...]


@dataclass(frozen=True)
class _Semantics:
    """What the fingers of a hand are for: everything that the file itself does not say."""

    side: Side
    posture: Posture
    fingers: tuple[FingerSpec, ...]
    wrist: PoseSpec
    open_pose: tuple[float, ...]
    guesses: tuple[Guess, ...]
    questions: tuple[str, ...]
    aperture: ApertureSpec | None = None


def draft_hand(urdf: Path, *, side: Side | None, namespace: str, name: str) -> HandDraft:
    """Draft the hand that a URDF describes.

    Args:
        urdf: The file.
        side: Which hand it is, where the user says so.
        namespace: Of the plugin; the hand space is ``namespace/<name>_hand@1``, or ``namespace/hand@1`` of ``hand``.
        name: The embodiment's name.

    Raises:
        SpecError: the file is refused (see `read_model`), or holds no hand. One line naming file and joint or link.
    """
    model = read_model(urdf)
    found, coupled = couple_sliders(model, find_hand(model))
    read = read_joints(model, found.tree)
    posture = Posture(found.tree, read.joints, find_tips(model, found))
    spoken = side_of([model.name, *found.tree.links, *(joint.name for joint in found.tree.joints)])
    if len(posture.neutral) == 1:
        meaning = _gripper(model, posture, side or spoken[0])
    else:
        meaning = _fingers(model, found, posture, side, spoken)
    space = f"{namespace}/{name}_hand@1" if name != "hand" else f"{namespace}/hand@1"
    hand, body_guesses = _hand(model, found, read, meaning, _space(space, read, spoken[0]))
    weighed = _weighed(model, found, hand)
    tips = tip_guesses(meaning.posture.fingers)
    guesses = _of_side(meaning.side, (*found.guesses, *read.guesses, *meaning.guesses, *tips, *body_guesses, *weighed))
    questions = (*coupled, *read.questions, *meaning.questions)
    return HandDraft(hand, guesses, tuple(f"{name}/{hand.side}.toml: {question}" for question in questions))


def _hand(
    model: VendorModel, found: FoundHand, read: ReadJoints, meaning: _Semantics, space: HandSpaceSpec
) -> tuple[HandSpec, tuple[Guess, ...]]:
    q_open = dict(zip(meaning.posture.neutral, meaning.open_pose, strict=True))
    pads = meaning.aperture is not None
    bodies, guesses = hand_bodies(model, meaning.posture, found.palm, meaning.wrist, q_open, pads=pads)
    try:
        hand = HandSpec(
            side=meaning.side,
            hand_space=space,
            tree=tree_with_tips(found.tree, meaning.posture.fingers),
            root=found.tree.root,
            T_root_wrist=meaning.wrist,
            joints=read.joints,
            open_pose=meaning.open_pose,
            fingers=meaning.fingers,
            aperture=meaning.aperture,
            bodies=bodies,
            dynamics=joint_dynamics(model, meaning.posture),
            mass_kg=_mass(model, found),
        )
    except ValidationError as error:
        raise SpecError(error.errors()[0]["msg"].removeprefix("Value error, "), where=model.source) from None
    return hand, guesses


def _gripper(model: VendorModel, posture: Posture, side: Side | None) -> _Semantics:
    grip = read_grip(model, posture)
    how = "as asked for, or as its names say" if side else "a gripper is the same on both; right is our habit"
    return _Semantics(
        side=side or "right",
        posture=posture.with_fingers(grip.pads),
        fingers=grip.fingers,
        wrist=grip.T_root_wrist,
        open_pose=grip.open_pose,
        guesses=(Guess("side", side or "right", how, sure=True), *grip.guesses),
        questions=grip.questions,
        aperture=grip.aperture,
    )


def _fingers(
    model: VendorModel, found: FoundHand, posture: Posture, side: Side | None, spoken: tuple[Side | None, int]
) -> _Semantics:
    names = [[text for joint in chain.joints for text in (joint.name, joint.child)] for chain in found.chains]
    chains = tuple(chain.name for chain in found.chains)
    motions = [posture.motion(number) for number in range(len(chains))]
    named = Named(chains, tuple(roles_of(names)), spoken[0], spoken[1], side)
    roles = assign_roles(motions, named)
    fingers = finger_specs(posture, roles.order)
    pose, pose_guess = open_pose(posture, motions, roles.order, roles.axes, roles.side)
    return _Semantics(
        side=roles.side,
        posture=posture,
        fingers=fingers,
        wrist=wrist_pose(posture, fingers, roles.axes),
        open_pose=tuple(pose[name] for name in posture.neutral),
        guesses=(*roles.guesses, pose_guess),
        questions=roles.questions,
    )


def _space(id: str, read: ReadJoints, spoken: Side | None) -> HandSpaceSpec:
    driven = [joint for joint in read.joints if joint.mimic is None]
    names = column_names([joint.name for joint in driven], spoken)
    columns = tuple(ColumnSpec(name=name, unit=joint.unit) for name, joint in zip(names, driven, strict=True))
    return HandSpaceSpec(id=id, columns=columns)


def _mass(model: VendorModel, found: FoundHand) -> float | None:
    return round(sum(model.links[link].mass_kg for link in found.tree.links if link in model.links), 6) or None


def _weighed(model: VendorModel, found: FoundHand, hand: HandSpec) -> tuple[Guess, ...]:
    """Say which moving parts the mass leaves out, where the file has masses of others."""
    parts = [found.tree.root, *(joint.child for joint in found.tree.joints if joint.kind != "fixed")]
    bare = [part for part in parts if not _part_mass(model, found.tree, part)]
    if hand.mass_kg is None or not bare:
        return ()
    named = ", ".join(bare[:3]) + (", .." if len(bare) > 3 else "")
    evidence = f"the file has no mass of {len(bare)} of its {len(parts)} parts ({named}): the hand is heavier"
    return (Guess("mass", f"{hand.mass_kg:g} kg", evidence),)


def _part_mass(model: VendorModel, tree: KinematicTree, link: str) -> float:
    """Mass of a link and of all that is fixed to it."""
    rigid = [link, *(child for child, _ in fixed_below(tree, link))]
    return sum(model.links[name].mass_kg for name in rigid if name in model.links)


def _of_side(side: Side, guesses: tuple[Guess, ...]) -> tuple[Guess, ...]:
    before = f"{side} hand: "
    return tuple(replace(guess, what=before + guess.what.removeprefix(before)) for guess in guesses)
