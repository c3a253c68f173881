"""A solver on the frozen test sets: the scores of a record."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from anm.beyond import evaluate_beyond
from anm.examples import examples
from anm.landscape import Descent, Solver
from anm.matrices import LADDER, OFFSETS, TestSet, frozen_problems, residual, squared_error

STEP_BUDGETS = (0, 1, 2, 3, 4, 5, 10, 20)
CONDITION_BINS = 8
# The ladder and the step budgets are read as curves, so a part of the test set is enough for each point.
PART = 5
BEYOND = 20  # what is beyond the training, such as other spectra, is answered by a twentieth


def solve_errors(
    solver: Solver, test: TestSet, landscape_steps: int | None = None, batch: int | None = None, watch=None
) -> tuple[np.ndarray, np.ndarray]:
    """Per problem and seed: squared error and residual, float64, each (S, N). Only they leave the device."""
    errors, residuals = [], []
    for rows, x0 in solver.answers(test.A, test.start, landscape_steps, batch, watch):
        A, X = test.A[rows].to(x0.device), test.X[rows].to(x0.device)
        errors.append(squared_error(x0, X).cpu().numpy())
        residuals.append(residual(A, x0).cpu().numpy())
    return tuple(np.concatenate(parts, axis=1).astype(np.float64) for parts in (errors, residuals))


def score(errors: np.ndarray) -> dict[str, list[float]]:
    """MSE per seed and its standard error over problems, from squared errors (S, N)."""
    spread = errors.std(axis=1, ddof=1) / np.sqrt(errors.shape[1])
    return {"mse": errors.mean(axis=1).tolist(), "mse_se": spread.tolist()}


def by_condition(errors: np.ndarray, condition: np.ndarray) -> dict[str, list]:
    """MSE per seed within bins of the condition number that hold equally many problems; `mse` is (K, S)."""
    edges = np.quantile(condition, np.linspace(0, 1, CONDITION_BINS + 1))
    bins = np.clip(np.searchsorted(edges, condition, side="right") - 1, 0, CONDITION_BINS - 1)
    members = [bins == k for k in range(CONDITION_BINS)]
    return {
        "edges": edges.tolist(),
        "problems": [int(m.sum()) for m in members],
        "mse": [errors[:, m].mean(axis=1).tolist() if m.any() else [None] * len(errors) for m in members],
    }


class LandscapeMeans:
    """Means per level and seed of what `sample` shows on the way to the answers."""

    def __init__(self):
        self.sums: dict[int, Tensor] = {}
        self.problems = 0

    def watching(self, test: TestSet, solver: Solver):
        """A `watch` for `sample` that compares with the answers of `test`, batch after batch from the first."""
        top, X = len(solver.schedule) - 1, None

        def watch(level: int, descent: Descent, x0: Tensor) -> None:
            nonlocal X
            if level == top:
                X = test.X[self.problems : self.problems + x0.shape[1]].to(x0.device)
                self.problems += x0.shape[1]
            rows = (descent.energy_before, descent.energy_after, descent.accepted, squared_error(x0, X))
            self.sums[level] = self.sums.get(level, 0) + torch.stack([r.sum(1) for r in rows])

        return watch

    def table(self) -> dict[str, list]:
        """The record's `landscape`: levels in the order of sampling; the rest (T, S)."""
        means = {level: (sums / self.problems).tolist() for level, sums in self.sums.items()}
        names = ("energy_before", "energy_after", "accepted", "mse")
        return {"level": list(means)} | {name: [row[k] for row in means.values()] for k, name in enumerate(names)}


@dataclass(frozen=True)
class Evaluation:
    """What a solver scored: the record's `results` and `landscape`, and the seconds it took."""

    results: dict[str, Any]
    landscape: dict[str, Any]
    seconds: float


def evaluate(solver: Solver) -> Evaluation:
    """A solver's scores on the frozen test sets, the difficulty ladder, other budgets, sizes and spectra.

    The scores that count (`same`, `harder`) are over all of the run's test problems at its landscape steps; ladder
    and step budgets over the first fifth of them, the rest (see `anm.beyond`) over fewer.
    """
    started, params = time.perf_counter(), solver.params
    means, results = LandscapeMeans(), {}
    for split, offset in OFFSETS.items():
        test = frozen_problems(params.n, offset, params.test_problems)
        watch = means.watching(test, solver) if split == "same" else None
        errors, residuals = solve_errors(solver, test, watch=watch)
        results[split] = {"offset": offset, "problems": len(test)} | score(errors)
        results[split] |= {
            "residual": residuals.mean(axis=1).tolist(),
            "by_condition": by_condition(errors, test.condition),
        }
    part = max(2, params.test_problems // PART)
    results["ladder"] = [ladder_rung(solver, offset, part) for offset in LADDER]
    results["landscape_steps"] = [step_budget(solver, steps, part) for steps in STEP_BUDGETS]
    results |= evaluate_beyond(solver, max(2, params.test_problems // BEYOND)) | examples(solver, params.test_problems)
    return Evaluation(results, means.table(), time.perf_counter() - started)


def ladder_rung(solver: Solver, offset: float, problems: int) -> dict[str, Any]:
    """Scores at one offset of the difficulty ladder."""
    errors, _ = solve_errors(solver, frozen_problems(solver.params.n, offset, problems))
    return {"offset": offset, "problems": problems} | score(errors)


def step_budget(solver: Solver, steps: int, problems: int) -> dict[str, Any]:
    """MSE per seed on both difficulties with this many landscape steps a level."""
    rung: dict[str, Any] = {"steps": steps, "problems": problems}
    for split, offset in OFFSETS.items():
        errors, _ = solve_errors(solver, frozen_problems(solver.params.n, offset, problems), steps)
        rung[split] = score(errors)["mse"]
    return rung
