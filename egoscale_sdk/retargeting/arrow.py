"""One Gauss-Newton step of all fingers of all frames at once, unrolled over padded chains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from egoscale_sdk.retargeting.chains import Chains
from egoscale_sdk.retargeting.numbers import (
    Constants,
    Number,
    Vector,
    as_tensor,
    cross,
    dot,
    is_zero,
    minus,
    plus,
    plus_product,
    read,
    scaled,
    scaled_each,
    times,
)
from egoscale_sdk.retargeting.terms import HELD, HUBER_M, MAX_STEP, Term

Keys = list[float | int]
Solver = Callable[[list[list[Number]], list[Number]], list[Number]]


@dataclass(frozen=True)
class Pose:
    """Where a step's joints and frames are.

    Attributes:
        points: Per slot its place, three numbers ``(F, N)``.
        axes: Per step the axis of its motion.
        origins: Per step the place of its joint.
    """

    points: list[list[Tensor]]
    axes: list[Vector]
    origins: list[Vector]


class ArrowStep:
    r"""A projected Gauss-Newton step for frames of a hand whose fingers are chains.

    With ``r`` the term residuals, ``W`` their weights (times ``min(1, h / |r|)``, Huber) and a prior on the variables

    .. math:: (J^T W J + \rho + \lambda) \, \delta = -(J^T W r + \rho (u - u_0))

    Fingers meet only in the pinches with the thumb, so the matrix is an arrow: each finger's block is factorised and
    eliminated onto the thumb's, which costs a 3 x 3 matrix per finger because a pinch is one vector,

    .. math:: E_f = w_f - w_f^2 J_f H_f^{-1} J_f^T, \qquad S = H_T + J_T^T \Bigl(\sum_f E_f\Bigr) J_T

    A variable on a bound that its gradient presses against is held there. The result is within the bounds.
    """

    def __init__(self, chains: Chains, terms: tuple[Term, ...]) -> None:
        self.chains, self.terms = chains, terms
        self.steps, self.variables, self.fingers = chains.lead.shape
        self.pinches = self.fingers - 1 if chains.thumb else 0
        self._constants = Constants()
        self._lay_out()

    @property
    def signature(self) -> tuple[object, ...]:
        """What the unrolled program depends on; steps of equal signature differ in `constants` only."""
        return (
            self.chains.thumb,
            self.terms,
            repr((self._shift, self._turn, self._slides, self._offset, self._lead)),
            repr((self._place, self._moves)),
            self.fingers,
        )

    def constants(self, like: Tensor) -> Tensor:
        """Per-finger constants, to be passed to the step."""
        return self._constants.packed(like)

    def __call__(
        self,
        constants: Tensor,
        u: Tensor,
        bounds: Tensor,
        vectors: Tensor,
        weights: Tensor,
        pinch: Tensor,
        pinch_weights: Tensor,
        prior: Tensor,
        rho: Tensor,
        damping: Tensor,
    ) -> Tensor:
        """Return the next variables.

        Args:
            constants: From `constants`.
            u: ``(K, F, N)``.
            bounds: ``(2, K, F, 1)``.
            vectors: ``(R, 3, F, N)`` targets of the terms, metres.
            weights: ``(R, F, N)``.
            pinch: ``(3, F - 1, N)`` wanted vector from the thumb's tip to each other.
            pinch_weights: ``(F - 1, N)``.
            prior: ``(K, F, N)``.
            rho: ``(K, F, N)`` or broadcastable, weight of the prior.
            damping: ``()``, in units of the mean curvature.
        """
        pose = self.pose(constants, u)
        columns = self._columns(constants, pose)  # [P][K] vectors
        H, pull = self._normal(pose, columns, vectors, weights)
        reach = columns[-1]
        if self.pinches:
            self._add_pinches(pose, reach, pinch, pinch_weights, pull)
        mean = dot([H[a][a] for a in range(self.variables)], [1.0] * self.variables) / self.variables
        slope = [as_tensor(plus(pull[a], rho[a] * (u[a] - prior[a]))) for a in range(self.variables)]
        for a in range(self.variables):
            H[a][a] = H[a][a] + (damping * mean + rho[a])
        meet = partial(self._eliminate, reach=reach, weights=pinch_weights) if self.pinches else solve
        return projected_step(u, H, torch.stack(slope), bounds, meet)

    # ---- kinematics

    def pose(self, constants: Tensor, u: Tensor) -> Pose:
        """Forward kinematics of variables ``(K, F, N)``."""
        X, Y, Z = unit_vectors()
        o: Vector = [0.0, 0.0, 0.0]
        points = [self._point(constants, -1, slot, o, (X, Y, Z)) for slot in range(len(self._place))]
        axes, origins = [], []
        for m in range(self.steps):
            shift = [read(key, constants) for key in self._shift[m]]
            o = [plus(o[i], dot(shift, [X[i], Y[i], Z[i]])) for i in range(3)]
            turn = [[read(key, constants) for key in row] for row in self._turn[m]]
            X, Y, Z = turned(turn, X, Y, Z)
            X, Y, o = self._move(constants, m, u, (X, Y, Z), o)
            axes.append(Z)
            origins.append(o)
            for slot in range(len(points)):
                part = self._point(constants, m, slot, o, (X, Y, Z))
                points[slot] = [plus(a, b) for a, b in zip(points[slot], part, strict=True)]
        return Pose([self._full(point, u) for point in points], axes, origins)

    def _move(
        self, constants: Tensor, m: int, u: Tensor, axes: tuple[Vector, Vector, Vector], o: Vector
    ) -> tuple[Vector, Vector, Vector]:
        """Turn X and Y about Z, or slide along it."""
        X, Y, Z = axes
        value = read(self._offset[m], constants)
        for k in range(self.variables):
            value = plus_product(value, read(self._lead[m][k], constants), u[k])
        slides = read(self._slides[m], constants)
        angle, way = times(minus(1.0, slides), value), times(slides, value)
        o = [plus_product(o[i], way, Z[i]) for i in range(3)]
        if not isinstance(angle, Tensor):
            angle = u.new_tensor(angle)
        return *turned_about_z(angle, X, Y), o

    def _point(self, constants: Tensor, m: int, slot: int, o: Vector, axes: tuple[Vector, Vector, Vector]) -> Vector:
        """What the fingers whose frame hangs on step m add to that slot."""
        on, *place = (read(key, constants) for key in self._place[slot][m + 1])
        X, Y, Z = axes
        return [plus(times(on, o[i]), dot(place, [X[i], Y[i], Z[i]])) for i in range(3)]

    def _full(self, point: Vector, u: Tensor) -> list[Tensor]:
        """A constant of the geometry as a full tensor: residuals and targets have the same shape."""
        return [x if isinstance(x, Tensor) and x.shape == u.shape[1:] else torch.zeros_like(u[0]) + x for x in point]

    def _columns(self, constants: Tensor, pose: Pose) -> list[list[Vector]]:
        """Jacobian of every slot: per variable the velocity of its point."""
        found = []
        for slot, point in enumerate(pose.points):
            columns: list[Vector] = [[0.0, 0.0, 0.0] for _ in range(self.variables)]
            for m in range(self.steps):
                leads = [self._moves[slot][m][k] for k in range(self.variables)]
                if all(key == 0.0 and isinstance(key, float) for key in leads):
                    continue
                velocity = self._velocity(constants, pose, m, point)
                for k, key in enumerate(leads):
                    part = scaled(read(key, constants), velocity)
                    columns[k] = [plus(a, b) for a, b in zip(columns[k], part, strict=True)]
            found.append(columns)
        return found

    def _velocity(self, constants: Tensor, pose: Pose, m: int, point: list[Tensor]) -> Vector:
        z, slides = pose.axes[m], read(self._slides[m], constants)
        turning = cross(z, [minus(p, o) for p, o in zip(point, pose.origins[m], strict=True)])
        return [plus(times(minus(1.0, slides), t), times(slides, a)) for t, a in zip(turning, z, strict=True)]

    # ---- normal equations

    def _normal(
        self, pose: Pose, columns: list[list[Vector]], vectors: Tensor, weights: Tensor
    ) -> tuple[list[list[Number]], list[Number]]:
        H: list[list[Number]] = [[0.0] * self.variables for _ in range(self.variables)]
        g: list[Number] = [0.0] * self.variables
        for row, term in enumerate(self.terms):
            r, J = self._term(term, pose, columns, vectors[row])
            length = as_tensor(dot(r, r)).clamp(min=HUBER_M**2).sqrt()
            weight = weights[row] * (HUBER_M / length)
            for a in range(self.variables):
                if is_zero(J[a]):
                    continue
                pull = scaled(weight, J[a])
                g[a] = plus(g[a], dot(pull, r))
                for b in range(a + 1):
                    H[a][b] = plus(H[a][b], dot(pull, J[b]))
        return H, g

    def _term(self, term: Term, pose: Pose, columns: list[list[Vector]], target: Tensor) -> tuple[Vector, list[Vector]]:
        """Residual of a term and its Jacobian per variable."""
        outer: Vector = list(pose.points[term.outer])
        J = columns[term.outer]
        if term.inner is not None:
            outer = [minus(a, b) for a, b in zip(outer, pose.points[term.inner], strict=True)]
            J = [[minus(a, b) for a, b in zip(x, y, strict=True)] for x, y in zip(J, columns[term.inner], strict=True)]
        return [minus(x, target[i]) for i, x in enumerate(outer)], J

    def _add_pinches(self, pose: Pose, reach: list[Vector], pinch: Tensor, weights: Tensor, g: list[Number]) -> None:
        """Add the pinches' pull to the gradients; their curvature enters in the elimination."""
        tip = pose.points[-1]
        pull = [weights * (tip[i][1:] - tip[i][:1] - pinch[i]) for i in range(3)]  # (F - 1, N)
        whole = [torch.cat([-p.sum(0, keepdim=True), p]) for p in pull]  # (F, N)
        for a in range(self.variables):
            g[a] = plus(g[a], dot(reach[a], whole))

    def _eliminate(self, H: list[list[Number]], g: list[Number], reach: list[Vector], weights: Tensor) -> list[Number]:
        """Solve the arrow: fingers onto the thumb, the thumb, then the fingers."""
        thumb, finger = slice(0, 1), slice(1, None)
        Hf, Jf = _rows(H, finger), _rows(reach, finger)
        Ht, Jt = _rows(H, thumb), _rows(reach, thumb)
        _add_outer(Hf, [scaled(weights, J) for J in Jf], Jf)
        L, inverse = _factorise(Hf)
        Y = [_forward(L, [J[i] for J in Jf]) for i in range(3)]  # [3][K], (F - 1, N) each
        y = _forward(L, _rows([g], finger)[0])
        E, push = _onto_thumb(Y, y, inverse, weights)
        _add_outer(Ht, [[dot(E[i], J) for i in range(3)] for J in Jt], Jt)
        gt = _rows([g], thumb)[0]
        ut = solve(Ht, [plus(x, dot(J, push)) for x, J in zip(gt, Jt, strict=True)])
        way = [times(weights, dot([J[i] for J in Jt], ut)) for i in range(3)]  # (F - 1, N)
        y = [plus(v, dot([row[k] for row in Y], way)) for k, v in enumerate(y)]
        uf = _backward(L, scaled_each(inverse, y))
        return [torch.cat([as_tensor(a), as_tensor(b)]) for a, b in zip(ut, uf, strict=True)]

    # ---- the hand's constants

    def _lay_out(self) -> None:
        add, chains = self._constants.add, self.chains
        self._shift = [[add(row) for row in step] for step in chains.shift]
        self._turn = [[[add(entry) for entry in row] for row in step] for step in chains.turn]
        self._slides = [add(row) for row in chains.slides]
        self._offset = [add(row) for row in chains.offset]
        self._lead = [[add(row) for row in step] for step in chains.lead]
        self._place, self._moves = [], []
        for at, place in zip(chains.at, chains.place, strict=True):
            on = [(at == m).astype(float) for m in range(-1, self.steps)]
            self._place.append([[add(here), *(add(here * axis) for axis in place)] for here in on])
            moved = [(at >= m).astype(float) for m in range(self.steps)]
            self._moves.append([[add(moved[m] * row) for row in chains.lead[m]] for m in range(self.steps)])


