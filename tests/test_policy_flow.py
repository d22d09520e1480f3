"""Flow matching against its equations, for both things that the heads may read out."""

import pytest
import torch
from scipy import stats

from egoscale_sdk.policy import flow
from egoscale_sdk.policy.config import FlowConfig

VELOCITY, ACTION = FlowConfig(predict="velocity"), FlowConfig(predict="action")


def draw(seed=0, shape=(5, 4, 3)):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("steps", [1, 4, 10])
@pytest.mark.parametrize("config", [VELOCITY, ACTION])
def test_a_perfect_model_arrives_at_the_action(config, steps):
    config = config.model_copy(update={"steps": steps})
    noise, action = draw(0), draw(1)
    mask = torch.ones_like(noise, dtype=torch.bool)
    readout = action - noise if config.predict == "velocity" else action

    def velocity(x, times):
        return flow.velocity(readout, x, times.double(), config)

    torch.testing.assert_close(flow.euler(velocity, noise, mask, config), action, atol=1e-5, rtol=0)


def test_masked_columns_are_zero_in_every_step():
    mask = torch.rand(5, 4, 3, generator=torch.Generator().manual_seed(2)) > 0.5
    seen = []

    def velocity(x, times):
        seen.append(x)
        return torch.full_like(x, float("nan")).where(~mask, torch.ones_like(x))

    result = flow.euler(velocity, draw(), mask, VELOCITY)
    assert all((x[~mask] == 0).all() for x in [*seen, result])
    assert result.isfinite().all()


def test_times_are_beta_distributed_and_never_reach_the_end():
    times = flow.sample_times(20_000, VELOCITY, torch.Generator().manual_seed(0))
    assert times.min() >= 0
    assert times.max() <= 0.999
    expected = stats.beta(1.5, 1.0)
    assert stats.kstest(1 - times.numpy() / 0.999, expected.cdf).pvalue > 0.01


def test_an_error_in_the_action_is_one_in_the_velocity():
    noise, action, wrong = draw(0), draw(1), draw(2)
    times = torch.tensor([0.0, 0.2, 0.4, 0.6, 0.75], dtype=torch.float64)
    noisy = flow.interpolate(noise, action, times)
    implied = flow.velocity(wrong, noisy, times, ACTION)
    torch.testing.assert_close(
        flow.velocity_error(wrong, noise, action, times, ACTION),
        flow.velocity_error(implied, noise, action, times, VELOCITY),
    )
    carried = flow.velocity_error(wrong, noise, action, times, ACTION) * flow.stretch(times, ACTION)
    torch.testing.assert_close(carried, wrong - action)


def test_what_is_nearly_free_of_noise_does_not_dominate():
    late = torch.full((5,), 0.999, dtype=torch.float64)
    assert flow.velocity_error(draw(0) + 1, draw(1), draw(0), late, ACTION).max() <= 1 / flow.LAST_STRETCH + 1e-9
