"""Landscape steps on energies with a closed form; the sampler; properties of a solver's answers."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import fresh_mlp, fresh_solver, random_inputs, same_bits

from anm.energies.schedule import Schedule
from anm.solvers.descent import DescentState, clip_answer, descend, landscape_step
from anm.solvers.sampler import sample
from anm.solvers.solver import ROWS_AT_ONCE, Solver

LEVELS = 6
SCHEDULE = Schedule(LEVELS)


def bowl(centre, steepness):
    """E = steepness / 2 |x - centre|^2 with its gradient; steepness (S, B) or a number."""
    k = torch.as_tensor(steepness, dtype=torch.float32)

    def landscape(x, gradient=True):
        energy = k / 2 * (x - centre).square().sum((-2, -1))
        return energy, k[..., None, None] * (x - centre) if gradient else None

    return landscape


def state_at(landscape, x):
    return DescentState(x, *landscape(x))


def rows(*levels):
    return torch.tensor([levels])


def test_a_step_by_hand():
    t = rows(0, 3, 5)
    eta = SCHEDULE.step_size[t[0]]
    x = torch.full((1, 3, 2, 2), 0.01)
    landscape = bowl(torch.zeros(2, 2), 0.5)
    after, accepted = landscape_step(landscape, state_at(landscape, x), t, SCHEDULE, bound=2.0)
    expected = 0.01 * (1 - 0.5 * eta)
    limit = 2 * SCHEDULE.sqrt_alpha_bar[t[0]]
    assert accepted.all() and torch.all(expected.abs() < limit)
    torch.testing.assert_close(after.x[0, :, 0, 0], expected)
    torch.testing.assert_close(after.energy[0], 0.25 * 4 * expected**2)
    torch.testing.assert_close(after.eps_hat[0, :, 1, 1], 0.5 * expected)


@pytest.mark.parametrize("gradient", [True, False])
def test_only_a_row_whose_energy_would_rise_rejects_its_step(gradient):
    t = rows(2, 2, 2)
    eta = SCHEDULE.step_size[2].item()
    steepness = torch.tensor(
        [[1 / eta, 3 / eta, 1.5 / eta]]
    )  # to the minimum; beyond it and higher; beyond it and lower
    x = torch.full((1, 3, 2, 2), 0.1)
    landscape = bowl(torch.zeros(2, 2), steepness)
    before = state_at(landscape, x)
    after, accepted = landscape_step(landscape, before, t, SCHEDULE, bound=2.0, gradient=gradient)
    assert accepted.tolist() == [[True, False, True]]
    torch.testing.assert_close(after.x[0, :, 0, 0], torch.tensor([0.0, 0.1, -0.05]), atol=1e-7, rtol=1e-5)
    assert same_bits([after.x[0, 1], after.energy[0, 1]], [x[0, 1], before.energy[0, 1]])
    assert torch.equal(after.eps_hat[0, 1], before.eps_hat[0, 1]) if gradient else after.eps_hat is None


def test_every_row_is_clipped_in_the_scale_of_its_own_level():
    t = torch.tensor([[0, 5, 2], [5, 0, 1]])
    limit = 2 * SCHEDULE.sqrt_alpha_bar[t]
    clipped = clip_answer(torch.full((2, 3, 2, 2), 100.0), t, SCHEDULE, 2.0)
    assert torch.equal(clipped, limit[..., None, None].expand(2, 3, 2, 2))
    assert torch.equal(clip_answer(-clipped * 3, t, SCHEDULE, 2.0), -clipped)
    far = bowl(torch.full((2, 2), 50.0), 1.0)
    after, accepted = landscape_step(far, state_at(far, torch.zeros(2, 3, 2, 2)), t, SCHEDULE, bound=2.0)
    assert accepted.all()
    expected = torch.minimum(50 * SCHEDULE.step_size[t], limit)
    torch.testing.assert_close(after.x, expected[..., None, None].expand(2, 3, 2, 2))


def test_every_step_has_the_same_size():
    t, k = rows(1, 4), 0.3
    x = torch.full((1, 2, 2, 2), 0.02)
    for steps in range(5):
        descent = descend(bowl(torch.zeros(2, 2), k), x, t, SCHEDULE, steps, bound=2.0)
        expected = 0.02 * (1 - k * SCHEDULE.step_size[t]) ** steps
        torch.testing.assert_close(descent.x[..., 0, 0], expected)
        torch.testing.assert_close(descent.energy_before, torch.full((1, 2), k / 2 * 4 * 0.02**2))
        torch.testing.assert_close(descent.energy_after, k / 2 * 4 * expected**2)
        assert descent.accepted.tolist() == [[float(steps > 0)] * 2]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_proposal_without_a_finite_energy_is_not_accepted(bad):
    t = rows(1, 1)

    def landscape(x, gradient=True):
        energy, eps_hat = bowl(torch.zeros(2, 2), 0.1)(x)
        without_energy = (x[..., 0, 0] != 0.5) & torch.tensor([[True, False]])
        return torch.where(without_energy, bad, energy), torch.where(without_energy[..., None, None], bad, eps_hat)

    descent = descend(landscape, torch.full((1, 2, 2, 2), 0.5), t, SCHEDULE, 3, bound=2.0)
    assert torch.equal(descent.x[0, 0], torch.full((2, 2), 0.5)) and descent.accepted.tolist() == [[0, 1]]
    assert descent.energy_after.isfinite().all() and descent.x.isfinite().all()


def test_a_step_along_a_gradient_of_nan_is_rejected():
    landscape = bowl(torch.zeros(2, 2), 1.0)
    start = DescentState(torch.ones(1, 1, 2, 2), torch.tensor([[2.0]]), torch.full((1, 1, 2, 2), float("nan")))
    after, accepted = landscape_step(landscape, start, rows(0), SCHEDULE, 2.0)
    assert not accepted.any() and torch.equal(after.x, start.x)


def test_a_descent_evaluates_every_point_once():
    calls = []

    def counted(x, gradient=True):
        calls.append(gradient)
        return bowl(torch.zeros(2, 2), 0.1)(x, gradient)

    descend(counted, torch.ones(1, 1, 2, 2), rows(0), SCHEDULE, 3, 2.0)
    assert calls == [True, True, True, False]  # the last gradient is not needed


@given(seed=st.integers(0, 10**6), steps=st.integers(0, 6), bound=st.floats(0.05, 5), rough=st.floats(0.1, 30))
@settings(deadline=None, derandomize=True, max_examples=40)
def test_a_descent_never_raises_the_energy_and_stays_within_its_bounds(seed, steps, bound, rough):
    model = fresh_mlp(3, LEVELS, (seed % 7,))
    A, x_t, t = random_inputs(3, 1, 16, LEVELS, seed)
    with torch.no_grad():
        model.output.weight.mul_(rough)
        landscape = model.landscape(model.encode(A), t)
        descent = descend(landscape, x_t, t, SCHEDULE, steps, bound)
        assert torch.all(descent.energy_after <= descent.energy_before)
        exact = model.double().landscape(model.encode(A.double()), t)
        before, after = (exact(x.double())[0] for x in (x_t, descent.x))
    assert torch.all(after <= before * (1 + 1e-5))
    torch.testing.assert_close(descent.energy_after.double(), after, rtol=1e-4, atol=1e-6)
    moved, limit = descent.accepted > 0, bound * SCHEDULE.sqrt_alpha_bar[t] * (1 + 1e-6)
    assert torch.equal(descent.x[~moved], x_t[~moved]) and torch.all(
        descent.x[moved].abs() <= limit[moved][:, None, None]
    )
    assert torch.all(descent.energy_after[~moved] == descent.energy_before[~moved])


def test_some_steps_on_a_rough_energy_are_rejected():
    solver = fresh_solver()
    A, x_t, t = random_inputs(4, 2, 64, 4)
    with torch.no_grad():
        descent = descend(solver.model.landscape(solver.model.encode(A), t), x_t, t, solver.schedule, 5, 2.0)
    assert 0.05 < descent.accepted.mean() < 0.95


class Ideal:
    """An energy whose eps_hat is exactly the noise: E = |x - sqrt(alpha_bar) x0|^2 / (2 sqrt(1 - alpha_bar))."""

    def __init__(self, x0, schedule):
        self.x0, self.schedule = x0, schedule

    def encode(self, A):
        return self.x0

    def landscape(self, x0, t):
        return bowl(self.schedule.at("sqrt_alpha_bar", t, x0) * x0, 1 / self.schedule.sqrt_noise[t])


@pytest.mark.parametrize("steps", [0, 1, 5])
def test_sampling_with_the_exact_noise_prediction_gives_the_answer(steps):
    x0 = torch.randn(2, 5, 3, 3, generator=torch.Generator().manual_seed(0)).clamp(-2, 2)
    found = sample(Ideal(x0, SCHEDULE), x0, torch.randn(2, 5, 3, 3), SCHEDULE, steps, bound=2.0)
    torch.testing.assert_close(found, x0, atol=1e-5, rtol=1e-5)


def test_answers_are_within_the_answer_bound():
    x0 = torch.full((1, 2, 2, 2), 3.0)
    assert torch.all(
        sample(Ideal(x0, SCHEDULE), x0, torch.zeros(1, 2, 2, 2), SCHEDULE, 3, bound=0.7) <= 0.7 * (1 + 1e-6)
    )


def test_the_sampler_visits_levels_from_the_noisiest_to_the_least_noisy():
    seen = []
    x0 = torch.zeros(1, 2, 2, 2)
    sample(
        Ideal(x0, SCHEDULE), x0, x0, SCHEDULE, 2, 2.0, watch=lambda level, descent, now: seen.append((level, now.shape))
    )
    assert seen == [(level, (1, 2, 2, 2)) for level in range(LEVELS - 1, -1, -1)]


def test_sampling_equals_its_definition():
    """One row at a time, in float64."""
    model, steps, bound = fresh_mlp(2, LEVELS, (3,)).double(), 3, 0.4
    schedule = Schedule(LEVELS).double()
    A, start, _ = random_inputs(2, 1, 5, LEVELS, dtype=torch.float64)
    with torch.no_grad():
        found = sample(model, A, start, schedule, steps, bound)
        for b in range(5):
            x = start[:, b : b + 1]
            for level in range(LEVELS - 1, -1, -1):
                t, a = rows(level), schedule.alpha_bar[level].item()
                x0 = ((x - math.sqrt(1 - a) * model.energy_and_grad(A[:, b : b + 1], x, t)[1]) / math.sqrt(a)).clamp(
                    -bound, bound
                )
                x = math.sqrt(a) * x0
                for _ in range(steps):
                    energy, eps_hat = model.energy_and_grad(A[:, b : b + 1], x, t)
                    new = (x - schedule.step_size[level] * eps_hat).clamp(-bound * math.sqrt(a), bound * math.sqrt(a))
                    x = new if model.energy(A[:, b : b + 1], new, t) <= energy else x
                x0 = x / math.sqrt(a)
                x = math.sqrt(schedule.alpha_bar[level - 1].item()) * x0
            torch.testing.assert_close(found[:, b : b + 1], x0, rtol=1e-6, atol=1e-8)


def test_fewer_large_problems_are_solved_at_once():
    solver = fresh_solver()
    assert [solver.problems_at_once(n**2) for n in (4, 20, 40, 2000)] == [512, 512, 128, 1]


def test_solve_gives_one_answer_per_seed_and_repeats_it():
    solver = fresh_solver(seeds=(0, 1, 2))
    A = torch.randn(9, 4, 4)
    X = solver.solve(A)
    assert (
        X.shape == (3, 9, 4, 4) and X.dtype == torch.float32 and not X.requires_grad and X.abs().max() <= 2 * (1 + 1e-6)
    )
    assert torch.equal(solver.solve(A), X) and torch.equal(solver.solve(A.double().numpy()), X)
    assert not torch.allclose(X[0], X[1]) and not torch.allclose(solver.solve(A, seed=1), X)
    assert not torch.allclose(solver.solve(A, landscape_steps=0), X) and torch.equal(
        solver.solve(A, landscape_steps=2), X
    )
    assert solver.solve(A[:0]).shape == (3, 0, 4, 4)


def close(a, b):
    torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("batch", [1, 7, 256, 4096])
def test_an_answer_does_not_depend_on_other_problems(batch, monkeypatch):
    solver = fresh_solver()
    A = torch.randn(40, 4, 4, generator=torch.Generator().manual_seed(0))
    X = solver.solve(A)
    monkeypatch.setitem(ROWS_AT_ONCE, "cpu", batch * 2)
    close(solver.solve(A), X)
    close(solver.solve(A[:11]), X[:, :11])


def test_a_permuted_batch_gives_permuted_answers():
    solver = fresh_solver()
    A, start, _ = random_inputs(4, 1, 30, 4)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(1))
    ((_, X),) = solver.answers(A[0], start[0])
    ((_, permuted),) = solver.answers(A[0][order], start[0][order])
    close(permuted, X[:, order])


@pytest.mark.parametrize("stack", [(0,), (0, 1), (5, 2, 0, 7)])
def test_the_answers_of_a_seed_do_not_depend_on_its_stack(stack):
    A = torch.randn(20, 4, 4, generator=torch.Generator().manual_seed(0))
    close(fresh_solver(seeds=stack).solve(A)[stack.index(0)], fresh_solver(seeds=(0, 1, 2)).solve(A)[0])


@pytest.mark.parametrize(
    "A, options, message",
    [
        (torch.zeros(4, 4), {}, r"problem: must be \(B, 4, 4\), not \(4, 4\)"),
        (torch.zeros(2, 5, 5), {}, r"not \(2, 5, 5\)"),
        (torch.zeros(1, 2, 4, 4), {}, r"not \(1, 2, 4, 4\)"),
        (torch.full((1, 4, 4), float("nan")), {}, "problem: every entry must be finite"),
        (np.full((1, 4, 4), 1e300), {}, "problem: every entry must be finite"),
        (torch.zeros(1, 4, 4), {"landscape_steps": -1}, "landscape_steps: must be a whole number from 0, not -1"),
        (torch.zeros(1, 4, 4), {"landscape_steps": 2.5}, "landscape_steps: must be a whole number from 0, not 2.5"),
        (torch.zeros(1, 4, 4), {"landscape_steps": "five"}, "not 'five'"),
    ],
)
def test_invalid_problems_and_steps_are_rejected(A, options, message):
    with pytest.raises(ValueError, match=message):
        fresh_solver().solve(A, **options)


def test_solving_keeps_no_graph_and_changes_no_weight():
    solver = fresh_solver()
    before = [weight.detach().clone() for weight in solver.model.parameters()]
    ((rows_, X),) = solver.answers(torch.randn(3, 4, 4), torch.randn(3, 4, 4))
    assert (
        not X.requires_grad
        and rows_ == slice(0, ROWS_AT_ONCE["cpu"] // 2)
        and same_bits(before, [w.detach() for w in solver.model.parameters()])
    )
    assert isinstance(solver, Solver) and solver.device.type == "cpu" and torch.is_grad_enabled()
