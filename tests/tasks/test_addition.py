"""Addition: exact sums, their distribution, and what the released clip costs."""

import numpy as np
import pytest
import torch
from task_checks import check_draws, check_frozen, draw_many

import anm
from anm.baselines.closed_form import closed_form_table

TASK = anm.tasks.get("addition")


def test_the_answer_is_the_sum():
    problem, answer = draw_many(TASK, n=5, difficulty=2.5)
    assert torch.equal(problem[:, :, 0] + problem[:, :, 1], answer)
    assert TASK.violation(problem, answer).max() == 0
    assert TASK.violation(problem, answer + 0.5).mean() == pytest.approx(0.5)


@pytest.mark.parametrize("split", ["same", "harder"])
def test_entries_are_uniform_and_independent(split):
    s = TASK.splits[split]
    problem, answer = draw_many(TASK, n=4, difficulty=s)
    check_draws(problem.flatten(3), mean=0, variance=s**2 / 3)
    check_draws(answer, mean=0, variance=2 * s**2 / 3)
    assert problem.abs().max() <= s


def test_frozen_problems_are_the_same_at_every_size():
    check_frozen(TASK, n=4)


def test_least_squares_is_exact():
    table = closed_form_table(TASK, 4, 200).set_index("reference")
    assert table.loc["least squares", ["mse_same", "mse_harder"]].max() < 1e-12


def test_the_released_clip_costs_half_of_the_error_on_harder():
    """E[max(|x| - 2, 0)^2] for x triangular on (-5, 5): 2 * integral_0^3 u^2 (3 - u) / 25 du = 0.54."""
    frozen = anm.tasks.frozen_problems(TASK, 20, TASK.splits["harder"], 400)
    cost = (frozen.answer - frozen.answer.clamp(-2, 2)).square().mean((1, 2)).numpy()
    exact = 2 * 3**4 / 12 / 25
    assert exact == pytest.approx(0.54)
    assert abs(cost.mean() - exact) < 5 * cost.std() / np.sqrt(len(cost))
