"""Hands of any structure: fingers that share joints or branch. Slower than chains, and otherwise the same problem."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from egoscale_sdk.retargeting.arrow import projected_step, solve, turned, turned_about_z, unit_vectors
from egoscale_sdk.retargeting.chains import LEVER_M, Move, Path, frame_path, leaders
from egoscale_sdk.retargeting.clips import UNBOUNDED_RAD, float32_limits
from egoscale_sdk.retargeting.engine import Engine
from egoscale_sdk.retargeting.numbers import (
    Number,
    Vector,
    as_tensor,
    cross,
    dot,
    is_zero,
    minus,
    plus,
    plus_product,
    scaled,
)
from egoscale_sdk.retargeting.quality import thumb_first
from egoscale_sdk.retargeting.terms import HUBER_M, Term
from egoscale_sdk.specs import HandSpec

CHUNK = 2048  # frames solved at once: what fits in the cache; changes no result


class DenseEngine(Engine):
    """All joints of the hand as one group of variables, ``(J, 1, N)``; steps as `ArrowStep`, by dense algebra.

    As there, everything is elementwise over frames: a product of matrices would round a frame as its batch has it.
    """

    def __init__(self, hand: HandSpec, terms: tuple[Term, ...]) -> None:
        fingers = thumb_first(hand)
        frames = list(dict.fromkeys(target.frame for finger in fingers for target in finger.frames))
        P = max(len(finger.frames) for finger in fingers)
        padded = [[finger.frames[0]] * (P - len(finger.frames)) + list(finger.frames) for finger in fingers]
        self._terms = terms
        self._slots = [[frames.index(own[k].frame) for own in padded] for k in range(P)]
        units = [LEVER_M if joint.unit == "m" else 1.0 for joint in hand.actuated]
        self._scale = torch.tensor(units, dtype=torch.float64)
        self._paths = [_led(hand, frame_path(hand, frame), units) for frame in frames]
        ends = torch.stack(float32_limits(hand)).clamp(-UNBOUNDED_RAD, UNBOUNDED_RAD) / self._scale
        self.bounds = ends[:, :, None, None]

    def variables(self, joints: Tensor) -> Tensor:
        """See `Engine.variables`."""
        return (joints / self._scale.to(joints)[:, None])[:, None]

    def joints(self, u: Tensor, rest: Tensor) -> Tensor:
        """See `Engine.joints`."""
        return u[:, 0] * self._scale.to(u)[:, None]

    def points(self, u: Tensor) -> Tensor:
        """See `Engine.points`."""
        places = [torch.stack([torch.zeros_like(u[0]) + x for x in place]) for place, _ in self._frames(u)]
        return torch.stack([torch.cat([places[at] for at in slot], dim=1) for slot in self._slots])

    def grouped(self, fingers: Tensor) -> Tensor:
        """See `Engine.grouped`."""
        return fingers.mean(0, keepdim=True)

    def in_chunks(self, *given: Tensor) -> Tensor:
        """See `Engine.in_chunks`."""
        *framewise, damping = given
        chunks = zip(*(torch.split(part, CHUNK, dim=-1) for part in framewise), strict=True)
        return torch.cat([self._step(*chunk, damping) for chunk in chunks], dim=-1)

    def _step(self, u: Tensor, *rest: Tensor) -> Tensor:
        """See `ArrowStep.__call__`."""
        vectors, weights, pinch, pinch_weights, prior, rho, damping = rest
        J, frames = len(u), self._frames(u)
        H: list[list[Number]] = [[0.0] * J for _ in range(J)]
        pull: list[Number] = [0.0] * J
        for row, term in enumerate(self._terms):
            for f, outer in enumerate(self._slots[term.outer]):
                r, slopes = _apart(frames[outer], None if term.inner is None else frames[self._slots[term.inner][f]])
                r = [minus(x, vectors[row, i, f : f + 1]) for i, x in enumerate(r)]
                length = as_tensor(dot(r, r)).clamp(min=HUBER_M**2).sqrt()
                _add(H, pull, r, slopes, weights[row, f : f + 1] * (HUBER_M / length))
        for f in range(len(pinch_weights)):
            r, slopes = _apart(frames[self._slots[-1][f + 1]], frames[self._slots[-1][0]])
            r = [minus(x, pinch[i, f : f + 1]) for i, x in enumerate(r)]
            _add(H, pull, r, slopes, pinch_weights[f : f + 1])
        stay = rho.expand_as(u)
        mean = dot([H[a][a] for a in range(J)], [1.0] * J) / J
        slope = torch.stack([as_tensor(plus(pull[a], stay[a] * (u[a] - prior[a]))) for a in range(J)])
        for a in range(J):
            H[a][a] = H[a][a] + (damping * mean + stay[a])
        return projected_step(u, H, slope, self.bounds.to(u), solve)

    def _frames(self, u: Tensor) -> list[Frame]:
        """All followed frames; ways that begin alike are gone once."""
        known: dict[Names, Pose] = {(): Pose([0.0, 0.0, 0.0], unit_vectors(), ())}
        for path in self._paths:
            for count, step in enumerate(path.steps, start=1):
                if path.names[:count] not in known:
                    known[path.names[:count]] = known[path.names[: count - 1]].after(step, u)
        return [known[path.names].carried(path.tail_m, len(u)) for path in self._paths]


# ---- kinematics

Names = tuple[tuple[str, float], ...]
Frame = tuple[Vector, list[Vector]]
"""Place of a frame, and per variable its velocity."""


@dataclass(frozen=True)
class Step:
    """A `Move`, by ``multiplier u[column] + offset``; column -1 where nothing leads it."""

    move: Move
    column: int
    multiplier: float
    offset: float


@dataclass(frozen=True)
class LedPath:
    """The way from the wrist frame to a frame: steps, what tells them from others, and the place in the last one."""

    steps: tuple[Step, ...]
    names: Names
    tail_m: list[float]


@dataclass(frozen=True)
class Pose:
    """Where a way has come: origin and axes; and the steps taken, each with the axis and the origin of its motion."""

    o: Vector
    axes: tuple[Vector, Vector, Vector]
    taken: tuple[tuple[Step, Vector, Vector], ...]

    def after(self, step: Step, u: Tensor) -> Pose:
        """One step on, for variables ``(J, 1, N)``."""
        T: list[list[float]] = step.move.T.tolist()
        o = self.point([row[3] for row in T[:3]])
        X, Y, Z = turned([[*row[:3]] for row in T[:3]], *self.axes)
        led = step.multiplier * u[step.column] if step.column >= 0 else torch.zeros_like(u[0])
        value = led + step.offset
        if step.move.prismatic:
            o = [plus_product(o[i], value, Z[i]) for i in range(3)]
        else:
            X, Y = turned_about_z(value, X, Y)
        return Pose(o, (X, Y, Z), (*self.taken, (step, Z, o)))

    def point(self, place: Sequence[float]) -> Vector:
        """A place given in these axes."""
        return [plus(self.o[i], dot(place, [axis[i] for axis in self.axes])) for i in range(3)]

    def carried(self, place: Sequence[float], variables: int) -> Frame:
        """A place given in these axes, and how it moves."""
        at = self.point(place)
        slopes: list[Vector] = [[0.0, 0.0, 0.0] for _ in range(variables)]
        for step, axis, origin in self.taken:
            if step.column >= 0:
                arm = [minus(a, b) for a, b in zip(at, origin, strict=True)]
                way = scaled(step.multiplier, axis if step.move.prismatic else cross(axis, arm))
                slopes[step.column] = [plus(a, b) for a, b in zip(slopes[step.column], way, strict=True)]
        return at, slopes


def _led(hand: HandSpec, path: Path, units: Sequence[float]) -> LedPath:
    lead = [
        (column, multiplier * units[column] if column >= 0 else 0.0, offset)
        for column, multiplier, offset in leaders(hand, path.moves)
    ]
    steps = tuple(Step(move, *led) for move, led in zip(path.moves, lead, strict=True))
    return LedPath(steps, tuple((move.name, move.sign) for move in path.moves), path.tail_m.tolist())


def _apart(outer: Frame, inner: Frame | None) -> Frame:
    """The vector from one frame to another, or to a frame from the wrist."""
    if inner is None:
        return outer
    place, *slopes = (
        [minus(a, b) for a, b in zip(x, y, strict=True)]
        for x, y in zip((outer[0], *outer[1]), (inner[0], *inner[1]), strict=True)
    )
    return place, slopes


def _add(H: list[list[Number]], g: list[Number], r: Vector, slopes: list[Vector], weight: Tensor) -> None:
    """Add a residual's curvature (lower triangle) and gradient."""
    for a, slope in enumerate(slopes):
        if is_zero(slope):
            continue
        pull = scaled(weight, slope)
        g[a] = plus(g[a], dot(pull, r))
        for b in range(a + 1):
            H[a][b] = plus(H[a][b], dot(pull, slopes[b]))
