"""What a vision-language backbone gives the expert; one small class per family implements it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from egoscale_sdk.policy.config import BackboneConfig


@dataclass(frozen=True)
class Features:
    """What the backbone saw: ``(B, L, width)`` tokens and ``(B, L)`` masks, text and image apart.

    Image tokens come camera by camera, each camera's in rows.
    """

    text: Tensor
    text_mask: Tensor
    image: Tensor
    image_mask: Tensor

    def repeat(self, times: int) -> Features:
        """Repeat the batch, the copies of a sample being ``B`` apart."""
        parts = (self.text, self.text_mask, self.image, self.image_mask)
        return Features(*(part.repeat(times, *[1] * (part.dim() - 1)) for part in parts))


class Backbone(nn.Module, ABC):
    """A vision-language model of one family; features are those of its last kept layer, before any norm."""

    config: BackboneConfig

    @property
    @abstractmethod
    def towers(self) -> dict[str, nn.Module]:
        """Its parts by the names that a recipe freezes them by: ``vision`` and ``language``."""

    @abstractmethod
    def forward(self, images: Tensor, camera_mask: Tensor, tokens: Tensor, token_mask: Tensor) -> Features:
        """Encode a batch.

        Args:
            images: ``(B, C, 3, h, w)`` float in [0, 1], C camera slots; a masked slot's content is not looked at.
            camera_mask: ``(B, C)`` bool.
            tokens: ``(B, L)`` prompt ids, padded on the left.
            token_mask: ``(B, L)`` bool.
        """


def _qwen3_vl(config: BackboneConfig) -> Backbone:
    from egoscale_sdk.policy.qwen import Qwen3VLBackbone

    return Qwen3VLBackbone(config)


FAMILIES: dict[str, Callable[[BackboneConfig], Backbone]] = {"qwen3_vl": _qwen3_vl}


def build_backbone(config: BackboneConfig) -> Backbone:
    """Build the backbone of a config with random weights."""
    return FAMILIES[config.family](config)
