"""What a policy must beat on the same episodes: itself untrained, itself blind, and the mean demonstration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch

from egoscale_sdk.data import Dataset
from egoscale_sdk.policy.vla import VLA
from egoscale_sdk.runtime.policy import LoadedPolicy
from egoscale_sdk.runtime.rollout import mean_demonstration
from egoscale_sdk.runtime.sources import ActionSource, PolicySource
from egoscale_sdk.specs import EmbodimentSpec, Side


def untrained(policy: LoadedPolicy, seed: int) -> LoadedPolicy:
    """Return the same policy with the random weights that training began with, and the trained one's scales."""
    trained = policy.checkpoint
    torch.manual_seed(seed)
    fresh = VLA.from_config(trained.policy.config, trained.policy.tokenizer)
    for entry in trained.embodiments.values():
        fresh.grow(entry.layout)
        if entry.state_layout is not None:
            fresh.grow_state(entry.id, entry.state_layout)
    return LoadedPolicy(replace(trained, policy=fresh), policy.device)


def baselines(
    policy: LoadedPolicy,
    spec: EmbodimentSpec,
    sides: tuple[Side, ...],
    prompt: str,
    demonstrations: tuple[Dataset, str] | None,
    *,
    samples: int,
    seed: int,
) -> Iterator[tuple[str, ActionSource]]:
    """Yield each baseline's name and source; ``demonstrations`` are a dataset and one of its action sets."""
    yield "untrained", PolicySource(untrained(policy, seed), spec, sides, prompt, samples=samples)
    yield "blank_camera", PolicySource(policy, spec, sides, prompt, samples=samples, blank=True)
    if demonstrations is not None:
        yield "mean_demonstration", mean_demonstration(*demonstrations, sides)
