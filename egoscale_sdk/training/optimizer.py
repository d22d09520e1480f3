"""AdamW, its schedule as a pure function of the step, and its state as plain tensors."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from egoscale_sdk.policy.vla import VLA
from egoscale_sdk.training.recipe import Part, TrainingRecipe

MOMENTS = ("exp_avg", "exp_avg_sq", "step")


def parts_of(policy: VLA) -> dict[Part, list[nn.Module]]:
    """Return the modules that each name in a recipe's ``freeze`` stands for."""
    towers = policy.backbone.towers
    return {
        "vision": [towers["vision"]],
        "language": [towers["language"]],
        "expert": [policy.expert, policy.readouts],
        "adapters": [policy.adapters],
    }


def freeze(policy: VLA, names: tuple[Part, ...]) -> None:
    """Put the policy into training, except for the named parts, which neither learn nor drop out."""
    policy.train()
    parts = parts_of(policy)
    for name in names:
        for module in parts[name]:
            module.requires_grad_(False)
            module.eval()


def learning_rate(recipe: TrainingRecipe, step: int) -> float:
    """Linear warm-up, then a cosine to zero at the last step."""
    warmup = round(recipe.warmup * recipe.steps)
    if step < warmup:
        return recipe.learning_rate * (step + 1) / warmup
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, recipe.steps - warmup)))


def build_optimizer(policy: VLA, recipe: TrainingRecipe) -> torch.optim.AdamW:
    """AdamW over what is not frozen."""
    learning = [parameter for parameter in policy.parameters() if parameter.requires_grad]
    return torch.optim.AdamW(
        learning, lr=recipe.learning_rate, betas=recipe.betas, weight_decay=recipe.weight_decay, fused=True
    )


def optimizer_tensors(policy: VLA, optimizer: Any) -> dict[str, Tensor]:
    """Return the optimizer's state as ``moment/parameter``; a parameter without a gradient so far has none."""
    return {
        f"{moment}/{name}": optimizer.state[parameter][moment]
        for name, parameter in policy.named_parameters()
        if optimizer.state.get(parameter)
        for moment in MOMENTS
    }


def restore_optimizer(policy: VLA, optimizer: Any, tensors: dict[str, Tensor]) -> None:
    """Undo `optimizer_tensors`."""
    for name, parameter in policy.named_parameters():
        if f"step/{name}" in tensors:
            optimizer.state[parameter] = {m: tensors[f"{m}/{name}"].to(parameter.device) for m in MOMENTS}


def optimizer_shapes(policy: VLA) -> dict[str, tuple[int, ...]]:
    """Return names and shapes of every tensor that `optimizer_tensors` may hold."""
    return {
        f"{moment}/{name}": () if moment == "step" else tuple(parameter.shape)
        for name, parameter in policy.named_parameters()
        for moment in MOMENTS
    }
