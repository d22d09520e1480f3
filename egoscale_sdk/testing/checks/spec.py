"""Specs: complete, consistent with the URDF, meaning what they meant, and facing the right way."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from egoscale_sdk.specs import (
    ArmSpec,
    EmbodimentSpec,
    HandSpec,
    JointSpec,
    action_fingerprint,
    safety_digest,
)
from egoscale_sdk.testing.beside_spec import place_beside_spec
from egoscale_sdk.testing.check import NotApplicable, Violation, check
from egoscale_sdk.testing.columns import compare_columns, without_side
from egoscale_sdk.testing.facing import Facing, facing
from egoscale_sdk.testing.figures import without_figure, without_source
from egoscale_sdk.testing.fingerprints import place_of_fingerprints, read_fingerprints
from egoscale_sdk.testing.links import above, below, check_finger, check_keypoints, movable, parts_of, rigid_part
from egoscale_sdk.testing.questions import OPEN_QUESTIONS, open_questions
from egoscale_sdk.testing.subject import Subject
from egoscale_sdk.testing.urdf_figures import Limits, urdf_limits

ROOM = {"rad": 1e-3, "m": 1e-4}
"""The least distance between two limits."""
_ROUNDING = 1e-6
_ALONG = math.cos(math.radians(30))
_CLOSES_M = 0.005
_THUMBWARD_M = 0.005
_KNUCKLES_M = (0.02, 0.3)


@check("SPEC001", "must", mend="write the same id into embodiment.toml and into the plugin's entry")
def it_loads_under_its_id(subject: Subject) -> str:
    """The spec loads, and says the id under which the plugin offers it."""
    spec = subject.spec
    if subject.id is not None and spec.id != subject.id:
        raise Violation(f"the entry is {subject.id}, its spec says it is {spec.id}")
    hands = ", ".join(f"{hand.side} {hand.hand_space.id}" for hand in spec.hands)
    return f"{hands}; {len(spec.joints)} joints, {len(spec.sensors)} sensors"


@check("SPEC002", "must", needs={"joints"}, mend="correct lower, upper or open_pose of the named joint")
def limits_leave_room(subject: Subject) -> str:
    """Every driven joint has room between its limits, and the open pose lies within them."""
    rooms = []
    for joint in subject.spec.joints:
        room = math.inf if joint.lower is None or joint.upper is None else joint.upper - joint.lower
        if room < ROOM[joint.unit]:
            raise Violation(f"joint {joint.name!r} has {joint.lower}..{joint.upper} {joint.unit}: it cannot move")
        rooms.append((room, joint.name))
    for hand in subject.spec.hands:
        for joint, value in zip(hand.actuated, hand.open_pose or [0.0] * len(hand.actuated), strict=True):
            if joint.clamp(value) != value:
                given = "open_pose" if hand.open_pose else "open_pose is not given, so zero,"
                raise Violation(f"{given} of joint {joint.name!r} is {value}, beyond {joint.lower}..{joint.upper}")
    return f"{len(rooms)} joints, the least room is {min(rooms)[0]:.4g} ({min(rooms)[1]})"


@check("SPEC003", "should", needs={"joints"}, mend="state velocity_rad_s (velocity_m_s) of the joint")
def speeds_are_known(subject: Subject) -> str:
    """The greatest speed of every driven joint is known, so that the runtime can keep it."""
    joints = subject.spec.joints
    for joint in joints:
        if joint.velocity is None:
            raise Violation(f"joint {joint.name!r}: its speed is not stated")
    efforts = sum(joint.effort_nm is not None or joint.effort_n is not None for joint in joints)
    return f"{len(joints)} speeds, {efforts} efforts"


@check(
    "SPEC004", "must", needs={"forward_kinematics"}, mend="list the joint under joints, with mimic if it follows one"
)
def no_joint_is_forgotten(subject: Subject) -> str:
    """Every movable joint of a hand's tree, and of an arm between base and tip, is driven or follows another."""
    total = 0
    for limb in _limbs(subject.spec):
        known = {joint.name for joint in limb.joints}
        moving = _moving(limb)
        for joint in moving:
            if joint not in known:
                raise Violation(f"joint {joint!r} of {limb.urdf} is neither driven nor does it follow another")
        total += len(moving)
    return f"{total} movable joints"


