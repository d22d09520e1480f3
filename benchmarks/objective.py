"""dex-retargeting's own vector objective, minimised by our solver and judged beside NLopt's answer.

Frame by frame, from the same last posture and within the same bounds (the hand's, widened by 1 mrad as it does),

    F(q) = mean_k smooth_l1(|p_k(q) - s v_k|, beta = 20 mm) + 0.004 |q - q_last|^2

over the fingertips and one inner link a finger. The second term is in its gradient, though not in the value that it
returns. F is evaluated by the benchmark's own kinematics for both.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from measures import ROUNDING, Kinematics
from methods import NotRunError, Task, halfway

from egoscale_sdk.retargeting.chains import padded_chains
from egoscale_sdk.retargeting.engine import FingerEngine
from egoscale_sdk.retargeting.goals import Goals
from egoscale_sdk.retargeting.quality import followed_points, thumb_first
from egoscale_sdk.retargeting.terms import Term
from egoscale_sdk.specs import HandSpec

BETA_M, NORM_DELTA, WIDER_RAD = 0.02, 4e-3, 1e-3
ITERATIONS, TOLERANCE = 5, 1e-6
LENGTHS = (1.0, 2.0)  # of steps that are tried


def compare(task: Task, nlopt: np.ndarray) -> dict[str, Any]:
    """Return how our minimum compares on every frame with NLopt's joints ``(T, J)``.

    Raises:
        NotRunError: our solver cannot minimise this objective for this hand.
    """
    lower, upper = (np.array([getattr(joint, end) for joint in task.hand.actuated]) for end in ("lower", "upper"))
    last = np.clip(np.concatenate([(lower + upper)[None] / 2, nlopt[:-1]]), lower, upper).astype(np.float32)
    wanted = task.scale * tips_and_inner(task.hand, followed_points(task.hand, task.motion.keypoints))
    own = minimise(task.hand, wanted, last.astype(np.float64), ITERATIONS)
    if (np.maximum(lower - own, own - upper) > WIDER_RAD + ROUNDING).any():
        raise NotRunError("our joints left the bounds")
    excess = value(task.hand, own, wanted, last) - value(task.hand, nlopt, wanted, last)
    return {
        "sequence": task.motion.name,
        "iterations": ITERATIONS,
        "frames": len(excess),
        "lower_or_equal": int((excess <= TOLERANCE).sum()),
        "largest_excess": float(excess.max()),
        "median_excess": float(np.median(excess)),
    }


def value(hand: HandSpec, q: np.ndarray, wanted: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Return F of joints ``(T, J)`` for places ``wanted (T, 2F, 3)`` of tips and inner links."""
    r = np.linalg.norm(tips_and_inner(hand, Kinematics(hand).fingers(q)) - wanted, axis=-1)
    smooth_l1 = np.where(r < BETA_M, 0.5 * r**2 / BETA_M, r - 0.5 * BETA_M).mean(axis=1)
    return smooth_l1 + NORM_DELTA * np.square(q - last).sum(axis=1)


def tips_and_inner(hand: HandSpec, points: list[np.ndarray]) -> np.ndarray:
    """Return ``(T, 2F, 3)`` of positions ``(T, frames, 3)`` finger by finger."""
    inner = [finger[:, k] for finger, k in zip(points, halfway(hand), strict=True)]
    return np.stack([*(finger[:, -1] for finger in points), *inner], axis=1)


def minimise(hand: HandSpec, wanted: np.ndarray, last: np.ndarray, steps: int) -> np.ndarray:
    """Take our Gauss-Newton steps from ``last (T, J)``, which is also what the regulariser pulls to.

    A step is taken twice as far where that is lower: reweighted least squares alone are slow where many points lie
    beyond the threshold of Huber's function.
    """
    chains = padded_chains(hand)
    if chains is None or any(joint.mimic for joint in hand.joints):
        raise NotRunError("joints of this hand are coupled or shared by fingers")
    F, P = len(hand.fingers), len(chains.at)
    terms = tuple(Term(outer=k, inner=None, weight=1.0, of_tip=False) for k in range(P))
    engine = FingerEngine(hand, chains, terms)
    engine.bounds = engine.bounds + torch.tensor([-WIDER_RAD, WIDER_RAD]).double()[:, None, None, None]
    vectors, weights = torch.zeros(P, 3, F, len(last)).double(), torch.zeros(P, F, len(last)).double()
    weight = 1 / (BETA_M * 2 * F)  # smooth L1 is Huber's function over beta
    for f, (finger, k) in enumerate(zip(thumb_first(hand), halfway(hand), strict=True)):
        for slot, points in ((P - 1, wanted[:, f]), (P - len(finger.frames) + k, wanted[:, F + f])):
            vectors[slot, :, f], weights[slot, f] = torch.from_numpy(points.T), weight
    apart = max(F - 1, 0) if chains.thumb else 0
    none = torch.zeros(3, apart, len(last)).double()
    goals = Goals(vectors, weights, none, none[0], torch.ones(F, len(last)).double())
    rest = torch.from_numpy(last.T.copy())
    u = prior = engine.variables(rest)
    rho = torch.full_like(prior[..., :1], 2 * NORM_DELTA)
    for k in range(steps):
        way = engine.step(u, goals, prior, rho, 1e-3 * 0.3**k) - u
        ends = [(u + length * way).clamp(*engine.bounds) for length in LENGTHS]
        values = [value(hand, engine.joints(end, rest).T.numpy(), wanted, last) for end in ends]
        lowest = torch.from_numpy(np.argmin(values, axis=0)).expand(1, *u.shape)
        u = torch.stack(ends).gather(0, lowest)[0]
    return engine.joints(u, rest).T.numpy()
