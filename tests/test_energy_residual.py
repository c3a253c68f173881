"""The energy that is told the equation: what its construction promises, whatever its weights."""

import pytest
import torch

from anm.energy import EnergyResidual
from anm.matrices import OFFSETS, draw_problems, frozen_problems
from anm.schedule import Schedule
from rotations import rotation

SEEDS, ROWS, LEVELS = 2, 3, 10


def energies(n, dtype=torch.float64):
    """A stack with random weights that differ from level to level."""
    model = EnergyResidual(n, LEVELS, SEEDS).reset([torch.Generator().manual_seed(s) for s in range(SEEDS)])
    generator = torch.Generator().manual_seed(7)
    for weights in model.parameters():
        weights.data += 0.1 * torch.randn(weights.shape, generator=generator)
    return model.to(dtype)


def problems(n, dtype=torch.float64):
    generator = torch.Generator().manual_seed(n)
    A, x0 = draw_problems(torch.empty(SEEDS, ROWS, n, n, dtype=dtype).uniform_(-1, 1, generator=generator))
    t = torch.randint(LEVELS, (SEEDS, ROWS), generator=generator)
    return A, x0, torch.randn(SEEDS, ROWS, n, n, dtype=dtype, generator=generator), t


@pytest.mark.parametrize("n", [3, 10])
def test_the_gradient_is_that_of_the_energy(n):
    model, (A, _, x_t, t) = energies(n), problems(n)
    x_t.requires_grad_()
    energy, eps_hat = model.energy_and_grad(A, x_t, t)
    (expected,) = torch.autograd.grad(energy.sum(), x_t)
    torch.testing.assert_close(eps_hat, expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(model.energy(A, x_t, t), energy)


def test_the_energy_is_the_preconditioned_residual():
    model, (A, _, x_t, t) = energies(4), problems(4)
    schedule = Schedule(LEVELS).double()
    (P,) = model.heads(model.encode(A)[1], t)
    residual = P @ (A @ x_t - schedule.at("sqrt_alpha_bar", t) * torch.eye(4))
    expected = residual.square().sum((-2, -1)) / (2 * schedule.sqrt_noise[t])
    torch.testing.assert_close(model.energy(A, x_t, t), expected)


def test_the_inverse_is_the_minimum_whatever_the_weights():
    model, (A, x0, _, t) = energies(6), problems(6)
    x_t = Schedule(LEVELS).double().at("sqrt_alpha_bar", t) * x0
    energy, eps_hat = model.energy_and_grad(A, x_t, t)
    assert energy.max() < 1e-20 and eps_hat.abs().max() < 1e-8


@pytest.mark.parametrize("kind", ["rotation", "permutation"])
def test_a_turned_problem_gives_a_turned_gradient(kind):
    model, (A, _, x_t, t), Q = energies(5), problems(5), rotation(5, kind)
    energy, eps_hat = model.energy_and_grad(A, x_t, t)
    turned_energy, turned = model.energy_and_grad(Q @ A @ Q.T, Q @ x_t @ Q.T, t)
    torch.testing.assert_close(turned_energy, energy, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(turned, Q @ eps_hat @ Q.T, rtol=1e-8, atol=1e-8)


def test_another_unit_of_the_problem_is_another_unit_of_the_answer():
    model, (A, _, _, t) = energies(5), problems(5)
    (P,), (smaller,) = (model.heads(model.encode(unit * A)[1], t) for unit in (1, 1000))
    torch.testing.assert_close(smaller * 1000, P)


@pytest.mark.parametrize("n", [2, 20])
def test_layers_stay_bounded_on_any_problem(n):
    """The residuals that multiply a channel have a limited size, so a layer's gain has one too."""
    model = energies(n, torch.float32)
    gain = 1 + model.layers.abs().sum(-1).amax() * n**0.5
    largest = gain ** model.layers.shape[1] * model.first.abs().amax() * n**0.5
    random = torch.randn(SEEDS, 5, n, n, generator=torch.Generator().manual_seed(1))
    for A in (random, 1e6 * random, 1e-6 * random, torch.ones_like(random), -torch.eye(n).expand_as(random)):
        unit = torch.linalg.matrix_norm(A, 2).mean()
        assert (torch.linalg.matrix_norm(model.encode(A)[1]) * unit).amax() <= largest


def test_untrained_it_knows_the_way_on_what_it_trains_on():
    """Untrained layers are Newton-Schulz iterations: U = P A is nearly the identity on `same`."""
    model = EnergyResidual(20, LEVELS, 1).reset([torch.Generator().manual_seed(0)])
    A = frozen_problems(20, OFFSETS["same"], 50).A[None]
    with torch.no_grad():
        U, _ = model.operators(model.encode(A), torch.zeros(1, 50, dtype=torch.int64))
    assert (U - torch.eye(20)).square().mean() < 1e-2


def test_stacks_hold_seeds_apart():
    """A seed's energies do not depend on the others in its stack."""
    alone = EnergyResidual(5, LEVELS, 1).reset([torch.Generator().manual_seed(1)]).double()
    both = EnergyResidual(5, LEVELS, 2).reset([torch.Generator().manual_seed(s) for s in (0, 1)]).double()
    A, _, x_t, t = problems(5)
    for ours, theirs in zip(alone.energy_and_grad(A[1:], x_t[1:], t[1:]), both.energy_and_grad(A, x_t, t)):
        torch.testing.assert_close(ours[0], theirs[1])