def projected_step(u: Tensor, H: list[list[Number]], g: Tensor, bounds: Tensor, solve: Solver) -> Tensor:
    """Return ``u + d`` within the bounds, where ``H d = -g`` of the variables that are not held.

    Args:
        u: ``(K, F, N)``.
        H: Lower triangle, K rows.
        g: ``(K, F, N)``.
        bounds: ``(2, K, F, 1)``.
        solve: Solves for a matrix and a right side of K numbers.
    """
    low, high = u <= bounds[0], u >= bounds[1]
    held = (low & (g > 0)) | (high & (g < 0))
    delta = _solved(H, g, held, solve)
    # Once more, with those on their bounds that the step itself presses there. Where a slope is nearly zero,
    # rounding decides whether its variable is held at first; the second step does not depend on it.
    press = torch.where(held, g - HELD * delta, -delta)
    held = (low & (press > 0)) | (high & (press < 0))
    delta = _solved(H, g, held, solve)
    # exactly 0 where held: a hair's breadth off its bound it would be free in the next step, and so on for ever
    moved = torch.where(held, 0.0, delta.clamp(-MAX_STEP, MAX_STEP))
    return torch.minimum(torch.maximum(u + moved, bounds[0]), bounds[1])


def _solved(H: list[list[Number]], g: Tensor, held: Tensor, solve: Solver) -> Tensor:
    """The step ``(K, F, N)`` where some variables are held; how little they move tells how hard they press."""
    stiff = [[*row[:a], row[a] + held[a] * HELD, *row[a + 1 :]] for a, row in enumerate(H)]
    push: list[Number] = list(torch.where(held, 0.0, -g).unbind())
    return torch.stack([as_tensor(d) for d in solve(stiff, push)])


