"""Noise levels: the formulas of the papers, and the conversions between x0 and x_t."""

import math

import numpy as np
import pytest
import torch

from anm.energies.schedule import Schedule, cosine_betas


@pytest.mark.parametrize("noise_levels", [1, 2, 10, 100])
def test_alpha_bar_is_the_cosine_squared_until_beta_is_clipped(noise_levels):
    def f(k):
        return math.cos((k / noise_levels + 0.008) / 1.008 * math.pi / 2) ** 2

    betas, schedule = cosine_betas(noise_levels), Schedule(noise_levels)
    product = 1.0
    for k in range(noise_levels):
        beta = min(1 - f(k + 1) / f(k), 0.999)
        product *= 1 - beta
        assert betas[k] == pytest.approx(beta, rel=1e-9)
        assert schedule.alpha_bar[k].item() == pytest.approx(product, rel=1e-6)
        assert schedule.sqrt_alpha_bar[k].item() == pytest.approx(math.sqrt(product), rel=1e-6)
        assert schedule.sqrt_noise[k].item() == pytest.approx(math.sqrt(1 - product), rel=1e-6)
        assert schedule.step_size[k].item() == pytest.approx(beta / math.sqrt(1 - product), rel=1e-6)
        if k + 1 < noise_levels:
            assert product == pytest.approx(f(k + 1) / f(0), rel=1e-9)
    assert betas[-1] == 0.999 and len(schedule) == noise_levels


def test_noise_grows_with_the_level_and_everything_is_float32():
    schedule = Schedule(10)
    assert torch.all(schedule.alpha_bar.diff() < 0) and torch.all(schedule.sqrt_noise.diff() > 0)
    assert all(values.dtype == torch.float32 and values.shape == (10,) for values in schedule.buffers())
    assert not schedule.state_dict()  # checkpoints do not hold constants


def test_each_row_gets_the_constant_of_its_level():
    schedule, t = Schedule(5), torch.tensor([[0, 4, 2], [3, 3, 1]])
    expected = torch.stack([torch.stack([schedule.alpha_bar[k] for k in row]) for row in t.tolist()])
    for shape in ((), (4,), (4, 4), (2, 4, 4)):
        at = schedule.at("alpha_bar", t, torch.zeros(2, 3, *shape))
        assert at.shape == (2, 3, *[1] * len(shape)) and torch.equal(at.flatten(1), expected)


def test_noised_by_hand():
    schedule, t = Schedule(3), torch.tensor([[1]])
    a = schedule.alpha_bar[1].item()
    x_t = schedule.noised(torch.full((1, 1, 2, 2), 3.0), t, torch.full((1, 1, 2, 2), -1.0))
    assert np.allclose(x_t.numpy(), 3 * math.sqrt(a) - math.sqrt(1 - a), rtol=1e-6)


@pytest.mark.parametrize("noise_levels", [1, 4, 10])
def test_denoised_inverts_noised(noise_levels):
    g = torch.Generator().manual_seed(0)
    schedule = Schedule(noise_levels).double()
    x0, eps = torch.randn(2, 3, 40, 4, 4, generator=g, dtype=torch.float64)
    t = torch.randint(noise_levels, (3, 40), generator=g)
    torch.testing.assert_close(schedule.denoised(schedule.noised(x0, t, eps), t, eps), x0, rtol=1e-9, atol=1e-9)
