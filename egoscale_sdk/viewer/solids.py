"""Hands as solids, drawn flat from one side: capsules and boxes of their links, a person's beside a robot's.

Everything is seen from the palm's side, turned a little to the thumb, without perspective, so that lengths compare.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egoscale_sdk.geometry import inverse_pose, transform_points
from egoscale_sdk.specs import BodySpec, HandSpec, Side
from egoscale_sdk.viewer.figures import INK, ROBOT, data_uri, pyplot
from egoscale_sdk.viewer.skeletons import finger_colours

Floats = NDArray[np.float64]

BONE_M = 0.004  # half the thickness of a link that has no body
_ELEVATION_DEG = 16.0
_PANEL, _MUTED, _ACCENT = "#f3f5f8", "#7a8394", "#2e86ab"
_CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
_PAD_M, _HEAD_M, _FOOT_M, _GAP_M = 0.010, 0.040, 0.024, 0.008
_BARS_M = 0.026
_POINTS_PER_METRE = 560.0


@dataclass(frozen=True)
class Shape:
    """The convex hull of balls.

    Attributes:
        points: ``(N, 3)`` centres in the wrist frame, metres.
        radius_m: Of every ball.
        colour: ``#rrggbb``.
    """

    points: Floats
    radius_m: float
    colour: str


@dataclass(frozen=True)
class Solid:
    """A hand: its shapes, and its fingertips as points ``(K, 3)`` in the wrist frame."""

    shapes: tuple[Shape, ...]
    tips: Floats


@dataclass(frozen=True)
class Pair:
    """A person's and a robot's hand in one gesture.

    Attributes:
        title: The gesture.
        person: Left.
        robot: Right.
        caption: Figures, one line.
        openings_m: Gap between the person's thumb and fingers, and the gripper's; drawn as bars. None: no bars.
    """

    title: str
    person: Solid
    robot: Solid
    caption: str = ""
    openings_m: tuple[float, float] | None = None


def solid(hand: HandSpec, T_root_link: Mapping[str, Floats]) -> Solid:
    """Return a hand in the wrist frame, given the pose ``(4, 4)`` of every link in its root.

    A hand without bodies is drawn as lines from each link to the next.
    """
    T_wrist_root = inverse_pose(hand.T_root_wrist.matrix())
    poses = {link: np.asarray(T_wrist_root @ pose, np.float64) for link, pose in T_root_link.items()}
    colours = finger_colours(hand)
    shapes = [_shape(body, poses[body.link], colours.get(body.link, ROBOT)) for body in hand.bodies]
    if not shapes and hand.tree is not None:
        for joint in hand.tree.joints:
            ends = np.stack([poses[joint.parent][:3, 3], poses[joint.child][:3, 3]])
            shapes.append(Shape(ends, BONE_M, colours.get(joint.child, ROBOT)))
    tips = [poses[finger.frames[-1].frame][:3, 3] for finger in hand.fingers]
    return Solid(tuple(shapes), np.array(tips).reshape(-1, 3))


def gestures_figure(pairs: Sequence[Pair], side: Side, azimuth_deg: float = 32.0, columns: int = 4) -> str:
    """Draw pairs in a grid, all in one scale, and return the picture as a PNG data URI.

    Args:
        pairs: One per gesture.
        side: Which hand; a left one is seen from where a right one's mirror image looks the same.
        azimuth_deg: How far the view is turned from the palm's normal to the thumb's side.
        columns: Pairs in a row.
    """
    plt = pyplot()
    view = _view(azimuth_deg if side == "right" else -azimuth_deg)
    low, high = _bounds(pairs, view)
    size = high - low + 2 * _PAD_M  # of one hand's cell
    foot = _FOOT_M + (_BARS_M if any(pair.openings_m for pair in pairs) else 0)
    step = np.array([2 * size[0] + _GAP_M, size[1] + _HEAD_M + foot + _GAP_M])
    rows = -(-len(pairs) // columns)
    extent = step * (columns, rows)
    figure = plt.figure(figsize=extent * _POINTS_PER_METRE / 72)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, extent[0]), ylim=(-extent[1], 0), aspect="equal")
    axes.set_axis_off()
    for index, pair in enumerate(pairs):
        corner = step * (index % columns, -1 - index // columns) + _GAP_M / 2
        _panel(axes, pair, corner, step - _GAP_M, foot)
        for column, hand in enumerate((pair.person, pair.robot)):
            at = corner + np.array([column * size[0] + _PAD_M, foot + _PAD_M]) - low
            _draw(axes, hand, view, at)
    return data_uri(figure)


def _shape(body: BodySpec, pose: Floats, colour: str) -> Shape:
    if body.kind == "capsule":
        ends = np.array([body.from_m, body.to_m], float)
        return Shape(np.asarray(transform_points(pose, ends), np.float64), float(body.radius_m or 0), colour)
    corners = np.array(body.center_m, float) + _CORNERS * np.array(body.half_extent_m, float)
    return Shape(np.asarray(transform_points(pose, corners), np.float64), 1e-3, colour)


def _view(azimuth_deg: float) -> Floats:
    """Rows: right, up, towards the viewer, in the wrist frame; a right hand's thumb is on the right."""
    azimuth, elevation = np.deg2rad([azimuth_deg, _ELEVATION_DEG])
    towards = np.array(
        [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)], float
    )
    right = np.cross([0.0, 0.0, 1.0], towards)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(towards, right), towards])