def unit_vectors() -> tuple[Vector, Vector, Vector]:
    """Axes x, y, z."""
    return [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]


def turned(turn: Sequence[Sequence[Number]], X: Vector, Y: Vector, Z: Vector) -> tuple[Vector, Vector, Vector]:
    """Columns of ``[X Y Z] @ turn``."""
    columns: list[Vector] = [
        [dot([turn[row][column] for row in range(3)], [X[i], Y[i], Z[i]]) for i in range(3)] for column in range(3)
    ]
    return columns[0], columns[1], columns[2]


def turned_about_z(angle: Tensor, X: Vector, Y: Vector) -> tuple[Vector, Vector]:
    """Axes X and Y, turned about Z."""
    c, s = torch.cos(angle), torch.sin(angle)
    turned = [plus_product(times(c, X[i]), s, Y[i]) for i in range(3)]
    return turned, [plus_product(times(c, Y[i]), s, X[i], -1.0) for i in range(3)]


def _rows(numbers: list[list[Number]], fingers: slice) -> list[list[Number]]:
    """Some of the fingers of every number."""
    return [[x[fingers] if isinstance(x, Tensor) else x for x in line] for line in numbers]


def _onto_thumb(
    Y: list[list[Number]], y: list[Number], inverse: list[Number], weights: Tensor
) -> tuple[list[list[Number]], list[Number]]:
    """What the fingers leave for the thumb's tip: stiffness E ``(3, 3)`` and push ``(3,)``, summed over fingers."""
    E: list[list[Number]] = [[0.0] * 3 for _ in range(3)]
    push: list[Number] = []
    for i in range(3):
        soft = scaled_each(inverse, Y[i])
        push.append(_total(times(weights, dot(soft, y))))
        for j in range(i + 1):
            stiff = minus(float(i == j), times(weights, dot(soft, Y[j])))
            E[i][j] = E[j][i] = _total(times(weights, stiff))
    return E, push


