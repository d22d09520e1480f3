"""Joint trajectories of many windows at once: follow the person frame by frame, smoothly over time."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from egoscale_sdk.retargeting.banded import Twin
from egoscale_sdk.retargeting.engine import Engine
from egoscale_sdk.retargeting.goals import Goals
from egoscale_sdk.retargeting.terms import Term

LEAST_SURE = 1e-4  # relative weight of a frame that shows nothing, in the smoother
FREE_RAD = 10.0  # a joint of a larger range has no middle
LONGEST_GAP = 8  # frames; what lies farther apart is not smoothed together


@dataclass(frozen=True)
class Effort:
    r"""How the trajectory is found.

    With ``f_t`` the terms of frame t, minimise ``sum_t f_t(u_t) + s |D u|^2`` (D: second difference) within the bounds,
    by ADMM (Boyd et al. 2011): after a few frame-wise steps from rest, every round is

    .. math:: u \leftarrow \arg\min f(u) + \rho |u - z + d|^2, \quad z \leftarrow S(u + d), \quad d \leftarrow d + u - z

    one Gauss-Newton step for the first, the banded smoother S for the second.

    Attributes:
        iterations: Frame-wise steps.
        rounds: Rounds with the smoother; 0 leaves frames to themselves.
        smoothing: s, m^2 per (rad per frame^2)^2.
        pull: rho, m^2 / rad^2.
        rest: Weight of the start in the frame-wise steps, m^2 / rad^2: what nothing else determines stays there.
    """

    iterations: int = 4
    rounds: int = 6
    smoothing: float = 0.06
    pull: float = 2e-2
    rest: float = 3e-5


def solve(engine: Engine, goals: Goals, windows: int, start: Tensor, effort: Effort) -> Tensor:
    """Return variables ``(K, F, N)`` of W windows of T frames side by side, ``N = T W``, frame-major.

    Args:
        engine: The hand.
        goals: Of N frames.
        windows: W.
        start: ``(K, F, N)`` or broadcastable, where to begin.
        effort: How long and how smooth.
    """
    W, T = windows, goals.sure.shape[-1] // windows
    start = start.expand(*start.shape[:2], T * W)
    u = _inside(start, engine.bounds.to(start))
    rest = torch.full_like(u[:1], effort.rest)
    for k in range(effort.iterations):
        u = engine.step(u, goals, start, rest, 1e-3 * 0.3**k)
    if effort.rounds == 0 or T < 4:
        return u
    sure = engine.grouped(goals.sure).reshape(-1, T, W)
    groups = len(sure)
    before, after = _seen_beside(sure > LEAST_SURE)
    u = _bridged(u.reshape(-1, groups, T, W), before, after).reshape(u.shape)
    weight = effort.pull * sure.clamp(min=LEAST_SURE)
    rho = weight.reshape(1, groups, -1)
    twin = Twin(weight, effort.smoothing * _linked(before, after), engine.native)
    prior = twin(u)
    for k in range(effort.rounds):
        u = engine.step(u, goals, prior, rho, 1e-5)
        prior = twin(u, last=k == effort.rounds - 1)
    lower, upper = engine.bounds.to(u)
    return torch.minimum(torch.maximum(prior, lower), upper)


def _inside(start: Tensor, bounds: Tensor) -> Tensor:
    """Half-way to the middle of the ranges: from there no variable has to leave a bound first."""
    middle = torch.where(bounds.abs().amax(0) < FREE_RAD, bounds.mean(0), start)
    return (start + middle) / 2


def misfit(engine: Engine, terms: tuple[Term, ...], goals: Goals, u: Tensor) -> Tensor:
    """Weighted RMS distance of all terms and pinches from what is wanted, ``(N,)`` metres."""
    points = engine.points(u)
    total, weight = torch.zeros_like(u[0, 0]), torch.zeros_like(u[0, 0])
    for row, term in enumerate(terms):
        vector = points[term.outer] if term.inner is None else points[term.outer] - points[term.inner]
        total = total + (goals.weights[row] * (vector - goals.vectors[row]).square().sum(0)).sum(0)
        weight = weight + goals.weights[row].sum(0)
    if len(goals.pinch_weights):
        apart = points[-1][:, 1:] - points[-1][:, :1] - goals.pinch
        total = total + (goals.pinch_weights * apart.square().sum(0)).sum(0)
        weight = weight + goals.pinch_weights.sum(0)
    return (total / weight.clamp(min=1e-9)).clamp(min=1e-18).sqrt()


def _seen_beside(known: Tensor) -> tuple[Tensor, Tensor]:
    """The nearest known frame up to, and from, every frame ``(groups, T, W)``; -1 and T where there is none."""
    T = known.shape[1]
    frames = torch.arange(T, device=known.device)[:, None].expand(known.shape)
    before = torch.where(known, frames, -1).cummax(1).values
    return before, torch.where(known, frames, T).flip(1).cummin(1).values.flip(1)


def _bridged(u: Tensor, before: Tensor, after: Tensor) -> Tensor:
    """Straight lines over frames ``(K, groups, T, W)`` that are not known; the first and the last hold outwards."""
    T = u.shape[2]
    first, last = torch.where(before < 0, after, before), torch.where(after == T, before, after)
    frames = torch.arange(T, device=u.device)[:, None].expand(first.shape)
    never = first == T  # such a trajectory stays as it is
    first, last = torch.where(never, frames, first), torch.where(never, frames, last)
    share = ((frames - first).to(u) / (last - first).clamp(min=1).to(u)).clamp(0, 1)
    inner, outer = (u.gather(2, index.expand(u.shape)) for index in (first, last))
    return (1 - share) * inner + share * outer


def _linked(before: Tensor, after: Tensor) -> Tensor:
    """1 where a frame is smoothed together with both its neighbours: not in long gaps and not beside them."""
    inside = (before >= 0) & (after < before.shape[1]) & (after - before <= LONGEST_GAP + 1)
    edge = torch.zeros_like(inside[:, :1])
    return inside & torch.cat([edge, inside[:, :-1]], dim=1) & torch.cat([inside[:, 1:], edge], dim=1)
