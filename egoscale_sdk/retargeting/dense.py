"""Hands of any structure: fingers that share joints or branch. Slower than chains, and otherwise the same problem."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from egoscale_sdk.retargeting.chains import LEVER_M, Path, frame_path, leaders
from egoscale_sdk.retargeting.clips import UNBOUNDED_RAD, float32_limits
from egoscale_sdk.retargeting.engine import Engine
from egoscale_sdk.retargeting.goals import Goals
from egoscale_sdk.retargeting.quality import thumb_first
from egoscale_sdk.retargeting.terms import HELD, HUBER_M, MAX_STEP, Term
from egoscale_sdk.specs import HandSpec

CHUNK = 512  # frames solved at once: what fits in the cache


class DenseEngine(Engine):
    """All joints of the hand as one group of variables, ``(J, 1, N)``; steps as `ArrowStep`, by dense algebra."""

    def __init__(self, hand: HandSpec, terms: tuple[Term, ...]) -> None:
        fingers = thumb_first(hand)
        frames = tuple(dict.fromkeys(target.frame for finger in fingers for target in finger.frames))
        P = max(len(finger.frames) for finger in fingers)
        padded = [[finger.frames[0]] * (P - len(finger.frames)) + list(finger.frames) for finger in fingers]
        self._slots = torch.tensor([[frames.index(own[k].frame) for own in padded] for k in range(P)])
        units = torch.tensor([LEVER_M if joint.unit == "m" else 1.0 for joint in hand.actuated])
        self._scale = units.double()
        self._paths = FramePaths(hand, [frame_path(hand, frame) for frame in frames], self._scale.numpy())
        ends = torch.stack(float32_limits(hand)).clamp(-UNBOUNDED_RAD, UNBOUNDED_RAD) / self._scale
        self.bounds = ends[:, :, None, None]
        self._rows = self._differences(len(frames), terms, thumb=fingers[0].role == "thumb")

    def variables(self, joints: Tensor) -> Tensor:
        """See `Engine.variables`."""
        return (joints / self._scale.to(joints)[:, None])[:, None]

    def joints(self, u: Tensor, rest: Tensor) -> Tensor:
        """See `Engine.joints`."""
        return u[:, 0] * self._scale.to(u)[:, None]

    def points(self, u: Tensor) -> Tensor:
        """See `Engine.points`."""
        places, _ = self._paths(u[:, 0].T)
        return places[:, self._slots].permute(1, 3, 2, 0)

    def grouped(self, fingers: Tensor) -> Tensor:
        """See `Engine.grouped`."""
        return fingers.mean(0, keepdim=True)

    def step(self, u: Tensor, goals: Goals, prior: Tensor, rho: Tensor, damping: float) -> Tensor:
        """See `Engine.step`."""
        parts = []
        for start in range(0, u.shape[-1], CHUNK):
            rows = slice(start, start + CHUNK)
            weight = rho[:, 0, rows] if rho.shape[-1] > 1 else rho[:, 0]
            now = u[:, 0, rows]
            parts.append(self._step(now.T, goals.rows(rows), prior[:, 0, rows].T, weight.expand_as(now).T, damping))
        return torch.cat(parts).T[:, None]

    def _step(self, u: Tensor, goals: Goals, prior: Tensor, rho: Tensor, damping: float) -> Tensor:
        wanted = torch.cat([goals.vectors.permute(3, 0, 2, 1).flatten(1, 2), goals.pinch.permute(2, 1, 0)], dim=1)
        weights = torch.cat([goals.weights.permute(2, 0, 1).flatten(1), goals.pinch_weights.T], dim=1)  # (N, rows)
        places, slopes = self._paths(u)
        rows = self._rows.to(u)
        r = rows @ places - wanted  # (N, rows, 3)
        bent = r.square().sum(-1)[:, : goals.weights.shape[0] * goals.weights.shape[1]].clamp(min=HUBER_M**2)
        huber = torch.nn.functional.pad(HUBER_M / bent.sqrt(), (0, len(goals.pinch_weights)), value=1.0)
        J = (rows @ slopes.flatten(2)).reshape(*r.shape, -1)  # (N, rows, 3, J)
        pull = (J * (weights * huber)[..., None, None]).flatten(1, 2)  # (N, 3 rows, J)
        gradient = (pull.mT @ r.flatten(1)[..., None])[..., 0] + rho * (u - prior)
        H = pull.mT @ J.flatten(1, 2)
        lower, upper = self.bounds[:, :, 0, 0].to(u)
        H = H + torch.diag_embed(damping * H.diagonal(dim1=-2, dim2=-1).mean(-1, keepdim=True) + rho)

        def solved(held: Tensor) -> Tensor:
            found: Tensor = torch.linalg.solve(H + torch.diag_embed(held * HELD), torch.where(held, 0.0, -gradient))
            return found

        low, high = u <= lower, u >= upper
        held = (low & (gradient > 0)) | (high & (gradient < 0))
        delta = solved(held)
        press = torch.where(held, gradient - HELD * delta, -delta)  # see `ArrowStep`
        held = (low & (press > 0)) | (high & (press < 0))
        moved = solved(held).clamp(-MAX_STEP, MAX_STEP).masked_fill(held, 0.0)
        return torch.minimum(torch.maximum(u + moved, lower), upper)

    def _differences(self, frames: int, terms: tuple[Term, ...], thumb: bool) -> Tensor:
        """Matrix ``(R F + pinches, frames)`` that takes places to the vectors of the terms, then of the pinches."""
        tips, fingers = self._slots[-1].tolist(), self._slots.T.tolist()
        pairs = [(own[t.outer], None if t.inner is None else own[t.inner]) for t in terms for own in fingers]
        pairs += [(tip, tips[0]) for tip in tips[1:]] if thumb else []
        rows = torch.zeros(len(pairs), frames, dtype=torch.float64)
        for row, (outer, inner) in zip(rows, pairs, strict=True):
            row[outer] += 1
            if inner is not None:
                row[inner] -= 1
        return rows


class FramePaths:
    """Places and their derivatives of frames that each have a way of their own from the wrist, L of them, M moves.

    Args:
        hand: The hand.
        paths: The ways.
        units: ``(J,)`` joint value per unit of its variable.
    """

    def __init__(self, hand: HandSpec, paths: list[Path], units: np.ndarray) -> None:
        L, M, J = len(paths), max(1, *(len(path.moves) for path in paths)), len(units)
        turn, shift, tail = np.tile(np.eye(3), (M, L, 1, 1)), np.zeros((M, L, 3)), np.zeros((L, 3))
        slides, lead, offset = np.zeros((M, L, 1)), np.zeros((M, L, J)), np.zeros((M, L))
        for n, path in enumerate(paths):
            tail[n] = path.tail_m
            for m, (move, (column, multiplier, start)) in enumerate(
                zip(path.moves, leaders(hand, path.moves), strict=True)
            ):
                turn[m, n], shift[m, n], slides[m, n, 0] = move.T[:3, :3], move.T[:3, 3], move.prismatic
                offset[m, n] = start
                if column >= 0:
                    lead[m, n, column] = multiplier * units[column]
        self._tables = tuple(map(torch.from_numpy, (turn, shift, slides, lead, offset, tail)))
        self._cast: dict[torch.dtype, tuple[Tensor, ...]] = {}
        self._last: tuple[Tensor, tuple[Tensor, Tensor]] | None = None

    def __call__(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Return places ``(N, L, 3)`` and derivatives ``(N, L, 3, J)`` for variables ``(N, J)``.

        One frame alone is remembered: online, the next step starts where the last one ended.
        """
        if len(u) > 1 or u.requires_grad:
            return self._evaluate(u)
        if self._last is None or self._last[0].dtype != u.dtype or not torch.equal(self._last[0], u):
            self._last = (u, self._evaluate(u))
        return self._last[1]

    def _evaluate(self, u: Tensor) -> tuple[Tensor, Tensor]:
        if u.dtype not in self._cast:
            self._cast[u.dtype] = tuple(table.to(u) for table in self._tables)
        turn, shift, slides, lead, offset, tail = self._cast[u.dtype]
        value = (u @ lead.flatten(0, 1).T).reshape(-1, *offset.shape) + offset  # (N, M, L)
        c, s = torch.cos(value * (1 - slides[..., 0])), torch.sin(value * (1 - slides[..., 0]))
        none, one = torch.zeros_like(c), torch.ones_like(c)
        local = turn @ torch.stack([c, -s, none, s, c, none, none, none, one], dim=-1).reshape(*c.shape, 3, 3)
        slid = torch.stack([none, none, value * slides[..., 0]], dim=-1)  # along local z
        steps = shift + (turn @ slid[..., None])[..., 0]  # (N, M, L, 3)
        R, o = local[:, 0], steps[:, 0]
        axes, origins = [R[..., 2]], [o]
        for m in range(1, len(turn)):
            o = o + (R @ steps[:, m, :, :, None])[..., 0]
            R = R @ local[:, m]
            axes.append(R[..., 2])
            origins.append(o)
        places = o + (R @ tail[..., None])[..., 0]
        z, away = torch.stack(axes, 1), places[:, None] - torch.stack(origins, 1)  # (N, M, L, 3)
        velocity = torch.linalg.cross(z, away) * (1 - slides) + z * slides
        return places, torch.einsum("nmlx,mlj->nlxj", velocity, lead)
