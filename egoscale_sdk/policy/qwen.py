"""The Qwen3-VL family: prompt, then images, in one user turn; deepstack features enter the lower layers.

The library's modules are called one by one. Every image has the same size here, so that positions, placeholders and
attention need none of the library's loops over images and samples; a test holds the two equal.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from egoscale_sdk.policy.backbone import Backbone, Features
from egoscale_sdk.policy.config import BackboneConfig
from egoscale_sdk.policy.images import patchify


class Qwen3VLBackbone(Backbone):
    """Qwen3-VL with its upper layers and final norm left out."""

    def __init__(self, config: BackboneConfig) -> None:
        from transformers import Qwen3VLModel

        super().__init__()
        self.config = config
        self.model = Qwen3VLModel(library_config(config))
        self.model.language_model.norm = nn.Identity()
        nn.init.normal_(self.model.visual.pos_embed.weight, std=config.position_std)
        for block in self.model.visual.blocks:
            block.attn = _batched(block.attn)

    @property
    def towers(self) -> dict[str, nn.Module]:
        """The vision tower with its mergers, and the language model."""
        return {"vision": self.model.visual, "language": self.model.language_model}

    def forward(self, images: Tensor, camera_mask: Tensor, tokens: Tensor, token_mask: Tensor) -> Features:
        """Encode a batch; see `Backbone.forward`."""
        (b, c), n = camera_mask.shape, self.config.image_tokens
        ids, embed = self.config.tokens, self.model.language_model.embed_tokens
        merged, deepstack = self._see(images, camera_mask)  # (B, C, n, width), a list of the same
        marks = embed(tokens.new_tensor([ids.vision_start, ids.vision_end])).expand(b, c, 2, -1)
        turn = torch.cat([marks[:, :, :1], merged.to(marks.dtype), marks[:, :, 1:]], dim=2)  # (B, C, n + 2, width)
        suffix = embed(tokens.new_tensor(ids.suffix)).expand(b, -1, -1)
        seen = camera_mask[:, :, None].expand(b, c, n + 2).flatten(1)
        mask = torch.cat([token_mask, seen, token_mask.new_ones(b, len(ids.suffix))], dim=1)
        kinds = [False] * tokens.shape[1] + [False, *[True] * n, False] * c + [False] * len(ids.suffix)
        is_image = torch.tensor(kinds, device=tokens.device)
        hidden = self.model.language_model(
            inputs_embeds=torch.cat([embed(tokens), turn.flatten(1, 2), suffix], dim=1),
            attention_mask=_causal(mask),
            position_ids=self._positions(token_mask, c),
            visual_pos_masks=is_image.expand(b, -1),
            deepstack_visual_embeds=[layer.flatten(0, 2) for layer in deepstack],
            use_cache=False,
        ).last_hidden_state
        return Features(hidden[:, ~is_image], mask[:, ~is_image], hidden[:, is_image], mask[:, is_image])

    def _see(self, images: Tensor, camera_mask: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Run the vision tower over the images that are there; absent ones become zeros."""
        shape = (*camera_mask.shape, self.config.image_tokens, self.config.text.width)
        present = images[camera_mask]
        if len(present) == 0:
            return images.new_zeros(shape), [images.new_zeros(shape) for _ in self.config.vision.deepstack]
        layers = []
        patches = patchify(present, self.config)
        for flat in self._vision_tower(patches.reshape(len(present), -1, patches.shape[-1])):
            placed = flat.new_zeros(shape)
            placed[camera_mask] = flat.reshape(len(present), *shape[2:])
            layers.append(placed)
        return layers[-1], layers[:-1]

    def _vision_tower(self, patches: Tensor) -> list[Tensor]:
        """Run ``(N, patches, values)`` of N images; returns deepstack features, then the merged output."""
        visual = self.model.visual
        embed = visual.patch_embed.proj  # a convolution whose stride is its kernel: one matrix product
        x = F.linear(patches.to(embed.weight.dtype), embed.weight.flatten(1), embed.bias)
        rotary, learned = self._vision_positions(x)
        x, features = x + learned, []
        for i, block in enumerate(visual.blocks):
            x = block(x, cu_seqlens=None, position_embeddings=rotary)
            if i in self.config.vision.deepstack:
                merger = visual.deepstack_merger_list[self.config.vision.deepstack.index(i)]
                features.append(merger(x.flatten(0, 1)))
        return [*features, visual.merger(x.flatten(0, 1))]

    def _vision_positions(self, x: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """Return the rotary pair and the learned positions, resampled to the grid, of one image."""
        from transformers import vision_utils

        visual, merge = self.model.visual, self.config.vision.merge
        grid = torch.tensor([[1, *self.config.grid]], device=x.device)
        rotary = visual.rotary_pos_emb(x, vision_utils.get_vision_position_ids(grid, merge))
        indices, weights = vision_utils.get_vision_interpolation_indices_and_weights(
            grid, visual.num_grid_per_side, visual.interpolation_mode, visual.interpolation_align_corners, merge
        )
        learned = (visual.pos_embed(indices) * weights[..., None]).sum(1)
        return rotary, learned.to(x.dtype)

    def _positions(self, token_mask: Tensor, cameras: int) -> Tensor:
        """Return M-RoPE positions ``(3, B, L)``: text counts on, an image spans its rows and columns."""
        merge, suffix = self.config.vision.merge, len(self.config.tokens.suffix)
        rows, columns = self.config.grid[0] // merge, self.config.grid[1] // merge
        span, zero = max(rows, columns), torch.zeros(1, dtype=torch.long)
        axes = torch.meshgrid(zero, torch.arange(rows), torch.arange(columns), indexing="ij")
        image = torch.cat([zero.expand(3, 1), 1 + torch.stack(axes).flatten(1), zero.expand(3, 1) + 1 + span], dim=1)
        tail = [image + i * (span + 2) for i in range(cameras)]
        tail.append(torch.arange(suffix).expand(3, -1) + cameras * (span + 2))
        text = (token_mask.long().cumsum(1) - 1).clamp(min=0)
        after = torch.cat(tail, dim=1).to(token_mask.device)[:, None] + token_mask.sum(1)[None, :, None]
        return torch.cat([text.expand(3, -1, -1), after], dim=2)


def _causal(mask: Tensor) -> Tensor:
    """Return who may look at whom, ``(B, 1, L, L)``: nobody ahead, nothing masked, everybody at himself."""
    length = mask.shape[1]
    own = torch.eye(length, dtype=torch.bool, device=mask.device)
    return ((mask[:, None, :] & own.new_ones(length, length).tril()) | own)[:, None]


def library_config(config: BackboneConfig) -> Any:
    """Return the ``Qwen3VLConfig`` of transformers that a config stands for."""
    from transformers import Qwen3VLConfig

    vision, text = config.vision, config.text
    return Qwen3VLConfig(
        vision_config={
            "depth": vision.layers,
            "hidden_size": vision.width,
            "intermediate_size": vision.feed_forward,
            "num_heads": vision.heads,
            "patch_size": vision.patch_px,
            "spatial_merge_size": vision.merge,
            "temporal_patch_size": vision.temporal_patch,
            "out_hidden_size": text.width,
            "num_position_embeddings": vision.positions,
            "deepstack_visual_indexes": list(vision.deepstack),
            "initializer_range": config.initializer_range,
        },
        text_config={
            "vocab_size": text.vocab,
            "hidden_size": text.width,
            "intermediate_size": text.feed_forward,
            "num_hidden_layers": text.layers,
            "num_attention_heads": text.heads,
            "num_key_value_heads": text.kv_heads,
            "head_dim": text.head_dim,
            "initializer_range": config.initializer_range,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": text.rope_theta,
                "mrope_section": list(text.rope_sections),
                "mrope_interleaved": True,
            },
        },
        image_token_id=config.tokens.image,
        vision_start_token_id=config.tokens.vision_start,
        vision_end_token_id=config.tokens.vision_end,
        attn_implementation="sdpa",
    )


