"""Small URDFs of made-up hands of several kinds, for what reads a vendor's file. Each returns the text.

The palm's own frame is ``G`` away from the canonical wrist axes (z along the fingers, x out of the palm, the thumb on
+y of a right hand), so that nothing can be read off the axes of the file. Names tell nothing unless asked for.
"""

from collections.abc import Callable
from itertools import pairwise

import numpy as np

MIRROR = np.diag([1.0, -1.0, 1.0])
ROLES = ("thumb", "index", "middle", "ring", "pinky")


def turned(roll: float = 0, pitch: float = 0, yaw: float = 0) -> np.ndarray:
    """Rotation Rz Ry Rx, degrees."""
    r, p, y = np.radians([roll, pitch, yaw])
    Rx = np.array([[1, 0, 0], [0, np.cos(r), -np.sin(r)], [0, np.sin(r), np.cos(r)]])
    Ry = np.array([[np.cos(p), 0, np.sin(p)], [0, 1, 0], [-np.sin(p), 0, np.cos(p)]])
    Rz = np.array([[np.cos(y), -np.sin(y), 0], [np.sin(y), np.cos(y), 0], [0, 0, 1]])
    return Rz @ Ry @ Rx


class Urdf:
    """Text of a URDF, part by part."""

    def __init__(self, name: str = "acme") -> None:
        self.name, self.parts = name, []

    def link(self, name: str, mass: float = 0.0, shape: str = "", centre=(0, 0, 0)) -> None:
        inertial = f'<inertial><origin xyz="{_text(centre)}"/><mass value="{mass}"/></inertial>' if mass else ""
        self.parts.append(f'<link name="{name}">{inertial}{shape}</link>')

    def joint(self, name, kind, parent, child, xyz=(0, 0, 0), R=None, axis=(0, 1, 0), limits=None, mimic=None):
        lines = [f'<parent link="{parent}"/><child link="{child}"/>']
        lines.append(f'<origin xyz="{_text(xyz)}" rpy="{_text(_rpy(np.eye(3) if R is None else R))}"/>')
        if kind != "fixed":
            lines.append(f'<axis xyz="{_text(axis)}"/>')
        if limits:
            lines.append(f'<limit lower="{limits[0]}" upper="{limits[1]}" velocity="3" effort="1"/>')
        if mimic:
            lines.append(f'<mimic joint="{mimic[0]}" multiplier="{mimic[1]}"/>')
        self.parts.append(f'<joint name="{name}" type="{kind}">{"".join(lines)}</joint>')

    def text(self) -> str:
        body = "\n".join(self.parts)
        return f'<robot name="{self.name}">\n{body}\n</robot>\n'


def collision(kind: str, xyz=(0, 0, 0), rpy=(0, 0, 0), **sizes: str) -> str:
    """A <collision> of one primitive."""
    figures = " ".join(f'{key}="{value}"' for key, value in sizes.items())
    origin = f'<origin xyz="{_text(xyz)}" rpy="{_text(rpy)}"/>'
    return f"<collision>{origin}<geometry><{kind} {figures}/></geometry></collision>"


def bar(length: float, radius: float = 0.008) -> str:
    """A cylinder along z from the link's origin."""
    return collision("cylinder", xyz=(0, 0, length / 2), radius=str(radius), length=str(length))


def finger(
    urdf: Urdf,
    name: str,
    parent: str,
    at,
    R,
    lengths,
    *,
    spread=None,
    spread_kind="revolute",
    mimic_last=False,
    shapes=True,
    mass=0.02,
) -> None:
    """A finger along z of R that bends about y toward x; no tip link. ``spread`` are the limits of a first joint."""
    links = [f"{name}_{number}" for number in range(len(lengths))]
    if spread is not None:
        urdf.link(f"{name}_base", 0.01)
        limits = None if spread_kind == "continuous" else spread
        urdf.joint(f"{name}_spread", spread_kind, parent, f"{name}_base", at, R, axis=(1, 0, 0), limits=limits)
        parent, at, R = f"{name}_base", (0, 0, 0.006), np.eye(3)
    for link, length in zip(links, lengths, strict=True):
        urdf.link(link, mass, bar(length) if shapes else "", (0, 0, length / 2))
    urdf.joint(f"{name}_j0", "revolute", parent, links[0], at, R, limits=(-0.1, 1.6))
    for number, (inner, outer) in enumerate(pairwise(links), start=1):
        last = mimic_last and number == len(links) - 1
        mimic = (f"{name}_j{number - 1}", 0.8) if last else None
        limits = (0.0, 1.28) if last else (0.0, 1.6)
        urdf.joint(
            f"{name}_j{number}", "revolute", inner, outer, (0, 0, lengths[number - 1]), limits=limits, mimic=mimic
        )


