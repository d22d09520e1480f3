"""The policy: what it learns, and what must change nothing."""

import dataclasses

import policy_cases as cases
import pytest
import torch
from policy_cases import CLAW, ONE_HAND, TWO_CLAWS, make_group, make_policy, noise

from egoscale_sdk.data.scales import hand_key
from egoscale_sdk.errors import RecipeError
from egoscale_sdk.policy.config import PRESETS, preset
from egoscale_sdk.policy.vla import VLA
from egoscale_sdk.specs import RowLayout

torch.set_num_threads(1)


def start(layout, samples=2, size=3, seed=7):
    return torch.randn(samples, size, 4, layout.dim, generator=torch.Generator().manual_seed(seed))


def test_overfits_one_batch_of_two_embodiments_to_near_zero():
    policy = make_policy(state_dropout=0.0)
    groups = [make_group(ONE_HAND, "acme/arm@1"), make_group(TWO_CLAWS, "beta/robot@1", seed=1)]
    optimizer = torch.optim.AdamW(policy.parameters(), lr=3e-3, betas=(0.9, 0.95), weight_decay=0.0, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 300)
    for step in range(300):
        optimizer.zero_grad()
        policy.loss(groups, noise(step, samples=4)).total.backward()
        optimizer.step()
        schedule.step()
    for group in groups:
        error = policy.sample(group, start(group.layout)).mean(0) - group.chunk
        assert error.square().mean().sqrt() < 0.05, "of a range of 2"


@pytest.mark.parametrize("what", ["chunk", "state"])
def test_values_in_masked_columns_change_nothing_bitwise(what):
    policy = make_policy()
    group = make_group(ONE_HAND, "acme/arm@1")
    mask = group.mask.clone()
    mask[:, :, [0, 5, 10]] = False
    state_mask = group.state_mask.clone()
    state_mask[:, 9:] = False
    group = dataclasses.replace(group, mask=mask, state_mask=state_mask)
    other = {
        "chunk": {"chunk": torch.where(mask, group.chunk, 1e3)},
        "state": {"state": torch.where(state_mask, group.state, -1e3)},
    }[what]
    changed = dataclasses.replace(group, **other)
    assert torch.equal(policy.loss([group], noise()).total, policy.loss([changed], noise()).total)
    first, second = start(ONE_HAND), start(ONE_HAND)
    second[..., [0, 5, 10]] = 99.0
    a, b = policy.sample(group, first), policy.sample(changed, second)
    assert torch.equal(a, b)
    assert (a[..., [0, 5, 10]] == 0).all()


def test_an_absent_hand_adds_no_embedding():
    policy = make_policy()
    both = make_group(TWO_CLAWS, "beta/robot@1")
    mask = both.mask.clone()
    for block in ("left_wrist", "left_hand"):
        mask[..., TWO_CLAWS.blocks[block]] = False
    right = RowLayout.of({"right": CLAW})
    columns = [i for block in right.groups for i in range(TWO_CLAWS.dim)[TWO_CLAWS.blocks[block]]]
    absent = policy.adapters.encode(TWO_CLAWS, both.chunk, mask)
    alone = policy.adapters.encode(right, both.chunk[..., columns], mask[..., columns])
    assert torch.equal(absent, alone)


def test_a_masked_camera_changes_nothing_whatever_it_shows():
    policy = make_policy(cameras=("head", "wrist"))
    group = make_group(ONE_HAND, "acme/arm@1")
    black = torch.zeros(3, dtype=torch.bool)
    shown = dataclasses.replace(
        group,
        images={**group.images, "wrist": group.images["head"].flip(0)},
        image_mask={**group.image_mask, "wrist": black},
    )
    assert torch.equal(policy.sample(group, start(ONE_HAND)), policy.sample(shown, start(ONE_HAND)))
    seen = dataclasses.replace(shown, image_mask={**group.image_mask, "wrist": ~black})
    assert not torch.equal(policy.sample(group, start(ONE_HAND)), policy.sample(seen, start(ONE_HAND)))