@check("SPEC005", "must", needs={"forward_kinematics"}, mend="take the narrower figure, or correct the URDF")
def limits_are_within_the_urdf(subject: Subject) -> str:
    """No limit is wider than the one that the URDF file states."""
    compared = 0
    for limb in _limbs(subject.spec):
        stated = urdf_limits(limb.urdf) if limb.urdf else {}
        for joint in limb.joints:
            compared += _compare_limits(joint, stated.get(joint.name, {}), str(limb.urdf))
    if not compared:
        raise NotApplicable("no URDF of this embodiment states limits")
    return f"{compared} figures compared"


@check("SPEC006", "must", needs={"joints"}, mend="bring columns in space.toml and joints of both hands into one order")
def columns_are_the_joints(subject: Subject) -> str:
    """Columns of the hand space are the driven joints in their order, without side, the same for both hands."""
    hands = subject.spec.hands
    for hand in hands:
        compare_columns(hand)
    if len(hands) == 2 and hands[0].hand_space == hands[1].hand_space:
        left, right = ([without_side(joint.name) for joint in hand.actuated] for hand in hands)
        if set(left) == set(right) and left != right:
            n = next(n for n, (a, b) in enumerate(zip(left, right, strict=True)) if a != b)
            names = f"{hands[0].actuated[n].name!r} on the left hand, {hands[1].actuated[n].name!r} on the right"
            raise Violation(f"column {n} ({hands[0].hand_space.columns[n].name!r}) is {names}")
    return ", ".join(f"{hand.side} {len(hand.actuated)} columns" for hand in hands)


@check(
    "SPEC007",
    "must",
    needs={"forward_kinematics"},
    mend="list a finger's frames from palm to tip under [[fingers]], with the keypoints of the same finger of a person",
)
def fingers_go_outwards(subject: Subject) -> str:
    """There are a thumb and another finger; the frames of each go outwards along the tree, to a tip that moves."""
    counts = []
    for hand in subject.spec.hands:
        roles = [finger.role for finger in hand.fingers]
        if "thumb" not in roles or len(roles) < 2:
            raise Violation(
                f"the {hand.side} hand has {', '.join(roles) or 'no fingers'}; it needs a thumb and another"
            )
        assert hand.tree is not None
        frames: dict[str, str] = {}
        for finger in hand.fingers:
            check_finger(hand.tree, hand.root, finger, ends=hand.aperture is None)
            for target in finger.frames:
                if target.frame in frames:
                    raise Violation(f"frame {target.frame!r} is both in {frames[target.frame]} and in {finger.role}")
                frames[target.frame] = finger.role
            check_keypoints(finger)
        counts.append(f"{hand.side} {len(roles)} fingers, {len(frames)} frames")
    return "; ".join(counts)


@check(
    "SPEC008", "must", needs={"forward_kinematics"}, mend="turn T_root_wrist: z along the fingers, x out of the palm"
)
def the_wrist_frame_faces_right(subject: Subject) -> str:
    """In the canonical wrist frame fingers point along +z, close towards +x, and the thumb's side is +y (-y left)."""
    notes = []
    for hand in subject.spec.hands:
        if "thumb" not in (roles := [finger.role for finger in hand.fingers]) or len(roles) < 2:
            raise NotApplicable("no thumb and other finger are named")
        found = facing(hand, subject.oracles[hand.side])
        _judge_facing(hand, found)
        closing = "" if found.closing is None else f", closing {_mm(found.closing)} mm"
        distance = f"{1e3 * found.knuckles_m:.0f} mm from the wrist"
        notes.append(f"{hand.side} tips {_mm(found.fingers)} mm{closing}, first frames {distance}")
    return "; ".join(notes)


