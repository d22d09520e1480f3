"""Comparing two specs: what differs, in words, and the narrower of their limits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from egoscale_sdk.specs.digest import canonical_json
from egoscale_sdk.specs.embodiment import ArmSpec, ControlSpec, EmbodimentSpec
from egoscale_sdk.specs.hand import HandSpec
from egoscale_sdk.specs.joints import JointSpec

_LOWER = ("lower_rad", "lower_m")
_SMALLER = (
    *("upper_rad", "upper_m", "velocity_rad_s", "velocity_m_s"),
    *("acceleration_rad_s2", "acceleration_m_s2", "effort_nm", "effort_n"),
)


def diff_meaning(a: Any, b: Any, *, a_is: str = "dataset", b_is: str = "installed") -> list[str]:
    """Say where two values of JSON differ, e.g. ``hands.right.joints[3].name: 'a' (dataset) != 'b' (installed)``.

    Args:
        a: Usually `action_meaning` or `safety_limits` of the declared spec.
        b: The same of the other spec.
        a_is: What ``a`` is called.
        b_is: What ``b`` is called.

    Returns:
        One line per difference, in the order of ``a``; empty if and only if their digests are equal.
    """
    return list(_differences("", a, b, a_is, b_is))


def narrower_limits(spec: EmbodimentSpec, other: EmbodimentSpec) -> EmbodimentSpec:
    """Return ``spec`` with every limit and rate at least as narrow as in ``other``; joints are matched by name.

    Raises:
        ValueError: the two ranges of a joint do not overlap.
    """
    parts: tuple[HandSpec | ArmSpec, ...] = (*other.arms, *other.hands)
    theirs = {joint.name: joint for part in parts for joint in part.joints}

    def narrow(joints: tuple[JointSpec, ...]) -> tuple[JointSpec, ...]:
        return tuple(_narrow_joint(joint, theirs.get(joint.name, joint)) for joint in joints)

    return spec.model_copy(
        update={
            "hands": tuple(_with_joints(hand, narrow(hand.joints)) for hand in spec.hands),
            "arms": tuple(arm.model_copy(update={"joints": narrow(arm.joints)}) for arm in spec.arms),
            "control": _narrow_control(spec.control, other.control),
        }
    )


def _with_joints(hand: HandSpec, joints: tuple[JointSpec, ...]) -> HandSpec:
    """Return the hand with narrower joints, its open pose within them."""
    narrowed = hand.model_copy(update={"joints": joints})
    posed = narrowed.actuated if hand.open_pose else ()
    pose = tuple(_clamped(value, joint) for value, joint in zip(hand.open_pose, posed, strict=True))
    return narrowed.model_copy(update={"open_pose": pose})


def _clamped(value: float, joint: JointSpec) -> float:
    value = value if joint.lower is None else max(value, joint.lower)
    return value if joint.upper is None else min(value, joint.upper)


def _narrow_joint(ours: JointSpec, theirs: JointSpec) -> JointSpec:
    figures = {key: _tighter(max, getattr(ours, key), getattr(theirs, key)) for key in _LOWER}
    figures |= {key: _tighter(min, getattr(ours, key), getattr(theirs, key)) for key in _SMALLER}
    return JointSpec.model_validate(ours.model_dump() | figures)


def _narrow_control(ours: ControlSpec, theirs: ControlSpec) -> ControlSpec:
    return ControlSpec(**{key: min(getattr(ours, key), getattr(theirs, key)) for key in ControlSpec.model_fields})


def _tighter(choose: Any, a: float | None, b: float | None) -> float | None:
    known = [value for value in (a, b) if value is not None]
    return choose(known) if known else None


def _differences(path: str, a: Any, b: Any, a_is: str, b_is: str) -> Iterator[str]:
    if isinstance(a, dict) and isinstance(b, dict):
        for key in (*a, *(key for key in b if key not in a)):
            inner = f"{path}.{key}" if path else str(key)
            if key not in a or key not in b:
                yield f"{inner}: only in {a_is if key in a else b_is}"
            else:
                yield from _differences(inner, a[key], b[key], a_is, b_is)
    elif isinstance(a, list | tuple) and isinstance(b, list | tuple):
        if len(a) != len(b):
            yield _lengths(path, a, b, a_is, b_is)
        else:
            for index, (left, right) in enumerate(zip(a, b, strict=True)):
                yield from _differences(f"{path}[{index}]", left, right, a_is, b_is)
    elif canonical_json(a) != canonical_json(b):
        yield f"{path}: {a!r} ({a_is}) != {b!r} ({b_is})"


def _lengths(path: str, a: Sequence[Any], b: Sequence[Any], a_is: str, b_is: str) -> str:
    """Describe two lists of different length, by the names of their members where they have any."""
    line = f"{path}: {len(a)} ({a_is}) != {len(b)} ({b_is})"
    names_a, names_b = _names(a), _names(b)
    for names, others, owner in ((names_a, names_b, a_is), (names_b, names_a, b_is)):
        extra = [name for name in names if name not in others]
        if extra:
            line += f"; only in {owner}: {', '.join(extra)}"
    return line


def _names(items: Sequence[Any]) -> list[str]:
    return [str(item["name"]) for item in items if isinstance(item, dict) and "name" in item]
