"""Flow matching from noise to actions (EgoScale section 2.3, constants of GR00T N1.6).

``x_t = (1 - t) noise + t action``; the expert learns the velocity ``action - noise``; sampling integrates it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from egoscale_sdk.policy.config import FlowConfig

LAST_STRETCH = 0.25


def sample_times(count: int, config: FlowConfig, generator: torch.Generator) -> Tensor:
    """Draw ``(count,)`` flow times; most lie near 0, where there is most noise."""
    u = torch.rand(count, generator=generator) ** (1 / config.beta)  # Beta(beta, 1) has the inverse u ** (1 / beta)
    return (1 - u) * config.time_scale


def buckets(times: Tensor, config: FlowConfig) -> Tensor:
    """Discretise times in [0, 1) for the time embedding."""
    return (times * config.buckets).long()


def interpolate(noise: Tensor, action: Tensor, times: Tensor) -> Tensor:
    """Return ``x_t`` for ``times (B,)`` and arrays ``(B, H, D)``."""
    t = times[:, None, None].to(action.dtype)
    return (1 - t) * noise + t * action


def velocity(readout: Tensor, noisy: Tensor, times: Tensor, config: FlowConfig) -> Tensor:
    """Turn what the heads read out, ``(B, H, D)``, into the velocity at ``noisy`` and ``times (B,)`` below 1."""
    if config.predict == "velocity":
        return readout
    return (readout - noisy) / (1 - times)[:, None, None].to(readout.dtype)


def velocity_error(readout: Tensor, noise: Tensor, action: Tensor, times: Tensor, config: FlowConfig) -> Tensor:
    """Return by how much the velocity that was read out differs from the true one, ``(B, H, D)``."""
    if config.predict == "velocity":
        return readout - (action - noise)
    return (readout - action) / stretch(times, config).to(readout.dtype)


def stretch(times: Tensor, config: FlowConfig) -> Tensor:
    """Return how far a velocity error carries to the action, ``(B, 1, 1)``: ``1 - t``.

    Where actions are read out it is bounded, lest samples that are nearly free of noise dominate the loss.
    """
    ahead = (1 - times)[:, None, None]
    return ahead if config.predict == "velocity" else ahead.clamp(min=LAST_STRETCH)


def euler(velocity: Callable[[Tensor, Tensor], Tensor], noise: Tensor, mask: Tensor, config: FlowConfig) -> Tensor:
    """Integrate from noise ``(B, H, D)`` in ``config.steps`` equal steps; masked columns are 0 throughout."""
    x = torch.where(mask, noise, 0)
    for step in range(config.steps):
        times = torch.full((len(x),), step / config.steps, device=x.device)
        x = torch.where(mask, x + velocity(x, times) / config.steps, 0)
    return x