@check("SPEC009", "must", mend="report it: a spec that validates should survive being written")
def it_survives_being_written(subject: Subject) -> str:
    """Written as JSON and read back, as in a dataset, it is the same spec with the same two digests."""
    spec = subject.spec
    text = spec.model_dump_json()
    try:
        read = EmbodimentSpec.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise Violation(f"what a dataset would store cannot be read back: {field}: {first['msg']}") from None
    for what, digest in (("action fingerprint", action_fingerprint), ("safety digest", safety_digest)):
        if digest(read) != digest(spec):
            raise Violation(f"the {what} is {digest(spec)} before and {digest(read)} after being written")
    if read != spec:
        fields = [name for name in EmbodimentSpec.model_fields if getattr(read, name) != getattr(spec, name)]
        raise Violation(f"written and read back it differs in {', '.join(fields)}")
    return f"{len(text) / 1024:.0f} KiB, {action_fingerprint(spec)[:15]}"


@check("SPEC010", "must", needs={"plugin"}, mend="raise @N if actions mean something else now; else restore the file")
def it_means_what_it_meant(subject: Subject) -> str:
    """Its action fingerprint is the one that is committed in fingerprints.toml beside it."""
    place = place_of_fingerprints(subject)
    written = read_fingerprints(place)
    if written is None:
        raise NotApplicable(f"there is no {place}")
    found, id = action_fingerprint(subject.spec), subject.spec.id
    line = f'"{id}" = "{found}"'
    if id not in written:
        raise Violation(f"{place} has no line for {id}; write: {line}")
    if written[id] != found:
        raise Violation(
            f"{id} no longer means what it did: checkpoints and datasets of it are refused. If that is meant: {line}"
        )
    return found


@check(
    "SPEC011", "should", needs={"plugin"}, mend="write the line into fingerprints.toml of the package, and commit it"
)
def its_meaning_is_committed(subject: Subject) -> str:
    """Its action fingerprint is committed in fingerprints.toml of its package, so that no change slips in."""
    place = place_of_fingerprints(subject)
    if read_fingerprints(place) is None:
        line = f'"{subject.spec.id}" = "{action_fingerprint(subject.spec)}"'
        raise Violation(f"there is no {place}; it should hold: {line}")
    return place


@check("SPEC012", "must", needs={"wires"}, mend="add the joint to the [[wires]] table of its part")
def wires_are_complete(subject: Subject) -> str:
    """Where a part has wires they carry all its driven joints, and so does every device that a recording names."""
    spec = subject.spec
    parts = {f"{arm.side}_arm": arm.joints for arm in spec.arms}
    parts |= {f"{hand.side}_hand": hand.actuated for hand in spec.hands}
    devices = {block.encoding for layout in spec.recordings for block in (*layout.state, *layout.action)}
    for part, joints in parts.items():
        wires = [wire for wire in spec.wires if wire.part == part]
        carried = [{item.joint for item in wire.joints} for wire in wires]
        groups = {"its devices": set().union(*carried)} if wires else {}
        groups |= {wire.device: on for wire, on in zip(wires, carried, strict=True) if wire.device in devices}
        for device, on in groups.items():
            absent = [joint.name for joint in joints if joint.name not in on]
            if absent:
                raise Violation(f"{part}: {', '.join(absent[:4])} not carried by {device}")
    return f"{len(spec.wires)} devices, {sum(len(wire.joints) for wire in spec.wires)} joints"


@check("SPEC013", "should", mend="add [[provenance]] with fields, source and note; fields = '*' covers a whole table")
def figures_have_sources(subject: Subject) -> str:
    """Every figure says where it comes from, and the spec says its licence."""
    if not subject.spec.license:
        raise Violation("license is empty")
    missing, idle = without_source(subject.spec), without_figure(subject.spec)
    if missing:
        raise Violation(f"{len(missing)} figures have no provenance: {', '.join(missing[:4])}")
    if idle:
        raise Violation(f"provenance of {', '.join(idle[:4])} names no field")
    return subject.spec.license


