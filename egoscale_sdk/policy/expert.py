"""The action expert: a DiT over one state token and H action tokens, after GR00T N1.6.

Even blocks attend to the backbone's tokens (text and image in turn), odd ones to the sequence itself; time enters
through adaptive layer norms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from egoscale_sdk.policy.backbone import Features
from egoscale_sdk.policy.config import ExpertConfig

TIME_FREQUENCIES = 256


@dataclass(frozen=True)
class Memory:
    """Keys and values of one cross-attention layer, ``(B, heads, L, dim)``, and its mask ``(B, 1, 1, L)``."""

    key: Tensor
    value: Tensor
    mask: Tensor

    def repeat(self, times: int) -> Memory:
        """Repeat the batch, the copies of a sample being ``B`` apart."""
        return Memory(*(part.repeat(times, 1, 1, 1) for part in (self.key, self.value, self.mask)))


def sinusoid(values: Tensor, dim: int) -> Tensor:
    """Embed values ``(*b,)`` as ``(*b, dim)``: cosines, then sines, of geometrically falling frequencies."""
    half = dim // 2
    rates = torch.exp(torch.arange(half, device=values.device) * (-math.log(10000.0) / half))
    angles = values[..., None].float() * rates
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


class AdaptiveNorm(nn.Module):
    """Layer norm without weights of its own; scale and shift come from the conditioning."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=1e-5, elementwise_affine=False)
        self.modulation = nn.Linear(width, 2 * width)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Normalise ``x (B, L, width)`` under ``condition (B, width)``."""
        scale, shift = self.modulation(F.silu(condition))[:, None].chunk(2, dim=-1)
        return cast(Tensor, self.norm(x) * (1 + scale) + shift)


class Attention(nn.Module):
    """Multi-head attention of a sequence to itself or to a `Memory` made beforehand."""

    def __init__(self, width: int, heads: int, source: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(source, 2 * width)
        self.out = nn.Linear(width, width)

    def remember(self, tokens: Tensor, mask: Tensor | None = None) -> Memory:
        """Compute keys and values of ``tokens (B, L, source)``; ``mask (B, L)`` says which may be looked at."""
        key, value = self.key_value(tokens).chunk(2, dim=-1)
        seen = tokens.new_ones(tokens.shape[:2], dtype=torch.bool) if mask is None else mask
        return Memory(self._split(key), self._split(value), seen[:, None, None])

    def forward(self, x: Tensor, memory: Memory | None = None) -> Tensor:
        """Attend from ``x (B, L, width)`` to the memory, or to itself."""
        mask = None if memory is None else memory.mask
        memory = memory or self.remember(x)
        query = self._split(self.query(x))
        mixed = F.scaled_dot_product_attention(query, memory.key, memory.value, attn_mask=mask)
        return cast(Tensor, self.out(mixed.transpose(1, 2).flatten(2)))

    def _split(self, x: Tensor) -> Tensor:
        return x.reshape(*x.shape[:-1], self.heads, -1).transpose(1, 2)


class Block(nn.Module):
    """Adaptive norm, attention, feed-forward; residual around both."""

    def __init__(self, config: ExpertConfig, source: int) -> None:
        super().__init__()
        width = config.width
        self.norm = AdaptiveNorm(width)
        self.attention = Attention(width, config.heads, source)
        self.feed_norm = nn.LayerNorm(width, eps=1e-5, elementwise_affine=False)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, config.feed_forward * width),
            nn.GELU(approximate="tanh"),
            nn.Dropout(config.dropout),
            nn.Linear(config.feed_forward * width, width),
        )
        self.drop = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, condition: Tensor, memory: Memory | None) -> Tensor:
        """Apply the block to ``x (B, L, width)``."""
        x = x + self.drop(self.attention(self.norm(x, condition), memory))
        return cast(Tensor, x + self.drop(self.feed_forward(self.feed_norm(x))))


class ActionExpert(nn.Module):
    """Predicts the velocity of the flow at every chunk element, in its own width; adapters read it out."""

    def __init__(self, config: ExpertConfig, source: int, horizon: int) -> None:
        super().__init__()
        width = config.width
        self.config = config
        self.source_norm = nn.LayerNorm(source)
        # Always there to be attended to, so that a sample without any camera or text has somewhere to look.
        self.nothing = nn.Parameter(0.02 * torch.randn(source))
        self.position = nn.Parameter(0.02 * torch.randn(horizon, width))
        self.time = nn.Sequential(nn.Linear(TIME_FREQUENCIES, width), nn.SiLU(), nn.Linear(width, width))
        self.mix_time = nn.Linear(2 * width, width)
        self.mix = nn.Linear(width, width)
        self.blocks = nn.ModuleList(Block(config, width if i % 2 else source) for i in range(config.layers))
        self.final_norm = AdaptiveNorm(width)
        self.out = nn.Linear(width, width)

    def remember(self, features: Features) -> list[Memory | None]:
        """Compute keys and values for every cross-attention block, once per observation; None for the others."""
        text = self._source(features.text, features.text_mask)
        image = self._source(features.image, features.image_mask)
        blocks = cast("list[Block]", list(self.blocks))
        return [
            None if i % 2 else block.attention.remember(*(image if i % 4 else text)) for i, block in enumerate(blocks)
        ]

    def forward(
        self, actions: Tensor, state: Tensor, bucket: Tensor, memories: list[Memory | None], summary: Tensor | None
    ) -> Tensor:
        """Predict ``(B, H, width)``.

        Args:
            actions: Embedded noisy chunk elements, ``(B, H, width)``.
            state: State token, ``(B, width)``.
            bucket: Discretised flow time, ``(B,)``.
            memories: From `remember`, for the same batch.
            summary: Image summary ``(B, width)`` that joins the state token and the conditioning, or None.
        """
        condition = self.time(sinusoid(bucket, TIME_FREQUENCIES).to(actions.dtype))
        times = sinusoid(bucket, self.config.width).to(actions.dtype)[:, None].expand_as(actions)
        tokens = self.mix(F.silu(self.mix_time(torch.cat([actions, times], dim=-1))))
        tokens = tokens + self.position[: actions.shape[1]]
        if summary is not None:
            state, condition = state + summary, condition + summary
        x = torch.cat([state[:, None], tokens], dim=1)
        for block, memory in zip(self.blocks, memories, strict=True):
            x = block(x, condition, memory)
        return cast(Tensor, self.out(self.final_norm(x, condition)[:, 1:]))

    def _source(self, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Normalise the backbone's tokens, clear the masked ones and append the one that is always there."""
        tokens = torch.where(mask[..., None], self.source_norm(tokens), 0)
        nothing = self.nothing.to(tokens.dtype).expand(len(tokens), 1, -1)
        return torch.cat([tokens, nothing], dim=1), torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
