"""The bilinear energy: its formula, and what it learns."""

import torch
from matrix_energies import LEVELS, problems, seeded, shaken

from anm.energies import EnergyBilinear
from anm.energies.schedule import Schedule


def test_the_energy_is_its_formula():
    model, (A, _, x_t, t) = shaken(EnergyBilinear, 4), problems(4)
    schedule = Schedule(LEVELS).double()
    Q, V = model.heads(model.encode(A)[1], t)
    expected = (Q @ A @ x_t - schedule.at("sqrt_alpha_bar", t, V) * V).square().sum((-2, -1)) / (
        2 * schedule.sqrt_noise[t]
    )
    torch.testing.assert_close(model.energy(A, x_t, t), expected)


def test_the_minimum_is_learned():
    """The inverse is not the minimum by construction; Q and V have separate heads."""
    model, (A, x0, _, t) = shaken(EnergyBilinear, 6), problems(6)
    _, eps_hat = model.energy_and_grad(A, Schedule(LEVELS).double().at("sqrt_alpha_bar", t, x0) * x0, t)
    assert eps_hat.square().mean() > 1e-2
    U, target, _ = model.at_level(model.encode(A), t)
    model.heads.common.data[:, 1] += torch.randn(model.heads.common[:, 1].shape, generator=seeded(3))
    same_U, other_target, _ = model.at_level(model.encode(A), t)
    assert torch.equal(U, same_U) and not torch.allclose(target, other_target)