def _batched(attention: Any) -> nn.Module:
    """Replace the library's vision attention, made for packed images, by one over a batch of images."""
    batched: nn.Module = _batched_class()(attention.config)
    batched.load_state_dict(attention.state_dict())
    return batched


@cache
def _batched_class() -> Any:
    from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLVisionAttention

    class BatchedVisionAttention(Qwen3VLVisionAttention):  # type: ignore[misc]  # the library is untyped
        """Attention within each image of ``(N, patches, width)``."""

        def forward(self, hidden_states: Tensor, position_embeddings: tuple[Tensor, Tensor], **_: Any) -> Tensor:
            """Attend within images."""
            qkv = self.qkv(hidden_states).unflatten(-1, (3, self.num_heads, -1))
            q, k, v = (x.transpose(1, 2) for x in qkv.unbind(2))  # (N, heads, patches, dim)
            q, k = _rotate(q, *position_embeddings), _rotate(k, *position_embeddings)
            mixed = F.scaled_dot_product_attention(q, k, v)
            return self.proj(mixed.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]

    return BatchedVisionAttention


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Apply rotary positions ``(patches, dim)`` to ``x (N, heads, patches, dim)``, in float32 as the library does."""
    first, second = x.float().chunk(2, dim=-1)
    turned = torch.cat([-second, first], dim=-1)
    return (x.float() * cos.float() + turned * sin.float()).to(x.dtype)
