"""Completion: the published task, its trivial answer, and what can be reached at best."""

import numpy as np
import pytest
import torch
from task_checks import check_draws, check_frozen, check_mean, draw_many

import anm
from anm.tasks.completion import Completion, posterior_mean, soft_impute

TASK = anm.tasks.get("completion")


@pytest.mark.parametrize("split", ["same", "harder"])
def test_moments_of_answers_and_masks(split):
    scale = TASK.splits[split]
    problem, answer = draw_many(TASK, 12, scale, batch=1000)
    check_draws(answer, mean=0, variance=0.01 + 10 / scale**2)
    check_mean((problem != 0).double(), 0.5)
    seen = problem != 0
    assert torch.equal(problem[seen], answer[seen])


def test_zero_fill_is_what_was_computed_before():
    """facts: 0.01750 and 0.2052; half of the answers' variance, 0.0175 and 0.205, at n = 20."""
    for split, exact in {"same": 0.0175, "harder": 0.205}.items():
        frozen = anm.tasks.frozen_problems(TASK, 20, TASK.splits[split], 2000)
        errors = TASK.error(frozen.problem[None], frozen.problem[None], frozen.answer[None])[0].numpy()
        assert abs(errors.mean() - exact) < 3 * errors.std() / np.sqrt(len(errors))


def test_nobody_can_tell_whether_an_answer_is_right():
    problem, answer = draw_many(TASK, 12, 20.0, batch=5)
    assert TASK.violation(problem, answer) is None


def test_a_rank_above_n_is_refused():
    with pytest.raises(ValueError, match="n = 6: must be at least the rank"):
        TASK.shapes(6)
    assert Completion(rank=1).shapes(6) == ((6, 6), (6, 6))


def test_soft_impute_and_posterior_mean_recover_a_matrix_of_rank_one():
    random = np.random.default_rng(0)
    U, V = random.standard_normal((2, 20, 12, 1))
    answer = U @ V.swapaxes(1, 2) / 2 + 0.1 * random.standard_normal((20, 12, 12))
    problem = answer * (random.random(answer.shape) < 0.7)
    trivial = np.mean((problem - answer) ** 2)
    best = np.mean((posterior_mean(problem, rank=1, scale=2.0, sweeps=200) - answer) ** 2)
    assert best < np.mean((soft_impute(problem, 0.2) - answer) ** 2) < 0.6 * trivial
    assert best < 1.5 * 0.01 * 0.3  # the noise of the hidden 30 %, which nothing can know


def test_frozen_problems_are_the_same_at_every_size():
    check_frozen(TASK, 12)