def _total(x: Number) -> Number:
    """Sum over fingers; the constant is zero."""
    return x.sum(0, keepdim=True) if isinstance(x, Tensor) else x


def _add_outer(H: list[list[Number]], left: list[Vector], right: list[Vector]) -> None:
    for a in range(len(H)):
        for b in range(a + 1):
            H[a][b] = plus(H[a][b], dot(left[a], right[b]))


def _factorise(H: list[list[Number]]) -> tuple[list[list[Number]], list[Number]]:
    """``H = L D L^T``: unit lower L and the inverses of D."""
    K = len(H)
    L: list[list[Number]] = [[0.0] * K for _ in range(K)]
    pivots: list[Number] = []
    inverse: list[Number] = []
    for j in range(K):
        v = scaled_each(pivots, L[j][:j])
        pivots.append(minus(H[j][j], dot(L[j][:j], v)))
        inverse.append(1.0 / pivots[j])
        for i in range(j + 1, K):
            L[i][j] = times(minus(H[i][j], dot(L[i][:j], v)), inverse[j])
    return L, inverse


def _forward(L: list[list[Number]], b: list[Number]) -> list[Number]:
    """Solve ``L y = b``."""
    y = list(b)
    for i in range(len(b)):
        for k in range(i):
            y[i] = plus_product(y[i], L[i][k], y[k], -1.0)
    return y


def _backward(L: list[list[Number]], y: list[Number]) -> list[Number]:
    """Solve ``L^T x = y``."""
    x = list(y)
    for i in reversed(range(len(y))):
        for k in range(i + 1, len(y)):
            x[i] = plus_product(x[i], L[k][i], x[k], -1.0)
    return x


def solve(H: list[list[Number]], b: list[Number]) -> list[Number]:
    """Solve ``H x = b`` for a positive matrix, its lower triangle."""
    L, inverse = _factorise(H)
    y = _forward(L, b)
    return _backward(L, scaled_each(inverse, y))
