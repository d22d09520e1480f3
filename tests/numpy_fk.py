"""A small forward kinematics in numpy, sharing nothing with the SDK: the judge of it. Reads a vendor URDF with xml."""

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass
class Joint:
    """One URDF joint; ``limits`` is (lower, upper) of its first <limit>, or None."""

    name: str
    kind: str
    parent: str
    child: str
    offset: np.ndarray
    axis: np.ndarray
    mimic: tuple[str, float, float] | None
    limits: tuple[float, float] | None


class NumpyFK:
    """Poses of all links of a URDF (a file or its text), one configuration at a time, float64, mimic expanded."""

    def __init__(self, urdf: Path | str) -> None:
        robot = ElementTree.fromstring(urdf if isinstance(urdf, str) else urdf.read_text())
        self.joints = {element.get("name"): _joint(element) for element in robot.findall("joint")}
        self.above = {joint.child: joint for joint in self.joints.values()}
        self.links = [element.get("name") for element in robot.findall("link")]

    def poses(self, q: dict[str, float], base: str | None = None) -> dict[str, np.ndarray]:
        """Pose of every link; joints missing in ``q`` stand at zero. In ``base``, or in the root of the file."""
        found: dict[str, np.ndarray] = {}
        for link in self.links:
            self._place(link, q, found)
        if base is None:
            return found
        inverse = np.linalg.inv(found[base])
        return {link: inverse @ pose for link, pose in found.items()}

    def limits(self, name: str) -> tuple[float, float]:
        """Limits of a joint; a continuous one gets one turn."""
        return self.joints[name].limits or (-np.pi, np.pi)

    def _place(self, link: str, q: dict[str, float], found: dict[str, np.ndarray]) -> np.ndarray:
        if link not in found and link not in self.above:
            found[link] = np.eye(4)
        elif link not in found:
            joint = self.above[link]
            found[link] = self._place(joint.parent, q, found) @ joint.offset @ _motion(joint, self._value(joint, q))
        return found[link]

    def _value(self, joint: Joint, q: dict[str, float]) -> float:
        if joint.mimic is None:
            return q.get(joint.name, 0.0)
        leader, multiplier, offset = joint.mimic
        return multiplier * self._value(self.joints[leader], q) + offset


def _joint(element) -> Joint:
    origin, axis, mimic, limit = (element.find(tag) for tag in ("origin", "axis", "mimic", "limit"))
    offset = np.eye(4)
    if origin is not None:
        roll, pitch, yaw = _numbers(origin.get("rpy"), 0)
        offset[:3, :3] = _turn([0, 0, 1], yaw) @ _turn([0, 1, 0], pitch) @ _turn([1, 0, 0], roll)
        offset[:3, 3] = _numbers(origin.get("xyz"), 0)
    direction = np.array([1.0, 0, 0]) if axis is None else _numbers(axis.get("xyz"), 0)
    follows = mimic is not None and (
        mimic.get("joint"),
        float(mimic.get("multiplier", 1)),
        float(mimic.get("offset", 0)),
    )
    limited = limit is not None and limit.get("lower") is not None
    return Joint(
        name=element.get("name"),
        kind=element.get("type"),
        parent=element.find("parent").get("link"),
        child=element.find("child").get("link"),
        offset=offset,
        axis=direction,
        mimic=follows or None,
        limits=(float(limit.get("lower")), float(limit.get("upper"))) if limited else None,
    )


def _motion(joint: Joint, value: float) -> np.ndarray:
    pose = np.eye(4)
    if joint.kind == "prismatic":
        pose[:3, 3] = value * joint.axis / np.linalg.norm(joint.axis)
    elif joint.kind in ("revolute", "continuous"):
        pose[:3, :3] = _turn(joint.axis, value)
    return pose


def _turn(axis, angle: float) -> np.ndarray:
    """Rodrigues: I + sin K + (1 - cos) K^2."""
    x, y, z = np.asarray(axis, float) / np.linalg.norm(axis)
    K = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * K + (1 - np.cos(angle)) * K @ K


def _numbers(text: str | None, default: float) -> np.ndarray:
    return np.full(3, float(default)) if text is None else np.array([float(word) for word in text.split()])
