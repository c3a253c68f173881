"""The energy that is not told what inversion is."""

import torch
from matrix_energies import LEVELS, problems, seeded, shaken

from anm.energy import EnergyBilinear
from anm.schedule import Schedule


def test_the_energy_sees_the_answer_only_through_its_product_with_the_problem():
    model, (A, _, x_t, t) = shaken(EnergyBilinear, 4), problems(4)
    schedule = Schedule(LEVELS).double()
    Q, V = model.heads(model.encode(A)[1], t)
    expected = (Q @ A @ x_t - schedule.at("sqrt_alpha_bar", t) * V).square().sum((-2, -1)) / (
        2 * schedule.sqrt_noise[t]
    )
    torch.testing.assert_close(model.energy(A, x_t, t), expected)


def test_what_the_product_should_be_is_learned():
    """Untied weights: the inverse is not the minimum by construction, and two matrices depend on separate heads."""
    model, (A, x0, _, t) = shaken(EnergyBilinear, 6), problems(6)
    _, eps_hat = model.energy_and_grad(A, Schedule(LEVELS).double().at("sqrt_alpha_bar", t) * x0, t)
    assert eps_hat.square().mean() > 1e-2
    U, V = model.operators(model.encode(A), t)
    model.heads.common.data[:, 1] += torch.randn(model.heads.common[:, 1].shape, generator=seeded(3))
    same_U, other_V = model.operators(model.encode(A), t)
    assert torch.equal(U, same_U) and not torch.allclose(V, other_V)
