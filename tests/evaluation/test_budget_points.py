"""Scores at budget points: the fitted scalar, the weights of each point, and errors per problem."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
import torch
from tiny import INVERSE, fresh_solver, frozen_inverse, narrow, same_bits, silent_train, tiny  # noqa: F401

from anm.evaluation.budget_points import SCALES, annealed_weights, best_scale, fitted_scale
from anm.evaluation.scores import evaluate
from anm.params import RunParams
from anm.records.problem_errors import decode
from anm.records.schema import SPLITS, check_record, clean
from anm.records.write import run_record
from anm.solvers.errors import solve_errors
from anm.tasks.frozen import FIT_STREAM
from anm.training.compute import training_compute
from anm.training.loop import untrained


def parabolas(*minima):
    """Errors over `SCALES` (len(SCALES), S): parabolas in the logarithm of the scalar with these minima."""
    logs = np.log(SCALES.double().numpy())[:, None]
    return 0.3 + 5 * (logs - np.log(minima)) ** 2


@pytest.mark.parametrize("minimum", [0.51, 0.77, 0.98, 1.0, 1.003, 1.5, 1.98])
def test_the_best_scalar_of_a_parabola_is_its_minimum(minimum):
    assert best_scale(parabolas(minimum, 1.2)).tolist() == pytest.approx([minimum, 1.2], rel=1e-5)


@pytest.mark.parametrize("minimum, limit", [(0.2, 0.5), (0.5, 0.5), (2.0, 2.0), (7.0, 2.0)])
def test_a_best_scalar_out_of_range_is_the_limit(minimum, limit):
    assert best_scale(parabolas(minimum)).tolist() == pytest.approx([limit], rel=1e-5)


def test_a_scalar_is_finite_where_errors_are_not():
    errors = parabolas(0.9, 0.9, 0.9)
    errors[:, 0], errors[60:, 1] = np.nan, np.nan
    scales = best_scale(errors)
    assert torch.isfinite(scales).all() and scales[1:].tolist() == pytest.approx([0.9, 0.9], rel=1e-5)


def answering(solver, factors, noise):
    """The solver, whose answer to a problem is now its exact inverse with noise, times a factor for each seed."""

    def answers(problem, start, *others, **options):
        exact = torch.linalg.inv(problem) + noise * start
        yield slice(0, len(problem)), torch.stack([factor * exact for factor in factors])

    solver.answers = answers
    return solver


def test_answers_of_another_scale_get_the_scalar_that_undoes_it():
    solver = answering(fresh_solver(), (0.98, 1.25), noise=0)
    assert fitted_scale(solver).tolist() == pytest.approx([1 / 0.98, 1 / 1.25], rel=1e-3)


def test_the_scaled_error_of_answers_that_are_too_small_is_that_of_the_right_scale():
    solver, noise = answering(fresh_solver(), (0.98, 0.98), noise=0.005), 0.005
    test = frozen_inverse(4, 0.5, 200)
    errors = solve_errors(solver, test, scale=fitted_scale(solver))
    right = (noise * test.start.double()).square().mean((1, 2)).mean().item()
    assert errors.scaled.mean(1) == pytest.approx([right] * 2, rel=0.05)
    assert np.all(errors.error.mean(1) > 2 * right)


def test_the_scalar_is_fitted_on_problems_that_no_test_set_has(monkeypatch):
    seen, solver = [], fresh_solver()
    answers = solver.answers
    monkeypatch.setattr(solver, "answers", lambda problem, *rest: seen.append(problem) or answers(problem, *rest))
    fitted_scale(solver)
    assert same_bits(seen, [frozen_inverse(4, 0.5, 200, FIT_STREAM).problem])


def test_annealed_weights_are_used_inside_the_block_alone(tmp_path):
    solver, other = (untrained(tiny(tmp_path, seeds=seeds)) for seeds in ("0-1", "2-3"))
    final = [weight.clone() for weight in solver.model.parameters()]
    solver.annealed[5] = other.model.state_dict()
    with pytest.raises(KeyError, match="boom"), annealed_weights(solver, 5):
        assert same_bits(list(solver.model.parameters()), list(other.model.parameters()))
        raise KeyError("boom")
    assert same_bits(list(solver.model.parameters()), final)


@pytest.fixture(scope="module")
def solver(tmp_path_factory):
    """A solver of two seeds with points at a quarter, a half and all of 24 steps."""
    settings = {"schedule": "wsd", "budget_points": "0.25,0.5,1", "learning_rate": 0.01, "evaluation": "scores"}
    return silent_train(tiny(tmp_path_factory.mktemp("points"), train_steps=24, **settings))


@pytest.fixture(scope="module")
def evaluation(solver):
    return evaluate(solver)


def test_every_point_has_its_share_steps_and_compute(solver, evaluation):
    points = evaluation.results["budgets"]
    assert [point["share"] for point in points] == [0.25, 0.5, 1]
    assert [point["steps"] for point in points] == [6, 12, 24]
    flops = training_compute(solver.params).step_flops
    assert [point["flops"] for point in points] == [6 * flops, 12 * flops, 24 * flops]
    assert [point["problems"] for point in points] == [20, 20, 20]


def test_the_last_point_has_the_scores_of_the_run(evaluation):
    last = evaluation.results["budgets"][-1]
    for split in ("same", "harder"):
        assert last[split]["mse"] == evaluation.results[split]["mse"]
        assert last[split]["errors"].shape == (2, 20)


def test_harder_problems_are_scored_from_half_of_the_training_on(evaluation):
    """There a baseline with twice the budget has the compute of the others."""
    assert ["harder" in point for point in evaluation.results["budgets"]] == [False, True, True]


def test_an_earlier_point_has_the_scores_of_its_weights(solver, evaluation):
    for point in evaluation.results["budgets"][:-1]:
        at_point = untrained(solver.params)
        at_point.model.load_state_dict(solver.annealed[point["steps"]])
        scale = fitted_scale(at_point)
        for split in [split for split in SPLITS if split in point]:
            errors = solve_errors(at_point, frozen_inverse(4, INVERSE.splits[split], 20), scale=scale)
            np.testing.assert_array_equal(point[split]["errors"], errors.error)
            assert point[split]["mse"] == errors.error.mean(1).tolist() and point[split]["scale"] == scale.tolist()
            assert point[split]["scaled"] == errors.scaled.mean(1).tolist()
    assert len({tuple(point["same"]["mse"]) for point in evaluation.results["budgets"]}) == 3


def test_scaling_does_not_raise_the_error_on_the_fitting_set(solver):
    test = frozen_inverse(4, 0.5, 200, FIT_STREAM)
    errors = solve_errors(solver, test, scale=fitted_scale(solver))
    assert np.all(errors.scaled.mean(1) <= errors.error.mean(1) * (1 + 1e-6))


def test_an_evaluation_leaves_the_final_weights_in_place(solver):
    final = [weight.clone() for weight in solver.model.parameters()]
    evaluate(solver)
    assert same_bits(list(solver.model.parameters()), final)


def test_the_errors_in_a_record_are_those_of_the_problems(solver, evaluation):
    record = clean(run_record(solver, evaluation, datetime.now(UTC)))
    check_record(record)
    assert record["compute"] == {
        name: getattr(training_compute(solver.params), name) for name in ("step_flops", "baseline_flops", "steps")
    }
    for point, written in zip(evaluation.results["budgets"], record["results"]["budgets"], strict=True):
        for split in [split for split in SPLITS if split in point]:
            errors = decode(written[split]["errors"], 2)
            np.testing.assert_allclose(errors, point[split]["errors"], rtol=7e-4)
            assert errors.mean(1) == pytest.approx(written[split]["mse"], rel=7e-4)
    assert isinstance(evaluation.results["budgets"][0]["same"]["errors"], np.ndarray)  # the evaluation is unchanged


def test_a_point_whose_weights_are_not_known_is_left_out(solver):
    """A checkpoint of the best weights has no others."""
    points = evaluate(replace(solver, annealed={})).results["budgets"]
    assert [point["steps"] for point in points] == [24]


def test_without_points_the_end_of_the_training_is_the_only_one(solver):
    params = RunParams(**solver.params.resolved() | {"budget_points": "1"})
    (point,) = evaluate(replace(solver, params=params)).results["budgets"]
    assert point["share"] == 1 and point["steps"] == 24
