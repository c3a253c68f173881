"""The evaluation of every task, and of one of a user's own: a valid record, the same at every batch size."""

import copy
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
import torch
from tiny import narrow, silent_train, tiny  # noqa: F401

from anm.evaluation.examples import example_answers
from anm.evaluation.generalization import spectrum_scores
from anm.evaluation.scores import LandscapeMeans, evaluate
from anm.records.schema import check_record, clean
from anm.records.write import run_record
from anm.registry import CHOICES
from anm.solvers.errors import solve_errors
from anm.solvers.solver import Solver
from anm.tasks import frozen_problems

OWN = "own_task:RowSums"


def trained(folder, task, **settings) -> Solver:
    return silent_train(tiny(folder, task=task, completion_rank=2, **{"noise_levels": 2} | settings))


@pytest.mark.parametrize("task", [*CHOICES["task"], OWN])
def test_every_task_gives_a_valid_record(task, tmp_path):
    solver = trained(tmp_path, task)
    record = clean(run_record(solver, evaluate(solver), datetime.now(UTC)))
    check_record(record)
    of_task, results = solver.params.task_object(), record["results"]
    assert record["params"]["task"] == task
    for split, difficulty in of_task.splits.items():
        assert results[split]["offset"] == difficulty and len(results[split]["mse"]) == 2
        assert (results[split]["residual"] is not None) == of_task.verifiable
        assert ("by_condition" in results[split]) == (task == "inverse")
        assert set(results[split].get("other", {})) == (
            {"entries_wrong", "solved"} if task == "connectivity" else set()
        )
    assert [rung["offset"] for rung in results["ladder"]] == list(of_task.ladder)
    assert len(results["spectra"]) == (4 if task == "inverse" else 0)
    assert ("hardest" in results["thinking"][0]) == bool(of_task.ladder)
    assert ("forming" in results) == (task != OWN) and bool(results.get("worst")) == (task == "inverse")


@pytest.mark.parametrize("task", ["addition", "square_root_many", "connectivity", OWN])
def test_the_scores_are_those_of_the_task_for_the_answers_to_its_frozen_problems(task, tmp_path):
    solver = trained(tmp_path, task)
    of_task, results = solver.params.task_object(), evaluate(solver).results
    for split, difficulty in of_task.splits.items():
        test = frozen_problems(of_task, 4, difficulty, 20)
        X = torch.cat([x0 for _, x0 in solver.answers(test.problem, test.start)], dim=1)
        problem, answer = (part.expand(2, *part.shape) for part in (test.problem, test.answer))
        assert results[split]["mse"] == pytest.approx(of_task.error(problem, X, answer).mean(1).tolist(), rel=1e-4)
        to_the_answer = (X - answer).square().flatten(2).mean((1, 2)).tolist()
        assert (results[split]["mse"] == pytest.approx(to_the_answer, rel=1e-4)) == (of_task.answers == "one")
        if of_task.verifiable:
            expected = of_task.violation(problem, X).mean(1).tolist()
            assert results[split]["residual"] == pytest.approx(expected, rel=1e-4)
        for name, values in of_task.other_scores(problem, X, answer).items():
            assert results[split]["other"][name] == pytest.approx(values.mean(1).tolist(), rel=1e-4)


def scores_in_batches(solver, frozen, batch):
    """Scores and the landscape's means, computed in float64 throughout."""
    precise = Solver(solver.params, copy.deepcopy(solver.model).double(), copy.deepcopy(solver.schedule).double())
    parts = {part: getattr(frozen, part).double() for part in ("problem", "answer", "start")}
    exact, means = replace(frozen, **parts), LandscapeMeans(replace(frozen, **parts), len(solver.schedule) - 1)
    scores = solve_errors(precise, exact, batch=batch, watch=means.watch)
    return [
        scores.error,
        *([scores.violation] if frozen.task.verifiable else []),
        *scores.other.values(),
    ], means.table()


@pytest.mark.parametrize("task", ["square_root", "square_root_many", "connectivity", OWN])
def test_scores_do_not_depend_on_the_batch(task, tmp_path):
    solver = trained(tmp_path, task, noise_levels=4)
    frozen = frozen_problems(solver.params.task_object(), 4, solver.params.task_object().splits["harder"], 30)
    whole, table = scores_in_batches(solver, frozen, 30)
    assert len(whole) == {"connectivity": 4, OWN: 1}.get(task, 2)
    for batch in (1, 7, 29):
        parts, of_parts = scores_in_batches(solver, frozen, batch)
        for one, other in zip(parts, whole, strict=True):
            assert one.shape == (2, 30)
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)
        for name in ("energy_before", "energy_after", "mse"):  # a step without effect is accepted or not by rounding
            np.testing.assert_allclose(of_parts[name], table[name], rtol=1e-9, atol=1e-12)


def test_the_splits_may_come_in_any_order(tmp_path, monkeypatch):
    solver = trained(tmp_path, "addition")
    before = example_answers(solver, 5)
    monkeypatch.setattr(type(solver.params.task_object()), "splits", {"harder": 2.5, "same": 1.0})
    assert example_answers(solver, 5) == before


def test_further_problems_need_no_condition_number(tmp_path, monkeypatch):
    solver = trained(tmp_path, OWN)

    def diagonals(self, n, problems):
        x = torch.linspace(0.5, 1, problems * n).view(problems, n)
        return {"diagonals": (torch.diag_embed(x), x, torch.ones(problems, n))}

    monkeypatch.setattr(type(solver.params.task_object()), "other_problems", diagonals)
    (entry,) = spectrum_scores(solver, 6, 2)
    assert (entry["spectrum"], entry["condition"], len(entry["relative"])) == ("diagonals", None, 2)
    record = run_record(solver, evaluate(solver), datetime.now(UTC))
    check_record(clean(record))
