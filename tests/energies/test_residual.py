"""The residual energy: its formula and its minimum."""

import torch
from matrix_energies import LEVELS, problems, shaken

from anm.energies import EnergyResidual
from anm.energies.schedule import Schedule


def test_the_energy_is_its_formula():
    model, (A, _, x_t, t) = shaken(EnergyResidual, 4), problems(4)
    schedule = Schedule(LEVELS).double()
    (P,) = model.heads(model.encode(A)[1], t)
    residual = P @ (A @ x_t - schedule.at("sqrt_alpha_bar", t, A) * torch.eye(4))
    expected = residual.square().sum((-2, -1)) / (2 * schedule.sqrt_noise[t])
    torch.testing.assert_close(model.energy(A, x_t, t), expected)


def test_the_inverse_is_the_minimum_for_any_weights():
    model, (A, x0, _, t) = shaken(EnergyResidual, 6), problems(6)
    x_t = Schedule(LEVELS).double().at("sqrt_alpha_bar", t, x0) * x0
    energy, eps_hat = model.energy_and_grad(A, x_t, t)
    assert energy.max() < 1e-18 and eps_hat.abs().max() < 1e-8


def test_layers_do_not_change_an_inverse():
    """Their factors are mixtures of residuals, which are 0 if every channel is the inverse."""
    model = shaken(EnergyResidual, 6).layers
    model.first.data.fill_(0.25)
    A = 4 * torch.eye(6, dtype=torch.float64).expand(2, 3, 6, 6)
    torch.testing.assert_close(model(A), A.new_full((2, 2, 3, 1, 1), 0.25) * torch.eye(6, dtype=A.dtype))
