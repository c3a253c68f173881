"""Scores of a solver on the frozen test sets: the `results` of a record."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from anm.evaluation.budget_points import fitted_scale, point_scores
from anm.evaluation.examples import example_answers
from anm.evaluation.generalization import evaluate_generalization
from anm.solvers.descent import DescentResult
from anm.solvers.errors import ProblemErrors, mse_per_seed, solve_errors
from anm.solvers.solver import Solver
from anm.tasks import FrozenSet, frozen_problems
from anm.tasks.frozen import test_stream

STEP_BUDGETS = (0, 1, 2, 3, 4, 5, 10, 20)  # landscape steps per noise level
CONDITION_BINS = 8
# The main scores use all test problems; curves and generalization use this fraction of them.
CURVE_FRACTION, GENERALIZATION_FRACTION = 5, 20  # one fifth, one twentieth


@dataclass(frozen=True)
class Evaluation:
    """A record's `results` and `landscape`, and the seconds of the evaluation."""

    results: dict[str, Any]
    landscape: dict[str, Any]
    seconds: float


def evaluate(solver: Solver) -> Evaluation:
    """Scores on frozen test sets: difficulties, step budgets, sizes and spectra.

    The main scores (`same`, `harder`) use all test problems and the landscape steps of the run.
    """
    started, params, results = time.perf_counter(), solver.params, {}
    task, stream = params.task_object(), test_stream(params.test_set)
    count, scale = params.test_problems, fitted_scale(solver)
    sets = {split: frozen_problems(task, params.n, value, count, stream) for split, value in task.splits.items()}
    means, errors = LandscapeMeans(sets["same"], len(solver.schedule) - 1), {}
    for split, frozen in sets.items():
        watch = means.watch if split == "same" else None
        errors[split] = solve_errors(solver, frozen, watch=watch, scale=scale)
        results[split] = split_scores(frozen, errors[split])
    results["budgets"] = point_scores(solver, sets, errors, scale)
    if params.evaluation == "full":
        results |= further_scores(solver)
    return Evaluation(results, means.table(), time.perf_counter() - started)


def further_scores(solver: Solver) -> dict[str, Any]:
    """Scores by difficulty and by landscape steps, generalization, and example answers."""
    params, results = solver.params, {}
    task = params.task_object()
    for_curves = max(2, params.test_problems // CURVE_FRACTION)
    results["ladder"] = [
        {"offset": value, "problems": for_curves} | mse_at(solver, value, for_curves) for value in task.ladder
    ]
    results["landscape_steps"] = [
        {"steps": steps, "problems": for_curves}
        | {split: mse_at(solver, value, for_curves, steps)["mse"] for split, value in task.splits.items()}
        for steps in STEP_BUDGETS
    ]
    results |= evaluate_generalization(solver, max(2, params.test_problems // GENERALIZATION_FRACTION))
    return results | example_answers(solver, params.test_problems)


def split_scores(frozen: FrozenSet, errors: ProblemErrors) -> dict[str, Any]:
    """A record's scores on one difficulty; parts that the task does not have are null or missing."""
    scores = {"offset": frozen.difficulty, "problems": len(frozen)} | mse_per_seed(errors.error)
    scores["residual"] = None if errors.violation is None else errors.violation.mean(axis=1).tolist()
    if frozen.condition is not None:
        scores["by_condition"] = mse_by_condition(errors.error, frozen.condition)
    if errors.other:
        scores["other"] = {name: values.mean(axis=1).tolist() for name, values in errors.other.items()}
    return scores


def mse_by_condition(errors: np.ndarray, condition: np.ndarray) -> dict[str, list]:
    """MSE (K, S) in K bins of the condition number; None for an empty bin.

    All bins have equally many problems. errors: squared errors (S, N). condition: condition numbers (N,).
    """
    edges = np.quantile(condition, np.linspace(0, 1, CONDITION_BINS + 1))
    bins = np.clip(np.searchsorted(edges, condition, side="right") - 1, 0, CONDITION_BINS - 1)
    members = [bins == k for k in range(CONDITION_BINS)]
    return {
        "edges": edges.tolist(),
        "problems": [int(m.sum()) for m in members],
        "mse": [errors[:, m].mean(axis=1).tolist() if m.any() else [None] * len(errors) for m in members],
    }


class LandscapeMeans:
    """Each noise level's energies, accepted steps and squared error, averaged over the problems of `frozen`."""

    def __init__(self, frozen: FrozenSet, first_level: int):
        self.frozen, self.first_level = frozen, first_level
        self.sums: dict[int, Tensor] = {}
        self.problems = 0

    def watch(self, level: int, descent: DescentResult, x0: Tensor) -> None:
        """A `watch` function for `sample`; it expects the batches of `frozen` in order."""
        if level == self.first_level:
            self.batch = self.frozen.batch(slice(self.problems, self.problems + x0.shape[1]), x0)
            self.problems += x0.shape[1]
        problem, answer = self.batch
        errors = self.frozen.task.error(problem, x0, answer)
        rows = (descent.energy_before, descent.energy_after, descent.accepted, errors)
        self.sums[level] = self.sums.get(level, 0) + torch.stack([r.sum(1) for r in rows])

    def table(self) -> dict[str, list]:
        """The record's `landscape`: `level` (T,) in sampling order, the other columns (T, S)."""
        means = {level: (sums / self.problems).tolist() for level, sums in self.sums.items()}
        names = ("energy_before", "energy_after", "accepted", "mse")
        return {"level": list(means)} | {name: [row[k] for row in means.values()] for k, name in enumerate(names)}


def mse_at(solver: Solver, difficulty: float, problems: int, landscape_steps: int | None = None) -> dict[str, list]:
    """The score per seed and its standard error at one difficulty. landscape_steps: per level; None: the run's."""
    frozen = frozen_problems(solver.params.task_object(), solver.params.n, difficulty, problems)
    return mse_per_seed(solve_errors(solver, frozen, landscape_steps).error)
