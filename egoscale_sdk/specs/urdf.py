"""Reading the kinematic content of a URDF, distrusting the file: no entities, bounded size, one tree."""

from __future__ import annotations

import math
from xml.etree.ElementTree import Element

from defusedxml import ElementTree as SafeElementTree
from defusedxml.common import DefusedXmlException
from pydantic import ValidationError

from egoscale_sdk.errors import SpecError
from egoscale_sdk.specs.base import Vec3
from egoscale_sdk.specs.joints import MimicSpec
from egoscale_sdk.specs.tree import MAX_JOINTS, KinematicTree, TreeJoint

MAX_URDF_BYTES = 8 * 2**20
_SHOWN = 64  # letters of a name in an error
_CIRCLE = 6  # links of a circle in an error
KINDS = ("revolute", "continuous", "prismatic", "fixed")


def parse_urdf(text: str, *, source: str = "URDF") -> KinematicTree:
    """Read links, joints, origins, axes and mimics of a URDF; meshes, masses and limits are not looked at.

    Raises:
        SpecError: not well-formed, has entities, more than 8 MiB or 512 joints, an unknown joint type, a joint
            with several limits, a repeated name, a cycle, or not exactly one root. The message names the joint.
    """
    if len(text.encode()) > MAX_URDF_BYTES:
        raise SpecError(f"larger than {MAX_URDF_BYTES} bytes", where=source)
    try:
        robot = SafeElementTree.fromstring(text)
    except DefusedXmlException:
        raise SpecError("has XML entities or a DTD; a URDF needs neither", where=source) from None
    except Exception as error:
        raise SpecError(f"is not well-formed XML: {error}", where=source) from None
    if robot.tag != "robot":
        raise SpecError(f"is not a URDF: its root is <{robot.tag}>, not <robot>", where=source)
    elements = [element for element in robot if element.tag == "joint"]
    if len(elements) > MAX_JOINTS:
        raise SpecError(f"{len(elements)} joints; at most {MAX_JOINTS} are read", where=source)
    links = [element.get("name", "") for element in robot if element.tag == "link"]
    joints = tuple(_joint(element, source) for element in elements)
    try:
        return KinematicTree(root=_root(links, joints, source), joints=joints)
    except ValidationError as error:
        raise SpecError(_message(error), where=source) from None


def _message(error: ValidationError | ValueError) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    if first["type"] in ("string_pattern_mismatch", "string_too_long"):
        what = {"name": "its name", "root": "the root link"}.get(str(first["loc"][0]), f"{first['loc'][0]}")
        form = "a letter or _, then letters, digits, _ . -, at most 128 in all"
        return f"{what} {_short(str(first['input']))} is not a name: {form}"
    return first["msg"].removeprefix("Value error, ")


def _short(name: str) -> str:
    """A name in quotation marks, cut where it is too long to be read."""
    return repr(name if len(name) <= _SHOWN else f"{name[:_SHOWN]}..")


def _root(links: list[str], joints: tuple[TreeJoint, ...], source: str) -> str:
    children = {joint.child for joint in joints}
    roots = [link for link in dict.fromkeys(links) if link not in children]
    if not links:
        raise SpecError("has no <link>", where=source)
    if not roots:
        raise SpecError(f"has no root link: {_without_root(joints)}", where=source)
    if len(roots) > 1:
        named = ", ".join(_short(root) for root in roots[:5])
        raise SpecError(f"needs exactly one root link, has {len(roots)}: {named}", where=source)
    return roots[0]


def _without_root(joints: tuple[TreeJoint, ...]) -> str:
    """Say which links are in a circle, or which is a parent without being a link of the file."""
    above = {joint.child: joint.parent for joint in joints}
    link, seen = joints[0].child, [joints[0].child]
    while (link := above.get(link, "")) not in seen:
        if not link:
            return f"the parent {_short(seen[-1])} of a joint is no <link> of the file"
        seen.append(link)
    path = [*seen[seen.index(link) :], link][::-1]
    return "its joints form a circle, " + " -> ".join(path if len(path) <= _CIRCLE else [*path[:_CIRCLE], ".."])


def _joint(element: Element, source: str) -> TreeJoint:
    name = element.get("name", "")
    where = f"{source}: joint {_short(name)}"
    kind = element.get("type", "")
    if kind not in KINDS:
        raise SpecError(f"type {kind!r} is not supported", where=where, allowed=KINDS)
    if len(element.findall("limit")) > 1:
        raise SpecError("has several <limit> elements; keep one", where=where)
    origin, axis, mimic = element.find("origin"), element.find("axis"), element.find("mimic")
    try:
        return TreeJoint(
            name=name,
            kind=kind,  # type: ignore[arg-type]  # checked against KINDS above
            parent=_link(element, "parent"),
            child=_link(element, "child"),
            xyz_m=_vector(origin, "xyz", (0.0, 0.0, 0.0)),
            rpy_rad=_vector(origin, "rpy", (0.0, 0.0, 0.0)),
            axis=_unit(_vector(axis, "xyz", (1.0, 0.0, 0.0))) if kind != "fixed" else (1.0, 0.0, 0.0),
            mimic=None if mimic is None else _mimic(mimic),
        )
    except (ValidationError, ValueError) as error:
        raise SpecError(_message(error), where=where) from None


def _link(element: Element, tag: str) -> str:
    child = element.find(tag)
    if child is None or not child.get("link"):
        raise ValueError(f"has no <{tag} link=...>")
    return child.get("link", "")


def _vector(element: Element | None, key: str, default: Vec3) -> Vec3:
    if element is None or element.get(key) is None:
        return default
    values = [float(word) for word in element.get(key, "").split()]
    if len(values) != 3 or not all(math.isfinite(value) for value in values):
        raise ValueError(f"{key} needs three finite numbers, has {element.get(key)!r}")
    return values[0], values[1], values[2]


def _unit(axis: Vec3) -> Vec3:
    norm = math.sqrt(sum(value * value for value in axis))
    if not 1e-9 <= norm < math.inf:
        raise ValueError("axis has no length" if norm < 1e-9 else "axis is absurdly long")
    if abs(norm - 1) < 1e-15:  # as exact as float64 can be: text that was written from a tree gives that tree again
        return axis
    return axis[0] / norm, axis[1] / norm, axis[2] / norm


def _mimic(element: Element) -> MimicSpec:
    return MimicSpec(
        joint=element.get("joint", ""),
        multiplier=float(element.get("multiplier", "1")),
        offset=float(element.get("offset", "0")),
    )
