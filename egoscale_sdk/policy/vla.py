"""The policy: one backbone and one expert for all, adapters per hand space and embodiment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from egoscale_sdk.policy import flow
from egoscale_sdk.policy.adapters import Adapters
from egoscale_sdk.policy.backbone import Features, build_backbone
from egoscale_sdk.policy.config import PolicyConfig
from egoscale_sdk.policy.expert import ActionExpert
from egoscale_sdk.policy.images import augment
from egoscale_sdk.policy.tokens import ByteTokenizer, Tokenizer, prompt_tokens
from egoscale_sdk.specs import RowLayout


@dataclass(frozen=True)
class GroupBatch:
    """Samples of one embodiment and one action set, normalised.

    Attributes:
        embodiment: Whose state this is; key of the state encoder.
        layout: Columns of the chunk.
        images: uint8 ``(B, h, w, 3)`` per camera name, of the backbone's size; other cameras are not looked at.
        image_mask: ``(B,)`` bool per camera name.
        prompts: One instruction per sample.
        state: Measured rows ``(B, D')`` in the embodiment's own columns; zeros where nothing is measured.
        state_mask: ``(B, D')`` bool.
        chunk: Target chunks ``(B, H, D)``; zeros at inference.
        mask: ``(B, H, D)`` bool, True where a column is supervised (training) or wanted (inference).
    """

    embodiment: str
    layout: RowLayout
    images: dict[str, Tensor]
    image_mask: dict[str, Tensor]
    prompts: list[str]
    state: Tensor
    state_mask: Tensor
    chunk: Tensor
    mask: Tensor

    def __len__(self) -> int:
        return len(self.prompts)


@dataclass(frozen=True)
class GroupLoss:
    """Squared errors of one group, summed over samples per ``(H, D)``, and how many terms each sum has.

    ``squared`` is of the velocity; ``denoised`` of the clean action that the velocity leads to.
    """

    squared: Tensor
    denoised: Tensor
    count: Tensor


@dataclass(frozen=True)
class Loss:
    """The training loss and its parts, group by group in the order of the batch."""

    total: Tensor
    groups: list[GroupLoss]


@dataclass(frozen=True)
class Noise:
    """Sources of randomness of one training step; the same generator state gives the same step.

    Attributes:
        generator: Draws times, noise, dropped states and shifts.
        samples: Flow samples for each pass of the backbone.
        shift_px: Image shift augmentation.
        brightness: Image brightness augmentation.
    """

    generator: torch.Generator
    samples: int = 1
    shift_px: int = 0
    brightness: float = 0.0


@dataclass(frozen=True)
class Context:
    """What one observation gives the expert, computed once."""

    features: Features
    summary: Tensor | None


class VLA(nn.Module):
    """A vision-language-action policy over any mixture of embodiments.

    ``loss`` trains on a list of groups, ``sample`` denoises chunks of one group. Everything is normalised here;
    units belong to `Normaliser`.
    """

    def __init__(self, config: PolicyConfig, tokenizer: Tokenizer | None = None) -> None:
        super().__init__()
        self.config = config
        self.tokenizer = tokenizer or ByteTokenizer()
        width, source = config.expert.width, config.backbone.text.width
        self.backbone = build_backbone(config.backbone)
        self.expert = ActionExpert(config.expert, source, config.horizon)
        self.adapters = Adapters(config.expert)
        cameras = config.cameras if config.expert.image_summary else ()
        self.readouts = nn.ModuleList(nn.Linear(config.backbone.image_tokens * source, width) for _ in cameras)

    @classmethod
    def from_config(cls, config: PolicyConfig, tokenizer: Tokenizer | None = None) -> VLA:
        """Build a policy with random weights and no embodiment yet."""
        return cls(config, tokenizer)

    def grow(self, layout: RowLayout) -> None:
        """Add adapters for the hands of ``layout`` that are new."""
        self.adapters.grow(layout)

    def grow_state(self, embodiment: str, layout: RowLayout) -> None:
        """Add a state encoder for an embodiment whose measured rows have ``layout``, unless there is one."""
        self.adapters.grow_state(embodiment, layout)

    def forward(self, groups: Sequence[GroupBatch], noise: Noise, wrist_weight: float = 1.0) -> Loss:
        """Same as `loss`: what a data-parallel wrapper calls."""
        return self.loss(groups, noise, wrist_weight)

    def loss(self, groups: Sequence[GroupBatch], noise: Noise, wrist_weight: float = 1.0) -> Loss:
        """Flow-matching loss of a mixed batch: squared velocity error over unmasked columns.

        Args:
            groups: At least one group; all pass the backbone together.
            noise: Randomness of the step.
            wrist_weight: Weight of wrist translations relative to every other column.
        """
        generator, samples = noise.generator, noise.samples
        context = self._observe(groups, noise)
        states = self._states(groups, generator).repeat(samples, 1)
        memories = [memory and memory.repeat(samples) for memory in self.expert.remember(context.features)]
        summary = None if context.summary is None else context.summary.repeat(samples, 1)
        sizes = [len(group) for group in groups]
        times = flow.sample_times(samples * sum(sizes), self.config.flow, generator).to(states.device)
        split = torch.split(_by_sample(times, samples), sizes, dim=1)
        drafts = [self._draft(group, time, generator) for group, time in zip(groups, split, strict=True)]
        hidden = self.expert(
            torch.cat([draft.embedded for draft in drafts], dim=1).flatten(0, 1),
            states,
            flow.buckets(times, self.config.flow),
            memories,
            summary,
        )
        parts = torch.split(_by_sample(hidden, samples), sizes, dim=1)
        errors = [self._error(group, draft, part) for group, draft, part in zip(groups, drafts, parts, strict=True)]
        return _total(groups, errors, wrist_weight)

    @torch.no_grad()
    def sample(self, group: GroupBatch, noise: Tensor, *, cached: bool = True) -> Tensor:
        """Denoise chunks.

        Args:
            group: Observations; its ``mask`` says which columns are wanted.
            noise: ``(S, B, H, D)`` standard normal, S samples per observation.
            cached: Compute the cross-attention's keys and values once (the default) or in every step (to compare).

        Returns:
            ``(S, B, H, D)`` normalised; masked columns are 0.
        """
        samples = len(noise)
        context = self._observe([group], None)
        features = context.features.repeat(samples)
        summary = None if context.summary is None else context.summary.repeat(samples, 1)
        state = self.adapters.encode_state(group.embodiment, group.state, group.state_mask).repeat(samples, 1)
        mask = group.mask.repeat(samples, 1, 1)
        memories = self.expert.remember(features)

        def velocity(x: Tensor, times: Tensor) -> Tensor:
            embedded = self.adapters.encode(group.layout, x, mask)
            known = memories if cached else self.expert.remember(features)
            hidden = self.expert(embedded, state, flow.buckets(times, self.config.flow), known, summary)
            return flow.velocity(self.adapters.decode(group.layout, hidden), x, times, self.config.flow)

        return _by_sample(flow.euler(velocity, noise.flatten(0, 1), mask, self.config.flow), samples)

    def _observe(self, groups: Sequence[GroupBatch], noise: Noise | None) -> Context:
        """Run the backbone over all groups together; ``noise`` augments the images."""
        device = self.adapters.placeholder.device
        images = torch.cat([self._images(group) for group in groups]).to(device)
        present = torch.cat([self._present(group) for group in groups]).to(device)
        if noise is not None and (noise.shift_px or noise.brightness):
            images = augment(images, noise.shift_px, noise.brightness, noise.generator)
        prompts = [prompt for group in groups for prompt in group.prompts]
        tokens, token_mask = prompt_tokens(prompts, self.tokenizer, self.config.backbone)
        features = self.backbone(images, present, tokens.to(device), token_mask.to(device))
        return Context(features, self._summary(features, present))

    def _summary(self, features: Features, present: Tensor) -> Tensor | None:
        if not self.readouts:
            return None
        cameras = features.image.reshape(*present.shape, -1)  # (B, C, tokens * width)
        parts = [readout(cameras[:, i]) for i, readout in enumerate(self.readouts)]
        return torch.where(present[..., None], torch.stack(parts, dim=1), 0).sum(1)

    def _images(self, group: GroupBatch) -> Tensor:
        """Return the camera slots ``(B, C, 3, h, w)`` in [0, 1]; absent cameras are black."""
        backbone, cameras = self.config.backbone, self.config.cameras
        size = (backbone.image_height_px, backbone.image_width_px)
        slots = torch.zeros(len(group), len(cameras), 3, *size, device=group.chunk.device)
        for i, camera in enumerate(cameras):
            if camera in group.images:
                slots[:, i] = group.images[camera].permute(0, 3, 1, 2) / 255
        return slots

    def _present(self, group: GroupBatch) -> Tensor:
        present = torch.zeros(len(group), len(self.config.cameras), dtype=torch.bool, device=group.chunk.device)
        for i, camera in enumerate(self.config.cameras):
            if camera in group.image_mask:
                present[:, i] = group.image_mask[camera]
        return present

    def _states(self, groups: Sequence[GroupBatch], generator: torch.Generator) -> Tensor:
        """Return the state tokens of all groups, some of them dropped to the placeholder."""
        tokens = []
        for group in groups:
            keep = torch.rand(len(group), generator=generator) >= self.config.state_dropout
            keep = keep.to(group.state.device)
            tokens.append(self.adapters.encode_state(group.embodiment, group.state, group.state_mask, keep))
        return torch.cat(tokens)

    def _draft(self, group: GroupBatch, times: Tensor, generator: torch.Generator) -> _Draft:
        """Noise a group's chunks at ``times (S, B)``."""
        samples = len(times)
        chunk, mask = group.chunk.repeat(samples, 1, 1), group.mask.repeat(samples, 1, 1)
        noise = torch.randn(chunk.shape, generator=generator).to(chunk)
        noisy = flow.interpolate(noise, chunk, times.flatten())
        embedded = self.adapters.encode(group.layout, noisy, mask)
        return _Draft(_by_sample(embedded, samples), noise, chunk, times.flatten(), mask)

    def _error(self, group: GroupBatch, draft: _Draft, hidden: Tensor) -> GroupLoss:
        readout = self.adapters.decode(group.layout, hidden.flatten(0, 1))
        error = flow.velocity_error(readout, draft.noise, draft.chunk, draft.times, self.config.flow)
        squared = torch.where(draft.mask, error.float() ** 2, 0)
        denoised = squared.detach() * flow.stretch(draft.times, self.config.flow) ** 2
        return GroupLoss(squared.sum(0), denoised.sum(0), draft.mask.sum(0))


@dataclass(frozen=True)
class _Draft:
    """Embedded noisy chunks ``(S, B, H, width)``; the noise and chunks that they lie between, ``(S * B, H, D)``."""

    embedded: Tensor
    noise: Tensor
    chunk: Tensor
    times: Tensor
    mask: Tensor


def _by_sample(x: Tensor, samples: int) -> Tensor:
    """Split a batch ``(S * B, ...)`` whose copies are B apart into ``(S, B, ...)``."""
    return x.reshape(samples, -1, *x.shape[1:])


def _total(groups: Sequence[GroupBatch], errors: list[GroupLoss], wrist_weight: float) -> Loss:
    """Mean squared error over unmasked columns; each sample counts alike, however many columns its hands have."""
    total = errors[0].squared.new_zeros(())
    for group, error in zip(groups, errors, strict=True):
        weight = torch.ones(group.layout.dim, device=error.squared.device)
        for side in group.layout.sides:
            start = group.layout.blocks[f"{side}_wrist"].start
            weight[start : start + 3] = wrist_weight
        total = total + len(group) * (error.squared * weight).sum() / (error.count.sum() + 1e-6)
    parts = [GroupLoss(error.squared.detach(), error.denoised, error.count) for error in errors]
    return Loss(total / sum(len(group) for group in groups), parts)