def _bounds(pairs: Sequence[Pair], view: Floats) -> tuple[Floats, Floats]:
    shapes = [shape for pair in pairs for hand in (pair.person, pair.robot) for shape in hand.shapes]
    lows = [(shape.points @ view[:2].T).min(axis=0) - shape.radius_m for shape in shapes]
    highs = [(shape.points @ view[:2].T).max(axis=0) + shape.radius_m for shape in shapes]
    return np.min(lows, axis=0), np.max(highs, axis=0)


def _panel(axes: Any, pair: Pair, corner: Floats, size: Floats, foot: float) -> None:
    from matplotlib.patches import FancyBboxPatch

    style = "round,pad=0,rounding_size=0.006"
    x, y = map(float, corner)
    panel = FancyBboxPatch((x, y), float(size[0]), float(size[1]), boxstyle=style, facecolor=_PANEL, edgecolor="none")
    axes.add_patch(panel)
    top, middle = corner[1] + size[1] - 0.006, corner[0] + size[0] / 2
    axes.text(middle, top, pair.title, ha="center", va="top", fontsize=13, color=INK, weight="bold")
    for share, label in ((0.25, "person"), (0.75, "robot")):
        place = (corner[0] + share * size[0], top - 0.024)
        axes.text(*place, label, ha="center", va="top", fontsize=9, color=_MUTED)
    axes.text(middle, corner[1] + 0.005, pair.caption, ha="center", va="bottom", fontsize=10, color=INK)
    for row, (opening, colour) in enumerate(zip(pair.openings_m or (), (INK, _ACCENT), strict=False)):
        level = y + foot - 0.008 - 0.010 * row
        axes.plot([middle - opening / 2, middle + opening / 2], [level, level], color=colour, linewidth=4, zorder=5)


def _draw(axes: Any, hand: Solid, view: Floats, at: Floats) -> None:
    """Paint shapes from the farthest to the nearest; what is far is paler."""
    depths = [float((shape.points @ view[2]).mean()) for shape in hand.shapes]
    far, near = min(depths), max(depths) + 1e-6
    for order, index in enumerate(np.argsort(depths)):
        shape = hand.shapes[index]
        outline = _hull(_balls(shape.points @ view[:2].T, shape.radius_m)) + at
        pale = 0.45 * (near - depths[index]) / (near - far)
        fill, edge = _mixed(shape.colour, "#ffffff", 0.12 + pale), _mixed(shape.colour, "#20242b", 0.35)
        axes.fill(*outline.T, facecolor=fill, edgecolor=edge, linewidth=0.8, zorder=1 + order / 100, joinstyle="round")
    for tip in hand.tips @ view[:2].T + at:
        axes.plot(*tip, "o", color="white", markeredgecolor=INK, markersize=4, markeredgewidth=1.0, zorder=4)


def _balls(centres: Floats, radius: float) -> Floats:
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    circle = radius * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    around: Floats = (centres[:, None] + circle).reshape(-1, 2)
    return around


def _hull(points: Floats) -> Floats:
    """The convex hull of points ``(N, 2)``, anticlockwise (Andrew's monotone chain)."""
    ordered = points[np.lexsort((points[:, 1], points[:, 0]))]
    chains = []
    for run in (ordered, ordered[::-1]):
        chain: list[Floats] = []
        for point in run:
            while len(chain) > 1 and _turn(chain[-2], chain[-1], point) <= 0:
                chain.pop()
            chain.append(point)
        chains += chain[:-1]
    return np.array(chains)


def _turn(a: Floats, b: Floats, c: Floats) -> float:
    return float((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))


def _mixed(colour: str, other: str, share: float) -> tuple[float, ...]:
    a, b = (np.array([int(text[i : i + 2], 16) for i in (1, 3, 5)]) / 255 for text in (colour, other))
    return tuple(float(value) for value in (1 - share) * a + share * b)
