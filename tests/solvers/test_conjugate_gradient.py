"""Conjugate gradients at test time: the energy never rises, and the descent stops without a limit of steps."""

import pytest
import torch
from matrix_energies import seeded, shaken
from tiny import frozen_inverse

from anm.energies import EnergyBilinear, EnergyMLP, EnergyResidual
from anm.energies.schedule import Schedule
from anm.params import RunParams
from anm.solvers.conjugate_gradient import conjugate_descent
from anm.solvers.solver import Solver


def bowl(curvatures):
    """sum over entries of c x^2 / 2, as a landscape; it counts its evaluations."""

    def landscape(x, gradient=True):
        landscape.evaluations += 1
        return (curvatures * x.square()).sum((-2, -1)) / 2, curvatures * x

    landscape.evaluations = 0
    return landscape


def descended(landscape, x, steps, eta=1.0, limit=1e6, watch=None):
    return conjugate_descent(
        landscape, x, torch.tensor(eta, dtype=x.dtype), torch.tensor(limit, dtype=x.dtype), steps, watch
    )


def test_a_quadratic_takes_as_many_steps_as_it_has_curvatures():
    x = torch.randn(2, 3, 4, 4, dtype=torch.float64, generator=seeded(0))
    curvatures = torch.tensor([0.01, 1.0, 3.0, 500.0], dtype=torch.float64)
    assert descended(bowl(curvatures), x, 3).abs().max() > 1e-3
    assert descended(bowl(curvatures), x, 4).abs().max() < 1e-5


@pytest.mark.parametrize("eta", [1e-4, 1.0, 1e4])
def test_the_size_of_the_trial_step_does_not_matter_for_a_quadratic(eta):
    x = torch.randn(1, 2, 3, 3, dtype=torch.float64, generator=seeded(0))
    assert descended(bowl(torch.tensor([1.0, 2.0, 30.0], dtype=torch.float64)), x, 3, eta).abs().max() < 1e-6


def rugged(x, gradient=True):
    """Many minima, curvatures of both signs, and NaN for large entries."""
    energy = (x.square() / 20 + torch.cos(3 * x)).sum((-2, -1))
    return torch.where(x.abs().amax((-2, -1)) < 30, energy, torch.nan), x / 10 - 3 * torch.sin(3 * x)


def test_the_energy_never_rises():
    x = 5 * torch.randn(2, 50, 3, 3, generator=seeded(0))
    energies = [rugged(x)[0]]
    descended(rugged, x, 40, 0.3, 20.0, lambda step, x: energies.append(rugged(x)[0]))
    falls = torch.stack(energies).diff(dim=0)
    assert (falls <= 1e-5).all() and (falls.sum(0) < 0).all()


def test_rows_do_not_depend_on_each_other():
    x = 5 * torch.randn(1, 20, 3, 3, generator=seeded(0))
    assert torch.equal(descended(rugged, x, 15, 0.3)[:, 3:7], descended(rugged, x[:, 3:7], 15, 0.3))


def test_a_row_without_a_finite_energy_does_not_move():
    x = torch.full((1, 1, 2, 2), 40.0)
    assert torch.equal(descended(rugged, x, 5), x)


def test_answers_stay_within_the_limit():
    x = torch.zeros(1, 1, 2, 2)

    def towards_five(x, gradient=True):
        return (x - 5).square().sum((-2, -1)) / 2, x - 5

    assert torch.equal(descended(towards_five, x, 20, limit=2.0), torch.full_like(x, 2.0))


def test_it_stops_once_the_energy_no_longer_falls():
    landscape = bowl(torch.tensor([1.0, 2.0, 3.0]))
    x = torch.randn(1, 4, 3, 3, generator=seeded(0))
    assert descended(landscape, x, 1_000_000).abs().max() < 1e-6 and landscape.evaluations < 1000


@pytest.mark.parametrize("energy", [EnergyBilinear, EnergyResidual, EnergyMLP])
def test_ten_thousand_steps_do_not_diverge(energy):
    """With random weights, float32 and the hardest problems, the energy falls."""
    test, schedule = frozen_inverse(6, 0.02, 8), Schedule(10)
    model = shaken(energy, 6, dtype=torch.float32)
    A, x = (part.expand(2, -1, -1, -1) for part in (test.problem, test.start))
    t = torch.zeros(2, 8, dtype=torch.int64)
    with torch.no_grad():
        landscape = model.landscape(model.encode(A), t)
        after = descended(landscape, x, 10_000, schedule.step_size[0].item(), 50.0)
        assert torch.isfinite(after).all() and (landscape(after)[0] < landscape(x)[0]).all()


def solver_of(energy, n=4):
    params = RunParams(energy=energy.__name__.removeprefix("Energy").lower(), n=n, seeds="0,1", answer_bound=50)
    return Solver(params, shaken(energy, n, dtype=torch.float32), Schedule(10))


@pytest.mark.parametrize("energy", [EnergyBilinear, EnergyResidual])
def test_a_solver_solves_other_sizes(energy):
    A = frozen_inverse(7, 0.5, 3).problem
    assert solver_of(energy).solve(A, refine_steps=2).shape == (2, 3, 7, 7)


def test_a_network_of_fixed_size_rejects_other_sizes():
    with pytest.raises(ValueError, match=r"must be \(B, 4, 4\), not \(3, 7, 7\); energy mlp solves only the n"):
        solver_of(EnergyMLP).solve(frozen_inverse(7, 0.5, 3).problem)


@pytest.mark.parametrize("steps", [-1, 2.5, True, "many"])
def test_invalid_numbers_of_steps_are_rejected(steps):
    with pytest.raises(ValueError, match="refine_steps: must be a whole number from 0"):
        solver_of(EnergyResidual).solve(torch.eye(4)[None], refine_steps=steps)


def test_more_steps_bring_the_residual_energy_to_the_inverse():
    """With random weights the start is poor, but the minimum is the inverse."""
    test = frozen_inverse(4, 0.5, 10)
    answers = [solver_of(EnergyResidual).solve(test.problem, refine_steps=k) for k in (0, 3, 200)]
    errors = [(X - test.answer).square().mean() for X in answers]
    assert errors[0] > 3 * errors[1] and errors[1] > 100 * errors[2]  # how much more differs by machine: float32
