"""A vendor's URDF, distrusted: the tree as `specs.parse_urdf` reads it, and what that leaves out."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np
from defusedxml import ElementTree as SafeElementTree
from numpy.typing import NDArray

from egoscale_sdk.errors import SpecError
from egoscale_sdk.geometry import make_pose, rotation_from_rpy
from egoscale_sdk.scaffold.meshes import mesh_file
from egoscale_sdk.scaffold.shapes import Kind, Shape
from egoscale_sdk.specs import KinematicTree, parse_urdf
from egoscale_sdk.specs.urdf import MAX_URDF_BYTES

MAX_SHAPES = 4096
_ENCODING = re.compile(rb"encoding=[\"']([A-Za-z0-9._-]{1,40})")
ABSURD = 1e6  # no length, angle, mass, speed or force of a hand is so large
_KINDS: tuple[Kind, ...] = ("box", "cylinder", "capsule", "sphere", "mesh")


@dataclass(frozen=True)
class Limit:
    """The ``<limit>`` of a joint, None where the file is silent; rad or m, N m or N."""

    lower: float | None = None
    upper: float | None = None
    velocity: float | None = None
    effort: float | None = None


@dataclass(frozen=True)
class Link:
    """A link's mass, its centre in the link's frame, and its shapes: those of collision, else those that are drawn."""

    mass_kg: float = 0.0
    centre_m: NDArray[np.float64] | None = None
    shapes: tuple[Shape, ...] = ()
    collides: bool = False


@dataclass(frozen=True)
class VendorModel:
    """What a URDF says; ``source`` is the file's name as errors and questions give it."""

    source: str
    name: str
    tree: KinematicTree
    links: dict[str, Link]
    limits: dict[str, Limit]


def read_model(urdf: Path) -> VendorModel:
    """Read a URDF file, never more of it than the size that is allowed.

    Raises:
        SpecError: the file is missing or too large, `parse_urdf` refuses it, a link is named twice, there are too many
            shapes, a figure is no finite number, or a mesh path leads out of the package. One line that names file and
            joint or link.
    """
    source = urdf.name
    text = _read_text(urdf)
    _refuse_xacro(text, source)
    tree = parse_urdf(text, source=source)
    robot = SafeElementTree.fromstring(text)
    names = Counter(element.get("name", "") for element in robot.findall("link"))
    for name, count in names.items():
        if count > 1:
            raise SpecError(f"link {name!r} occurs {count} times", where=source)
    shapes = sum(len(link.findall(tag)) for link in robot.findall("link") for tag in ("visual", "collision"))
    if shapes > MAX_SHAPES:
        raise SpecError(f"{shapes} shapes; at most {MAX_SHAPES} are read", where=source)
    links = {element.get("name", ""): _link(element, urdf) for element in robot.findall("link")}
    limits = {element.get("name", ""): _limit(element, source) for element in robot.findall("joint")}
    return VendorModel(source, robot.get("name", ""), tree, links, limits)


def _read_text(urdf: Path) -> str:
    try:
        with urdf.open("rb") as file:
            data = file.read(MAX_URDF_BYTES + 1)
    except OSError as error:
        raise SpecError(f"cannot be read: {error.strerror}", where=str(urdf)) from None
    if len(data) > MAX_URDF_BYTES:
        raise SpecError(f"larger than {MAX_URDF_BYTES} bytes", where=urdf.name)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        stated = _ENCODING.search(data[:200].replace(b"\0", b""))  # of UTF-16 every other byte is zero
        says = f", but {stated[1].decode('ascii')}" if stated and stated[1].upper() != b"UTF-8" else ""
        raise SpecError(f"is not UTF-8 text{says}", where=urdf.name, hint="save it as UTF-8") from None


def _refuse_xacro(text: str, source: str) -> None:
    """Raise `SpecError` for macros that are not expanded; text that is no XML is left to `parse_urdf`."""
    if "xacro" not in text and "${" not in text:
        return
    try:
        elements = list(SafeElementTree.fromstring(text).iter())
    except Exception:
        return
    if any("xacro" in element.tag or any("${" in value for value in element.attrib.values()) for element in elements):
        expanded = source.removesuffix(".xacro").removesuffix(".urdf") + ".urdf"
        expanded = expanded if expanded != source else f"plain_{source}"
        raise SpecError("is a xacro file, not a URDF yet", where=source, hint=f"run: xacro {source} > {expanded}")


def _limit(joint: Element, source: str) -> Limit:
    element = joint.find("limit")
    if element is None:
        return Limit()
    where = f"{source}: joint {joint.get('name', '')!r}: limit"
    return Limit(*(_optional(element, key, where) for key in ("lower", "upper", "velocity", "effort")))


def _optional(element: Element, key: str, where: str) -> float | None:
    return None if element.get(key) is None else _number(element, key, where)


def _link(element: Element, urdf: Path) -> Link:
    where = f"{urdf.name}: link {element.get('name', '')!r}"
    inertial = element.find("inertial")
    mass, centre = 0.0, None
    if inertial is not None and (weight := inertial.find("mass")) is not None:
        if (mass := _number(weight, "value", f"{where}: mass")) < 0:
            raise SpecError(f"value must not be negative, is {mass:g}", where=f"{where}: mass")
        centre = _pose(inertial.find("origin"), where)[:3, 3]
    drawn, collision = element.findall("visual"), element.findall("collision")
    parts = [part for part in (*drawn, *collision) if part.find("geometry") is not None]
    shapes = {id(part): shape for part in parts if (shape := _shape(part, urdf, where))}
    chosen = collision or drawn
    return Link(mass, centre, tuple(shapes[id(part)] for part in chosen if id(part) in shapes), bool(collision))


def _shape(part: Element, urdf: Path, where: str) -> Shape | None:
    geometry = part.find("geometry")
    found = next((child for child in (geometry if geometry is not None else ()) if child.tag in _KINDS), None)
    if found is None:
        return None
    pose = _pose(part.find("origin"), where)
    if found.tag == "mesh":
        file = mesh_file(found.get("filename", ""), urdf, where)
        scale = _numbers(found, "scale", where) if found.get("scale") else (1.0, 1.0, 1.0)
        return Shape("mesh", pose, scale, file)
    if found.tag == "box":
        return Shape("box", pose, tuple(abs(side) / 2 for side in _numbers(found, "size", where)))
    keys = ("radius",) if found.tag == "sphere" else ("radius", "length")
    kind = next(kind for kind in _KINDS if kind == found.tag)
    return Shape(kind, pose, tuple(abs(_number(found, key, f"{where}: {kind}")) for key in keys))


def _pose(origin: Element | None, where: str) -> NDArray[np.float64]:
    zero = (0.0, 0.0, 0.0)
    xyz = zero if origin is None or origin.get("xyz") is None else _numbers(origin, "xyz", where)
    rpy = zero if origin is None or origin.get("rpy") is None else _numbers(origin, "rpy", where)
    return np.asarray(make_pose(rotation_from_rpy(rpy), xyz), np.float64)


def _number(element: Element, key: str, where: str) -> float:
    text = element.get(key, "")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not abs(value) < ABSURD:
        raise SpecError(f"{key} must be a finite number, is {text!r}", where=where)
    return value


def _numbers(element: Element, key: str, where: str) -> tuple[float, float, float]:
    try:
        x, y, z = (float(word) for word in element.get(key, "").split())
    except ValueError:
        x = y = z = math.nan
    if not max(abs(x), abs(y), abs(z)) < ABSURD or math.isnan(x + y + z):
        raise SpecError(f"{key} needs three finite numbers, has {element.get(key)!r}", where=where)
    return x, y, z
