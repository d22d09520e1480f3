"""What a policy is made of, as data; three presets."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from egoscale_sdk.errors import RecipeError, did_you_mean
from egoscale_sdk.specs.base import Name, Strict

Positive = Field(gt=0, le=2**20)
Layers = Field(gt=0, le=256)


class TextConfig(Strict):
    """The language model; ``layers`` counts those that are kept (EgoScale's family keeps the lower ones)."""

    vocab: int = Positive
    width: int = Positive
    feed_forward: int = Positive
    layers: int = Layers
    heads: int = Positive
    kv_heads: int = Positive
    head_dim: int = Positive
    rope_theta: float = 5e6
    rope_sections: tuple[int, int, int]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.heads % self.kv_heads:
            raise ValueError(f"heads ({self.heads}) must be a multiple of kv_heads ({self.kv_heads})")
        if 2 * sum(self.rope_sections) != self.head_dim:
            raise ValueError(f"rope_sections must sum to head_dim / 2 = {self.head_dim // 2}")
        return self


class VisionConfig(Strict):
    """The vision tower: patches of ``patch_px``, merged ``merge`` x ``merge`` into one token."""

    width: int = Positive
    feed_forward: int = Positive
    layers: int = Layers
    heads: int = Positive
    patch_px: int = Positive
    merge: int = Positive
    temporal_patch: int = Positive
    positions: int = Positive
    deepstack: tuple[int, ...] = ()


class TokenIds(Strict):
    """Ids of the special tokens, and the tokens around a prompt."""

    pad: int = Field(ge=0)
    vision_start: int = Field(ge=0)
    vision_end: int = Field(ge=0)
    image: int = Field(ge=0)
    prefix: tuple[int, ...] = ()
    suffix: tuple[int, ...] = ()


BYTES = TokenIds(pad=256, vision_start=258, vision_end=259, image=260, prefix=(257,))


class BackboneConfig(Strict):
    """The vision-language backbone.

    Random weights are drawn with ``initializer_range``, the vision position embedding with ``position_std``: a
    narrow model learns nothing at the usual 0.02. ``weights`` is a local folder that they are read from instead.
    """

    family: Literal["qwen3_vl"] = "qwen3_vl"
    vision: VisionConfig
    text: TextConfig
    tokenizer: Literal["bytes", "file"] = "bytes"
    tokens: TokenIds = BYTES
    weights: str = ""
    image_height_px: int = Field(gt=0, le=4096)
    image_width_px: int = Field(gt=0, le=4096)
    max_prompt_tokens: int = Field(default=96, gt=0, le=8192)
    initializer_range: float = 0.02
    position_std: float = 0.02

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        cell = self.vision.patch_px * self.vision.merge
        if self.image_height_px % cell or self.image_width_px % cell:
            raise ValueError(f"image size must be a multiple of patch_px * merge = {cell}")
        if max(self.tokens.model_dump(exclude={"prefix", "suffix"}).values()) >= self.text.vocab:
            raise ValueError(f"a special token lies outside the vocabulary of {self.text.vocab}")
        return self

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches in one image."""
        return self.image_height_px // self.vision.patch_px, self.image_width_px // self.vision.patch_px

    @property
    def image_tokens(self) -> int:
        """Tokens of one image after merging."""
        return self.grid[0] * self.grid[1] // self.vision.merge**2


class ExpertConfig(Strict):
    """The action expert: a DiT that alternates cross-attention and self-attention.

    ``image_summary`` adds one linear readout of all image tokens to the state token and to the time conditioning;
    a small model learns where things are through it, a large one does not need it.
    """

    width: int = Positive
    layers: int = Layers
    heads: int = Positive
    feed_forward: int = Field(default=4, gt=0, le=16)
    adapter_hidden: int = Positive
    dropout: float = Field(default=0.0, ge=0, lt=1)
    image_summary: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"width ({self.width}) must be a multiple of heads ({self.heads})")
        return self


class FlowConfig(Strict):
    """Flow matching as in GR00T N1.6: ``t = (1 - u) * time_scale`` with ``u ~ Beta(beta, 1)``; t = 0 is noise.

    ``predict``: the heads read out the velocity (as published), or the clean action that the velocity leads to. The
    second serves an expert hardly wider than a chunk has columns: it need not carry the noise through to its output.
    """

    beta: float = Field(default=1.5, gt=0)
    time_scale: float = Field(default=0.999, gt=0, le=1)
    buckets: int = Field(default=1000, gt=0)
    steps: int = Field(default=4, gt=0, le=1000)
    predict: Literal["velocity", "action"] = "velocity"


class PolicyConfig(Strict):
    """One policy: what it sees (``cameras``; empty: all that its data have), how far it looks ahead, its parts.

    ``horizon`` chunk elements of ``chunk_dt_s`` each, the same for every embodiment. ``state_dropout``: how often
    a measured state is replaced by the placeholder in training, so that the policy also runs without one.
    ``clip``: beyond what multiple of their scale translations and hand columns are clipped; rot6d never is.
    """

    preset: str
    backbone: BackboneConfig
    expert: ExpertConfig
    flow: FlowConfig = FlowConfig()
    cameras: tuple[Name, ...] = ()
    horizon: int = Field(gt=0, le=1024)
    chunk_dt_s: float = Field(gt=0, le=10)
    state_dropout: float = Field(default=0.2, ge=0, le=1)
    clip: float = Field(default=1.5, gt=0)


def _tiny() -> PolicyConfig:
    vision = VisionConfig(
        width=64, feed_forward=128, layers=3, heads=4, patch_px=8, merge=2, temporal_patch=1, positions=64
    )
    text = TextConfig(
        vocab=264, width=64, feed_forward=128, layers=2, heads=4, kv_heads=2, head_dim=16, rope_sections=(4, 2, 2)
    )
    backbone = BackboneConfig(
        vision=vision,
        text=text,
        image_height_px=64,
        image_width_px=64,
        initializer_range=0.08,
        position_std=1.0,
    )
    expert = ExpertConfig(width=64, layers=4, heads=4, feed_forward=2, adapter_hidden=64, image_summary=True)
    flow = FlowConfig(predict="action")
    return PolicyConfig(preset="tiny", backbone=backbone, expert=expert, flow=flow, horizon=16, chunk_dt_s=0.05)


def _small() -> PolicyConfig:
    vision = VisionConfig(
        width=256, feed_forward=1024, layers=8, heads=8, patch_px=16, merge=2, temporal_patch=1, positions=196
    )
    text = TextConfig(
        vocab=264, width=256, feed_forward=768, layers=6, heads=8, kv_heads=4, head_dim=32, rope_sections=(6, 5, 5)
    )
    backbone = BackboneConfig(
        vision=vision, text=text, image_height_px=224, image_width_px=224, initializer_range=0.04, position_std=0.5
    )
    expert = ExpertConfig(width=384, layers=8, heads=8, adapter_hidden=384, dropout=0.1, image_summary=True)
    flow = FlowConfig(predict="action")
    return PolicyConfig(preset="small", backbone=backbone, expert=expert, flow=flow, horizon=16, chunk_dt_s=1 / 30)


def _base() -> PolicyConfig:
    vision = VisionConfig(
        width=1024,
        feed_forward=4096,
        layers=24,
        heads=16,
        patch_px=16,
        merge=2,
        temporal_patch=2,
        positions=2304,
        deepstack=(5, 11, 17),
    )
    text = TextConfig(
        vocab=151936,
        width=2048,
        feed_forward=6144,
        layers=16,
        heads=16,
        kv_heads=8,
        head_dim=128,
        rope_sections=(24, 20, 20),
    )
    tokens = TokenIds(
        pad=151643,
        vision_start=151652,
        vision_end=151653,
        image=151655,
        prefix=(151644, 872, 198),
        suffix=(151645, 198),
    )
    backbone = BackboneConfig(
        vision=vision, text=text, tokenizer="file", tokens=tokens, image_height_px=256, image_width_px=256
    )
    expert = ExpertConfig(width=1536, layers=32, heads=32, adapter_hidden=1024, dropout=0.2)
    return PolicyConfig(preset="base", backbone=backbone, expert=expert, horizon=16, chunk_dt_s=1 / 30)


PRESETS = {"tiny": _tiny, "small": _small, "base": _base}


def preset(name: str) -> PolicyConfig:
    """Return the preset of that name.

    Raises:
        RecipeError: there is none.
    """
    if name not in PRESETS:
        raise RecipeError(f"unknown preset {name!r}", allowed=PRESETS, hint=did_you_mean(name, PRESETS))
    return PRESETS[name]()
