"""An embodiment around hands: wrists that are commanded, one device per hand, and our simulator's recordings."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from egoscale_sdk.sim.lerobot_writer import robot_type
from egoscale_sdk.specs import (
    WRIST_DIM,
    ControlSpec,
    EmbodimentSpec,
    HandSpec,
    JointSpec,
    Provenance,
    RecordingBlock,
    RecordingLayout,
    WireJoint,
    WireSpec,
)

RATE_HZ = 50.0
_DECIDED = (
    Provenance(fields="control", source="egoscale plugin new", note="common values, not the maker's: look at them"),
    Provenance(fields="wires", source="egoscale plugin new", note="as the joints count; the device's own are to come"),
    Provenance(fields="recordings", source="egoscale simulate"),
)

_READ = ("tree", "joints", "mass_kg")
_GUESSED = ("T_root_wrist", "mirror_signs", "open_pose", "fingers", "aperture", "bodies", "dynamics")
_GUESS_NOTE = "guessed or computed from the geometry of the file; the evidence is in README.md and above each field"


def embodiment_of(id: str, title: str, hands: Sequence[HandSpec], *, license: str = "") -> EmbodimentSpec:
    """Return the embodiment of one or two hands whose wrist poses are commanded.

    Args:
        id: ``namespace/name@N``.
        title: One line about it.
        hands: One left, one right, or both, in any order.
        license: SPDX expression, if one is chosen.
    """
    name = id.partition("/")[2].partition("@")[0]
    ordered = tuple(sorted(hands, key=lambda hand: hand.side))
    spec = EmbodimentSpec(
        id=id,
        title=title,
        kind="robot",
        hands=ordered,
        control=ControlSpec(rate_hz=RATE_HZ),
        wires=tuple(_wire(name, hand) for hand in ordered),
        provenance=_DECIDED,
        license=license,
    )
    return spec.model_copy(update={"recordings": tuple(_recording(spec, hand) for hand in ordered)})


def with_provenance(hand: HandSpec, source: str, *, estimated: Collection[str] = ()) -> HandSpec:
    """Return a hand that says which of its figures are from ``source``, and which are guesses.

    Args:
        hand: The hand; what it says itself about its figures is kept.
        source: The file, with what tells it from others.
        estimated: Fields that are usually read, and of this hand rest on a guess.
    """
    if hand.provenance:
        return hand
    given = [name for name in (*_READ, *_GUESSED) if getattr(hand, name)]
    read = [name for name in given if name in _READ and name not in estimated]
    guessed = [name for name in given if name not in read]
    notes = [Provenance(fields=", ".join(read), source=source)]
    if guessed:
        notes.append(Provenance(fields=", ".join(guessed), source="egoscale plugin new", note=_GUESS_NOTE))
    return hand.model_copy(update={"provenance": tuple(notes)})


def _wire(name: str, hand: HandSpec) -> WireSpec:
    return WireSpec(
        device=f"{name}_{hand.side}",
        part=f"{hand.side}_hand",
        rate_hz=RATE_HZ,
        joints=tuple(_wire_joint(joint) for joint in hand.actuated),
    )


def _wire_joint(joint: JointSpec) -> WireJoint:
    return WireJoint(joint=joint.name, native_unit=joint.unit, native_lower=joint.lower, native_upper=joint.upper)


def _recording(spec: EmbodimentSpec, hand: HandSpec) -> RecordingLayout:
    """Lay out what the simulator writes of one hand; the importer takes the picture's name from its key."""
    blocks = (
        RecordingBlock(start=0, stop=WRIST_DIM, part=f"{hand.side}_wrist", encoding="xyz_rot6d"),
        RecordingBlock(start=WRIST_DIM, stop=WRIST_DIM + hand.hand_space.dim, part=f"{hand.side}_hand"),
    )
    return RecordingLayout(
        robot_type=robot_type(spec, hand.side),
        state=blocks,
        action=blocks,
        assumptions=("wrist poses are in the world frame of the simulation",),
    )
