"""Two invented embodiments and tiny random batches, for tests of policy, training and runtime."""

import numpy as np
import torch

from egoscale_sdk.data.scales import Scale, Statistics, hand_key
from egoscale_sdk.policy.checkpoint import Checkpoint, TrainedEmbodiment
from egoscale_sdk.policy.config import PolicyConfig, preset
from egoscale_sdk.policy.vla import VLA, GroupBatch, Noise
from egoscale_sdk.specs import ColumnSpec, EmbodimentSpec, HandSpaceSpec, RowLayout, action_fingerprint


def hand_space(name: str, joints: int) -> HandSpaceSpec:
    return HandSpaceSpec(id=name, columns=tuple(ColumnSpec(name=f"j{i}", unit="rad") for i in range(joints)))


FIVE = hand_space("acme/five@1", 5)
CLAW = hand_space("beta/claw@1", 2)
ONE_HAND = RowLayout.of({"right": FIVE})
TWO_CLAWS = RowLayout.of({"left": CLAW, "right": CLAW})


def small_config(**changes) -> PolicyConfig:
    """The tiny preset, cut to what a unit test needs."""
    config = preset("tiny")
    vision = config.backbone.vision.model_copy(update={"layers": 1, "width": 16, "feed_forward": 32, "heads": 2})
    text = config.backbone.text.model_copy(
        update={"layers": 1, "width": 16, "feed_forward": 32, "heads": 1, "kv_heads": 1}
    )
    backbone = config.backbone.model_copy(
        update={"vision": vision, "text": text, "image_height_px": 32, "image_width_px": 32}
    )
    expert = config.expert.model_copy(update={"width": 32, "adapter_hidden": 32})
    return config.model_copy(
        update={"backbone": backbone, "expert": expert, "horizon": 4, "cameras": ("head",), **changes}
    )


def make_policy(seed: int = 0, **changes) -> VLA:
    torch.manual_seed(seed)
    policy = VLA.from_config(small_config(**changes))
    policy.grow(ONE_HAND)
    policy.grow(TWO_CLAWS)
    policy.grow_state("acme/arm@1", ONE_HAND)
    return policy


def make_group(layout: RowLayout, embodiment: str, size: int = 3, seed: int = 0, **changes) -> GroupBatch:
    draw = torch.Generator().manual_seed(seed)
    ends = torch.rand(2, size, 1, layout.dim, generator=draw) * 2 - 1
    measured = embodiment == "acme/arm@1"
    fields = {
        "embodiment": embodiment,
        "layout": layout,
        "images": {"head": torch.randint(0, 256, (size, 32, 32, 3), generator=draw, dtype=torch.uint8)},
        "image_mask": {"head": torch.ones(size, dtype=torch.bool)},
        "prompts": [f"pick up number {i}" for i in range(size)],
        "state": torch.randn(size, layout.dim, generator=draw),
        "state_mask": torch.full((size, layout.dim), measured),
        "chunk": ends[0] + (ends[1] - ends[0]) * torch.linspace(0, 1, 4)[:, None],  # a smooth motion
        "mask": torch.ones(size, 4, layout.dim, dtype=torch.bool),
    }
    return GroupBatch(**{**fields, **changes})


def noise(seed: int = 0, **settings) -> Noise:
    return Noise(torch.Generator().manual_seed(seed), **settings)


def statistics(spec: EmbodimentSpec, horizon: int = 4, dt: float = 0.05) -> Statistics:
    """Scales of 5 cm, 0.2 in rot6d around the identity, 0.5 rad."""
    identity = np.array([0, 0, 0, 1, 0, 0, 0, 1, 0], np.float32)
    wrist = Scale(np.tile(identity, (horizon, 1)), np.tile(np.float32([0.05] * 3 + [0.2] * 6), (horizon, 1)))
    layout = RowLayout.of(spec.hand_spaces)
    hands = {
        hand_key(space.id, side): Scale(
            np.zeros((horizon, space.dim), np.float32), np.full((horizon, space.dim), 0.5, np.float32)
        )
        for side, space in layout.hand_spaces
    }
    state = Scale(np.zeros(layout.dim, np.float32), np.ones(layout.dim, np.float32))
    return Statistics(horizon, dt, {"left": wrist, "right": wrist}, hands, {spec.id: state})


def trained(spec: EmbodimentSpec, **changes) -> TrainedEmbodiment:
    layout = RowLayout.of(spec.hand_spaces)
    fields = {
        "id": spec.id,
        "spec": spec,
        "action_fingerprint": action_fingerprint(spec),
        "hand_spaces": spec.hand_spaces,
        "groups": layout.groups,
        "state_hand_spaces": spec.hand_spaces,
        "state_groups": layout.groups,
        "cameras": (),
        "tasks": ("pick",),
    }
    return TrainedEmbodiment(**{**fields, **changes})


def checkpoint(spec: EmbodimentSpec, seed: int = 0, **changes) -> Checkpoint:
    torch.manual_seed(seed)
    entry = trained(spec, **changes)
    policy = VLA.from_config(small_config())
    policy.grow(entry.layout)
    if entry.state_layout is not None:
        policy.grow_state(entry.id, entry.state_layout)
    return Checkpoint(policy.eval(), statistics(spec), {spec.id: entry}, {"name": "test"}, {"step": 3})
