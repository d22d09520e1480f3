"""Joint specs of a hand from a URDF's limits: what is missing is asked, what a coupling forbids is narrowed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import pi

from pydantic import ValidationError

from egoscale_sdk.errors import SpecError, did_you_mean
from egoscale_sdk.scaffold.guess import Guess
from egoscale_sdk.scaffold.model import Limit, VendorModel
from egoscale_sdk.specs import JointSpec, KinematicTree, TreeJoint
from egoscale_sdk.specs.joints import ROUNDING

STAND_IN: dict[str, tuple[float, float]] = {"revolute": (0.0, pi / 2), "prismatic": (0.0, 0.05)}


@dataclass(frozen=True)
class ReadJoints:
    """Joints of a hand, those that are driven first, in the order of the file."""

    joints: tuple[JointSpec, ...]
    guesses: tuple[Guess, ...]
    questions: tuple[str, ...]


def read_joints(model: VendorModel, tree: KinematicTree) -> ReadJoints:
    """Make the joint specs of the hand ``tree``.

    A joint that follows another and has no limits gets those of the other. A leader whose range would drive a follower
    beyond its own limits is narrowed. Any other missing limit is a question; a stand-in takes its place.

    Raises:
        SpecError: a follower's leader is not in the hand, limits are the wrong way round or look like another unit, or
            couplings leave a joint no range.
    """
    moving = {joint.name: joint for joint in tree.joints if joint.kind != "fixed"}
    limits, questions = _stated(model, moving)
    narrowed, guesses = _narrowed(model, moving, limits)
    specs = [_spec(model, joint, narrowed[name]) for name, joint in moving.items()]
    ordered = sorted(specs, key=lambda spec: spec.mimic is not None)
    return ReadJoints(tuple(ordered), (*guesses, *_speeds(model, ordered)), questions)


def _speeds(model: VendorModel, joints: Sequence[JointSpec]) -> list[Guess]:
    silent: dict[str, list[str]] = {}
    for joint in joints:
        if joint.mimic is None and joint.velocity is None:
            zero = model.limits.get(joint.name, Limit()).velocity == 0
            silent.setdefault("0" if zero else "not in the file", []).append(joint.name)
    return [
        Guess("speeds", f"not known of {', '.join(names)}", f"velocity in <limit> is {what}: nothing slows them down")
        for what, names in silent.items()
    ]


def _stated(model: VendorModel, moving: Mapping[str, TreeJoint]) -> tuple[dict[str, Limit], tuple[str, ...]]:
    """Limits as the file states them; a bound that is left out beside the other is zero, as the format has it."""
    limits: dict[str, Limit] = {}
    asked: dict[tuple[str, str], list[str]] = {}
    for name, joint in moving.items():
        limit = model.limits.get(name, Limit())
        if joint.kind == "continuous":
            limit = replace(limit, lower=None, upper=None)
        elif limit.lower is not None or limit.upper is not None:
            limit = _both(model, name, limit)
        still = joint.kind != "continuous" and (limit.lower or 0.0) == (limit.upper or 0.0)
        if still and joint.mimic is not None:
            limit = replace(limit, lower=None, upper=None)
        elif still:
            problem = "missing" if limit.lower is None else f"both {limit.lower:g}"
            asked.setdefault((joint.kind, problem), []).append(name)
            lower, upper = STAND_IN[joint.kind]
            limit = replace(limit, lower=lower, upper=upper)
        limits[name] = limit
    return limits, tuple(_question(model, *what, names) for what, names in asked.items())


def _both(model: VendorModel, name: str, limit: Limit) -> Limit:
    lower, upper = limit.lower or 0.0, limit.upper or 0.0
    if lower > upper:
        where = f"{model.source}: joint {name!r}: limit"
        raise SpecError(f"lower, {lower:g}, is greater than upper, {upper:g}", where=where)
    return replace(limit, lower=lower, upper=upper)


def _question(model: VendorModel, kind: str, problem: str, names: Sequence[str]) -> str:
    """Ask for the limits of joints of one kind that lack them in the same way."""
    lower, upper = STAND_IN[kind]
    unit = "m" if kind == "prismatic" else "rad"
    move = "each of them" if len(names) > 1 else "it"
    return (
        f"joints: lower_{unit} and upper_{unit} of {', '.join(map(repr, names))} are {problem} in {model.source}; "
        f"between which does {move} move? ({lower:g}..{upper:.4g} {unit} stands in; native_lower and native_upper of "
        "the wires in embodiment.toml go with them)"
    )


def _narrowed(
    model: VendorModel, moving: Mapping[str, TreeJoint], limits: dict[str, Limit]
) -> tuple[dict[str, Limit], tuple[Guess, ...]]:
    """Narrow leaders until no follower leaves its limits, then give limits to followers without any."""
    found = dict(limits)
    for joint in moving.values():
        _check_leader(model, joint, moving)
    for _ in moving:  # a follower may lead another: at most as many rounds as joints
        for joint in moving.values():
            if joint.mimic is not None:
                found[joint.mimic.joint] = _within(model, joint, found)
    for _ in moving:
        for name, joint in moving.items():
            if joint.mimic is not None and joint.kind != "continuous" and found[name].lower is None:
                found[name] = _from_leader(model, joint, found)
    guesses = [
        Guess(
            f"limits of joint {name}",
            f"{_text(found[name])} instead of {_text(limits[name])}",
            "joints that follow it would leave their own limits",
        )
        for name in moving
        if limits[name].lower is not None and found[name] != limits[name]
    ]
    return found, tuple(guesses)


def _check_leader(model: VendorModel, joint: TreeJoint, moving: Mapping[str, TreeJoint]) -> None:
    if joint.mimic is not None and joint.mimic.joint not in moving:
        raise SpecError(
            f"follows {joint.mimic.joint!r}, which is no moving joint of the hand",
            where=f"{model.source}: joint {joint.name!r}: mimic",
            hint=did_you_mean(joint.mimic.joint, moving),
        )


def _within(model: VendorModel, follower: TreeJoint, limits: Mapping[str, Limit]) -> Limit:
    """Limits of the leader between which the follower keeps its own."""
    assert follower.mimic is not None
    leader, own, m = limits[follower.mimic.joint], limits[follower.name], follower.mimic
    if own.lower is None or own.upper is None or abs(m.multiplier) < ROUNDING:
        return leader
    ends = sorted(((own.lower - m.offset) / m.multiplier, (own.upper - m.offset) / m.multiplier))
    lower = ends[0] if leader.lower is None else max(leader.lower, ends[0])
    upper = ends[1] if leader.upper is None else min(leader.upper, ends[1])
    if upper - lower < ROUNDING:
        raise SpecError(
            f"follows {m.joint!r} ({_text(leader)}) {m.multiplier:g} times and leaves its own limits ({_text(own)})",
            where=f"{model.source}: joint {follower.name!r}: mimic",
            hint="correct the multiplier, or the limits of one of them",
        )
    slack = ROUNDING / max(1.0, abs(m.multiplier))
    same = leader.lower is not None and lower - leader.lower <= slack and (leader.upper or 0.0) - upper <= slack
    return leader if same else replace(leader, lower=lower, upper=upper)


def _from_leader(model: VendorModel, follower: TreeJoint, limits: Mapping[str, Limit]) -> Limit:
    assert follower.mimic is not None
    leader, m = limits[follower.mimic.joint], follower.mimic
    if leader.lower is None or leader.upper is None:
        raise SpecError(
            f"has no limits and follows {m.joint!r}, which has none either",
            where=f"{model.source}: joint {follower.name!r}: limit",
        )
    lower, upper = sorted((m.multiplier * leader.lower + m.offset, m.multiplier * leader.upper + m.offset))
    return replace(limits[follower.name], lower=lower, upper=upper)


def _spec(model: VendorModel, joint: TreeJoint, limit: Limit) -> JointSpec:
    lower, upper, unit, effort = "lower_rad", "upper_rad", "rad", "effort_nm"
    if joint.kind == "prismatic":
        lower, upper, unit, effort = "lower_m", "upper_m", "m", "effort_n"
    figures = {
        lower: limit.lower,
        upper: limit.upper,
        f"velocity_{unit}_s": limit.velocity or None,  # zero is a stand-in: nothing moves so
        effort: limit.effort or None,
    }
    kind = "revolute" if joint.kind == "continuous" and limit.lower is not None else joint.kind
    try:
        return JointSpec.model_validate({"name": joint.name, "kind": kind, "mimic": joint.mimic, **figures})
    except ValidationError as error:
        first = error.errors()[0]
        message = first["msg"].removeprefix("Value error, ")
        if first["loc"]:
            message = f"joint {joint.name!r}: {first['loc'][0]}: {message}"
        raise SpecError(message, where=model.source) from None


def _text(limit: Limit) -> str:
    return "no limits" if limit.lower is None or limit.upper is None else f"{limit.lower:.6g}..{limit.upper:.6g}"