def test_without_any_camera_the_result_is_finite():
    policy = make_policy()
    blind = make_group(ONE_HAND, "acme/arm@1", images={}, image_mask={})
    assert policy.sample(blind, start(ONE_HAND)).isfinite().all()
    eyeless = make_policy(cameras=())
    assert eyeless.sample(blind, start(ONE_HAND)).isfinite().all()
    eyeless.loss([blind], noise(shift_px=1)).total.backward()


def test_the_prompt_and_the_image_matter():
    policy = make_policy()
    group = make_group(ONE_HAND, "acme/arm@1")
    base = policy.sample(group, start(ONE_HAND))
    asked = dataclasses.replace(group, prompts=["put it down"] * 3)
    shown = dataclasses.replace(group, images={"head": group.images["head"].flip(1)})
    assert not torch.allclose(base, policy.sample(asked, start(ONE_HAND)), atol=1e-6)
    assert not torch.allclose(base, policy.sample(shown, start(ONE_HAND)), atol=1e-6)


def test_keys_and_values_computed_once_equal_those_of_every_step():
    policy = make_policy()
    group = make_group(ONE_HAND, "acme/arm@1")
    once = policy.sample(group, start(ONE_HAND))
    assert torch.equal(once, policy.sample(group, start(ONE_HAND), cached=False))


def test_a_mixed_batch_equals_its_groups_taken_alone():
    policy = make_policy(state_dropout=0.0)
    groups = [make_group(ONE_HAND, "acme/arm@1"), make_group(TWO_CLAWS, "beta/robot@1", seed=1)]
    mixed = policy.sample(groups[1], start(TWO_CLAWS))
    policy.loss(groups, noise()).total.backward()
    assert torch.equal(mixed, policy.sample(groups[1], start(TWO_CLAWS)))
    loss = policy.loss(groups, noise())
    assert loss.groups[0].squared.shape == (4, ONE_HAND.dim)
    assert int(loss.groups[1].count.sum()) == 3 * 4 * TWO_CLAWS.dim


def test_each_embodiment_trains_its_own_adapters_and_the_shared_ones():
    policy = make_policy(state_dropout=0.0)
    policy.loss([make_group(ONE_HAND, "acme/arm@1")], noise()).total.backward()
    adapters = policy.adapters
    assert adapters.hand_heads[hand_key("acme/five@1", "right")][2].weight.grad is not None
    assert adapters.hand_heads[hand_key("beta/claw@1", "left")][2].weight.grad is None
    assert adapters.wrist_head[2].weight.grad is not None
    assert adapters.state_encoders["acme/arm@1"][0].weight.grad is not None
    assert adapters.placeholder.grad.abs().sum() == 0


def test_an_embodiment_without_state_encoder_uses_the_placeholder():
    policy = make_policy()
    group = make_group(TWO_CLAWS, "beta/robot@1", state_mask=torch.ones(3, TWO_CLAWS.dim, dtype=torch.bool))
    other = dataclasses.replace(group, state=group.state + 1)
    assert torch.equal(policy.sample(group, start(TWO_CLAWS)), policy.sample(other, start(TWO_CLAWS)))
    policy.loss([group], noise()).total.backward()
    assert policy.adapters.placeholder.grad.abs().sum() > 0


def test_the_same_seed_gives_the_same_step():
    policy = make_policy()
    group = make_group(ONE_HAND, "acme/arm@1")
    settings = {"samples": 2, "shift_px": 2, "brightness": 0.2}
    first = policy.loss([group], noise(3, **settings)).total
    assert torch.equal(first, policy.loss([group], noise(3, **settings)).total)
    assert not torch.equal(first, policy.loss([group], noise(4, **settings)).total)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_builds(name):
    with torch.device("meta"):
        policy = VLA.from_config(preset(name))
    policy.grow(cases.ONE_HAND)
    count = sum(parameter.numel() for parameter in policy.parameters())
    assert {"tiny": 5e5, "small": 1e7, "base": 2e9}[name] < count < {"tiny": 1e6, "small": 6e7, "base": 3e9}[name]


def test_an_unknown_preset_says_which_there_are():
    with pytest.raises(RecipeError, match="did you mean 'small'"):
        preset("smal")