@check("SPEC014", "should", needs={"forward_kinematics"}, mend="add a capsule or box under bodies for the named link")
def fingers_have_bodies(subject: Subject) -> str:
    """Every part of a finger that is longer than 5 mm has a body, so that a simulated hand can touch."""
    counts = []
    for hand in subject.spec.hands:
        assert hand.tree is not None
        covered = {rigid_part(hand.tree, body.link) for body in hand.bodies}
        points = {link: pose[:3, 3] for link, pose in subject.oracles[hand.side].poses({}).items()}
        for finger in hand.fingers:
            for part in parts_of(hand.tree, finger, points):
                if part not in covered:
                    raise Violation(f"{hand.side} {finger.role}: no body on link {part!r} or what is fixed to it")
        mass = "mass not stated" if hand.mass_kg is None else f"{hand.mass_kg:g} kg"
        counts.append(f"{hand.side} {len(hand.bodies)} bodies, {mass}")
    return "; ".join(counts)


@check("SPEC015", "must", needs={"plugin"}, mend=f"fill in the field that it names, then delete it in {OPEN_QUESTIONS}")
def no_question_is_open(subject: Subject) -> str:
    """Every question that a tool left to a person is answered."""
    questions = open_questions(subject)
    if questions:
        place = place_beside_spec(subject, OPEN_QUESTIONS)
        more = f" (and {len(questions) - 1} more)" if len(questions) > 1 else ""
        raise Violation(f"{place} asks: {questions[0]}{more}")
    return "none is open"


def _limbs(spec: EmbodimentSpec) -> Iterator[HandSpec | ArmSpec]:
    yield from (hand for hand in spec.hands if hand.tree)
    yield from (arm for arm in spec.arms if arm.tree)


def _moving(limb: HandSpec | ArmSpec) -> list[str]:
    """Names of the movable joints below a hand's root, or between an arm's base and tip."""
    assert limb.tree is not None
    if isinstance(limb, HandSpec):
        return [joint.name for joint in movable(below(limb.tree, limb.root))]
    base, tip = ([joint.name for joint in movable(above(limb.tree, link))] for link in (limb.base, limb.tip))
    return [name for name in (*base, *tip) if (name in base) != (name in tip)]


def _compare_limits(joint: JointSpec, stated: Limits, urdf: str) -> int:
    effort = joint.effort_n if joint.unit == "m" else joint.effort_nm
    figures = {"lower": joint.lower, "upper": joint.upper, "velocity": joint.velocity, "effort": effort}
    compared = 0
    for key, value in figures.items():
        if value is None or key not in stated:
            continue
        beyond = stated[key] - value if key == "lower" else value - stated[key]
        if beyond > _ROUNDING:
            raise Violation(f"{key} of joint {joint.name!r} is {value:g}, {urdf} says {stated[key]:g}")
        compared += 1
    return compared


def _judge_facing(hand: HandSpec, found: Facing) -> None:
    tips, closing = found.fingers, found.closing
    if tips[2] < _ALONG * np.linalg.norm(tips):
        raise Violation(f"{hand.side} hand: the open fingertips are at {_mm(tips)} mm, which is not along +z")
    if closing is not None and closing[0] < max(_CLOSES_M, abs(closing[1])):
        raise Violation(f"{hand.side} hand: closing moves the fingertips by {_mm(closing)} mm, not towards +x")
    nearest, farthest = _KNUCKLES_M
    if not nearest <= found.knuckles_m <= farthest:
        where = f"{1e3 * found.knuckles_m:.0f} mm from where its fingers begin"
        raise Violation(f"{hand.side} hand: the wrist frame is {where}; a wrist is 20 to 300 mm from there")
    sign, wanted = (1.0, "+y") if hand.side == "right" else (-1.0, "-y")
    if found.thumbward is not None and sign * found.thumbward < _THUMBWARD_M:
        where = f"thumb and index begin {1e3 * found.thumbward:+.0f} mm along y of the other fingers"
        raise Violation(f"{hand.side} hand: {where}; a {hand.side} hand has its thumb at {wanted}")


def _mm(vector: NDArray[np.float64]) -> str:
    return "(" + " ".join(f"{1e3 * value:.0f}" for value in vector) + ")"