def thumb(urdf: Urdf, name: str, parent: str, G, side: str, lengths, *, at=(0.015, 0.02, 0.03), shapes=True) -> None:
    """A thumb on a swing joint along the fingers, pointing sideways, that bends across the palm."""
    flip = np.eye(3) if side == "right" else MIRROR
    urdf.link(f"{name}_swing", 0.03, bar(0.01, 0.008) if shapes else "")
    R = turned(roll=-60) @ turned(yaw=-30)
    axis = (0, 0, 1) if side == "right" else (0, 0, -1)
    urdf.joint(f"{name}_turn", "revolute", parent, f"{name}_swing", G @ flip @ at, G, axis=axis, limits=(-1.5, 0.3))
    finger(
        urdf, name, f"{name}_swing", flip @ (0, 0.008, 0.004), flip @ R @ MIRROR @ flip @ MIRROR, lengths, shapes=shapes
    )


def fingered(
    count: int, side: str = "right", G=None, *, names=None, splay=0.0, palm_root="palm", urdf=None, **options
) -> str:
    """A hand with a thumb and ``count - 1`` parallel (or splayed) fingers of three phalanges.

    ``names`` are what fingers are called, thumb first; by default they tell nothing, and are not in order.
    """
    G = np.eye(3) if G is None else G
    names = names or ["fc", "fa", "fd", "fb", "fe"][:count]
    urdf = urdf or Urdf()
    flip = np.eye(3) if side == "right" else MIRROR
    urdf.link(palm_root, 0.3)
    shapes = options.get("shapes", True)
    row = np.linspace(0.03, -0.03, count - 1)
    order = [*range(1, count - 1), 0] if count > 2 else [0]  # the file's order is not the hand's
    for number in order:
        R = flip @ turned(roll=-splay * row[number] / 0.03) @ flip
        at = flip @ (0.0, row[number], 0.1 - 0.3 * abs(row[number]))
        finger(urdf, names[1 + number], palm_root, G @ at, G @ R, (0.045, 0.03, 0.022), **options)
    thumb(urdf, names[0], palm_root, G, side, (0.045, 0.035, 0.025), shapes=shapes)
    return urdf.text()


def five(side="right", G=None, **options) -> str:
    """Five fingers, the outer joint of each follows, no shapes, no tip links."""
    return fingered(5, side, G, mimic_last=True, shapes=False, **options)


def four(side="right", G=None, **options) -> str:
    """Four fingers with spread joints, splayed by 8 degrees."""
    return fingered(4, side, G, spread=(-0.3, 0.3), splay=8.0, **options)


def continuous(side="right", G=None, **options) -> str:
    """Four fingers whose first joint turns without end."""
    return fingered(4, side, G, spread=(0, 0), spread_kind="continuous", **options)


def tri(side="right", G=None, **options) -> str:
    """Three fingers."""
    return fingered(3, side, G, **options)


