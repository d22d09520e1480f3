"""What differs between hands and bodies: small encoders and heads around the shared action expert.

Shared by all: the wrist encoder and the wrist head. One pair per hand space and side: the hand encoder and head, so
that every embodiment with that hand trains and uses the same ones. One per embodiment: the state encoder.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from egoscale_sdk.data.scales import hand_key
from egoscale_sdk.policy.config import ExpertConfig
from egoscale_sdk.specs import SIDES, WRIST_DIM, RowLayout, Side

WRISTS = 2 * WRIST_DIM


def hand_keys(layout: RowLayout) -> dict[str, str]:
    """Adapter name of every hand block of a layout, e.g. ``{"left_hand": "acme/hand@1 left"}``."""
    return {f"{side}_hand": hand_key(space.id, side) for side, space in layout.hand_spaces}


def mlp(inside: int, hidden: int, outside: int) -> nn.Sequential:
    """Return the two-layer perceptron that GR00T uses for its adapters."""
    return nn.Sequential(nn.Linear(inside, hidden), nn.ReLU(), nn.Linear(hidden, outside))


class Adapters(nn.Module):
    """Encoders and heads that grow on demand.

    Columns arrive in an embodiment's layout; a masked column is zero and an absent hand adds no embedding.
    """

    def __init__(self, config: ExpertConfig) -> None:
        super().__init__()
        self.config = config
        width, hidden = config.width, config.adapter_hidden
        self.wrist_encoder = nn.Linear(WRISTS + len(SIDES), width, bias=False)  # columns, then which side is there
        self.wrist_head = mlp(width, hidden, WRISTS)
        self.hand_encoders = nn.ModuleDict()
        self.hand_heads = nn.ModuleDict()
        self.state_encoders = nn.ModuleDict()
        self.placeholder = nn.Parameter(0.02 * torch.randn(width))

    def grow(self, layout: RowLayout) -> None:
        """Add encoder and head for the hands of ``layout`` that are new."""
        width, hidden = self.config.width, self.config.adapter_hidden
        for side, space in layout.hand_spaces:
            key = hand_key(space.id, side)
            if key not in self.hand_encoders:
                self.hand_encoders[key] = nn.Linear(space.dim, width)
                self.hand_heads[key] = mlp(width, hidden, space.dim)

    def grow_state(self, embodiment: str, layout: RowLayout) -> None:
        """Add the state encoder of an embodiment whose measured rows have ``layout``, unless it is there."""
        if embodiment not in self.state_encoders:
            self.state_encoders[embodiment] = mlp(layout.dim, self.config.adapter_hidden, self.config.width)

    def encode(self, layout: RowLayout, chunk: Tensor, mask: Tensor) -> Tensor:
        """Embed chunk elements: ``(B, H, D)`` and their mask to ``(B, H, width)``."""
        chunk = torch.where(mask, chunk, 0)
        wrists, there = self._wrists(layout, chunk, mask)
        embedding: Tensor = self.wrist_encoder(torch.cat([wrists, there], dim=-1))
        for block, key in hand_keys(layout).items():
            columns = layout.blocks[block]
            present = mask[..., columns].any(-1, keepdim=True)
            embedding = embedding + self.hand_encoders[key](chunk[..., columns]) * present
        return embedding

    def decode(self, layout: RowLayout, hidden: Tensor) -> Tensor:
        """Read chunk columns ``(B, H, D)`` from ``(B, H, width)``."""
        wrists = self.wrist_head(hidden)
        sides = [wrists[..., _wrist_columns(side)] for side in layout.sides]
        hands = [self.hand_heads[key](hidden) for key in hand_keys(layout).values()]
        return torch.cat([*sides, *hands], dim=-1)

    def encode_state(self, embodiment: str, state: Tensor, mask: Tensor, keep: Tensor | None = None) -> Tensor:
        """Embed measured rows ``(B, D')`` to ``(B, width)``.

        The placeholder stands in where nothing was measured, where ``keep (B,)`` is False, and everywhere if this
        embodiment has no state encoder.
        """
        if embodiment not in self.state_encoders:
            return self.placeholder.expand(len(state), -1)
        measured = mask.any(-1) if keep is None else mask.any(-1) & keep
        encoded = self.state_encoders[embodiment](torch.where(mask, state, 0))
        return torch.where(measured[:, None], encoded, self.placeholder.to(encoded.dtype))

    @staticmethod
    def _wrists(layout: RowLayout, chunk: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Spread the wrists of a layout over the 18 shared columns; says which sides have any."""
        shared = chunk.new_zeros(*chunk.shape[:-1], WRISTS)
        there = chunk.new_zeros(*chunk.shape[:-1], len(SIDES))
        for side in layout.sides:
            columns = layout.blocks[f"{side}_wrist"]
            shared[..., _wrist_columns(side)] = chunk[..., columns]
            there[..., SIDES.index(side)] = mask[..., columns].any(-1).to(chunk.dtype)
        return shared, there


def _wrist_columns(side: Side) -> slice:
    start = WRIST_DIM * SIDES.index(side)
    return slice(start, start + WRIST_DIM)
