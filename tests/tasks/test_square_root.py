"""Square roots: one right answer or many, and the classical iterations."""

import numpy as np
import pytest
import torch
from task_checks import check_frozen, check_mean, draw_many

import anm
from anm.baselines.closed_form import closed_form_table
from anm.tasks.square_root import denman_beavers, newton_square_root, principal_square_root

ONE, MANY = anm.tasks.get("square_root"), anm.tasks.get("square_root_many")


@pytest.mark.parametrize("task", [ONE, MANY], ids=lambda task: task.name)
@pytest.mark.parametrize("n", [1, 2, 5, 20])
def test_answers_solve_their_problems(task, n):
    problem, answer = draw_many(task, n, 0.3, batch=200)
    assert torch.equal(problem, answer @ answer)
    torch.testing.assert_close(answer, answer.mT, atol=2e-6, rtol=0)
    assert task.violation(problem, answer).max() < 1e-6
    sizes = torch.linalg.eigvalsh(answer.double()).abs()
    assert sizes.min() > 0.3 - 1e-5 and sizes.max() < 1 + 1e-5


def test_the_two_forms_differ_in_the_signs_of_the_eigenvalues_alone():
    A, X = draw_many(ONE, 4, 0.3, batch=200)
    B, Y = draw_many(MANY, 4, 0.3, batch=200)
    torch.testing.assert_close(A, B, atol=2e-6, rtol=1e-5)
    assert torch.linalg.eigvalsh(X).min() > 0
    negative = torch.linalg.eigvalsh(Y) < 0
    check_mean(negative.double(), 0.5)


def test_moments_are_those_of_uniform_rotations():
    """With l uniform on [0.3, 1] and Q uniform: E X = E[l] I, E tr(X)^2 and E X_12^2 in closed form."""
    n, low = 3, 0.3
    _, X = draw_many(ONE, n, low, batch=20_000)
    mean, second = (1 + low) / 2, (1 - low**3) / (3 * (1 - low))
    check_mean(X[..., 0, 0], mean)
    check_mean(X[..., 2, 2], mean)
    check_mean(X[..., 0, 1], 0)
    check_mean(X.square().sum((-2, -1)) / n, second)
    # E X_12^2 = var(l) E[sum_i Q_1i^2 Q_2i^2] = var(l) n / (n (n + 2)) for uniform Q
    check_mean(X[..., 0, 1].square(), (second - mean**2) / (n + 2))
    check_mean(X[..., 1, 2].square(), (second - mean**2) / (n + 2))


def test_the_score_of_many_answers_takes_every_root():
    problem, answer = draw_many(MANY, 4, 0.3, batch=50)
    values, vectors = torch.linalg.eigh(problem.double())
    signs = torch.where(torch.arange(4) % 2 == 0, 1.0, -1.0).double()
    other = ((vectors * (signs * values.sqrt())[..., None, :]) @ vectors.mT).float()
    assert (other - answer).abs().max() > 0.5
    assert MANY.error(problem, other, answer).max() < 1e-9
    assert (ONE.error(problem, other, answer) > 1e-3).float().mean() > 0.8  # unless the signs agree by chance
    zero = torch.zeros_like(answer)
    torch.testing.assert_close(MANY.error(problem, zero, answer), torch.ones(2, 50))


def test_classical_iterations_reach_the_principal_root():
    problem, answer = (part[0].double().numpy() for part in draw_many(ONE, 5, 0.3, batch=30))
    for method in (lambda A: denman_beavers(A, 10), lambda A: newton_square_root(A, 10), principal_square_root):
        assert np.abs(method(problem) - answer).max() < 1e-6


def test_frozen_problems_are_the_same_at_every_size():
    check_frozen(ONE, 4)
    check_frozen(MANY, 3)


def test_references_are_in_order():
    table = closed_form_table(MANY, 4, 100).set_index("reference")["mse_same"]
    assert table["constant"] == pytest.approx(1, abs=0.02)
    assert table["eigenvalues"] < 1e-12 and table["Denman-Beavers, 4 iterations"] < 1e-8
    assert table["polynomial_2"] < table["affine"] < table["constant"]
