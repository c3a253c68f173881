"""Errors of a solver on frozen problems."""

from typing import Any, NamedTuple

import numpy as np
import torch

from anm.solvers.solver import Solver
from anm.tasks.frozen import FrozenSet


class ProblemErrors(NamedTuple):
    """The task's scores of each answer, float64, each (S, N).

    violation: None where nobody can tell it. scaled: the error of the answer times its seed's scalar, if given.
    """

    error: np.ndarray
    violation: np.ndarray | None
    other: dict[str, np.ndarray]
    scaled: np.ndarray | None = None


def solve_errors(
    solver: Solver,
    frozen: FrozenSet,
    landscape_steps: int | None = None,
    batch: int | None = None,
    watch=None,
    scale: torch.Tensor | None = None,
) -> ProblemErrors:
    """The scores of the solver's answers to frozen problems; only the scores leave the device.

    scale: a factor (S,) for the answers of each seed, whose errors are given as `scaled`.
    """
    task, batches = frozen.task, []
    for rows, x0 in solver.answers(frozen.problem, frozen.start, landscape_steps, batch, watch=watch):
        problem, answer = frozen.batch(rows, x0)
        scores = {"error": task.error(problem, x0, answer)} | task.other_scores(problem, x0, answer)
        if scale is not None:
            scaled = x0 * scale.to(x0.device).view(-1, *[1] * (x0.ndim - 1))
            scores["scaled"] = task.error(problem, scaled, answer)
        if task.verifiable:
            scores["violation"] = task.violation(problem, x0)
        batches.append({name: values.cpu() for name, values in scores.items()})
    joined = {
        name: torch.cat([scores[name] for scores in batches], dim=1).numpy().astype(np.float64) for name in scores
    }
    scaled = joined.pop("scaled", None)
    return ProblemErrors(joined.pop("error"), joined.pop("violation", None), joined, scaled)


def mse_per_seed(errors: np.ndarray) -> dict[str, Any]:
    """The mean error and its standard error over problems, one per seed, from errors (S, N)."""
    standard_error = errors.std(axis=1, ddof=1) / np.sqrt(errors.shape[1])
    return {"mse": errors.mean(axis=1).tolist(), "mse_se": standard_error.tolist()}