def behind_an_arm(side="right", G=None, joints: int = 7, **options) -> str:
    """A world link, an arm of so many joints, a flange, and a four-finger hand."""
    urdf = Urdf()
    urdf.link("world")
    urdf.link("arm_0", 2.0)
    urdf.joint("mount", "fixed", "world", "arm_0", (0, 0, 0.5))
    for number in range(joints):
        urdf.link(f"arm_{number + 1}", 1.0)
        axis = ((0, 0, 1), (0, 1, 0))[number % 2]
        child = f"arm_{number + 1}"
        urdf.joint(f"a{number}", "revolute", f"arm_{number}", child, (0, 0, 0.15), axis=axis, limits=(-2.8, 2.8))
    urdf.joint("flange", "fixed", f"arm_{joints}", "palm", (0, 0, 0.05), turned(30, 40, 50))
    return fingered(4, side, G, urdf=urdf, **options)


def sharing(side="right", G=None) -> str:
    """A thumb, an index finger, and two fingers that hang on one joint of the palm."""
    G = np.eye(3) if G is None else G
    flip = np.eye(3) if side == "right" else MIRROR
    urdf = Urdf()
    urdf.link("palm", 0.3)
    thumb(urdf, "fa", "palm", G, side, (0.045, 0.035, 0.025))
    finger(urdf, "fb", "palm", G @ flip @ (0.0, 0.03, 0.09), G, (0.045, 0.03, 0.022))
    urdf.link("arch", 0.02)
    urdf.joint("fold", "revolute", "palm", "arch", G @ flip @ (0.0, -0.01, 0.03), G, axis=(0, 1, 0), limits=(0.0, 0.3))
    for name, y in (("fc", 0.01), ("fd", -0.015)):
        finger(urdf, name, "arch", flip @ (0.0, y, 0.06), np.eye(3), (0.045, 0.03, 0.022))
    return urdf.text()


def jaws(G=None, *, multiplier=-1.0) -> str:
    """A gripper with two turning jaws, the second of which follows the first; pads are boxes on them."""
    G = np.eye(3) if G is None else G
    urdf = Urdf()
    urdf.link("case", 0.5, collision("box", xyz=G @ (0, 0, 0.03), size=_text(np.abs(G @ (0.06, 0.04, 0.06)))))
    for name, sign in (("one", 1), ("two", -1)):
        pad = collision("box", xyz=(0, 0, 0.05), size="0.012 0.02 0.1")
        urdf.link(f"jaw_{name}", 0.05, pad, (0, 0, 0.05))
        mimic = None if sign == 1 else ("jaw_one_joint", multiplier)
        limits = (0.0, 0.6) if sign == 1 else (-0.6, 0.0)
        at = G @ (sign * 0.02, 0, 0.06)
        urdf.joint(f"jaw_{name}_joint", "revolute", "case", f"jaw_{name}", at, G, limits=limits, mimic=mimic)
    return urdf.text()


def sliders(G=None, *, mimic=True) -> str:
    """A gripper with two sliding fingers; without ``mimic`` nothing in the file couples them."""
    G = np.eye(3) if G is None else G
    urdf = Urdf()
    urdf.link("case", 0.5)
    for name, sign in (("one", 1), ("two", -1)):
        pad = collision("box", xyz=(sign * 0.006, 0, 0.03), size="0.012 0.02 0.06")
        urdf.link(f"slide_{name}", 0.05, pad)
        follows = ("slide_one_joint", 1.0) if mimic and sign == -1 else None
        limits = (0.0, 0.04)
        child, at = f"slide_{name}", G @ (0, 0, 0.06)
        urdf.joint(f"slide_{name}_joint", "prismatic", "case", child, at, G, (sign, 0, 0), limits, follows)
    return urdf.text()


HANDS: dict[str, tuple[Callable[..., str], int]] = {
    "tri": (tri, 3),
    "four": (four, 4),
    "five": (five, 5),
    "continuous": (continuous, 4),
    "behind_an_arm": (behind_an_arm, 4),
    "sharing": (sharing, 4),
}
"""Hands with fingers, and how many."""


def _text(values) -> str:
    return " ".join(f"{float(value):.12g}" for value in values)


def _rpy(R: np.ndarray) -> tuple[float, float, float]:
    return np.arctan2(R[2, 1], R[2, 2]), np.arcsin(np.clip(-R[2, 0], -1, 1)), np.arctan2(R[1, 0], R[0, 0])
