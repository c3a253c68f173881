"""Errors of a solver on frozen problems."""

import numpy as np

from anm.solvers.solver import Solver
from anm.tasks.frozen import TestSet
from anm.tasks.inverse import residual_norm, squared_error


def solve_errors(
    solver: Solver, test: TestSet, landscape_steps: int | None = None, batch: int | None = None, watch=None
) -> tuple[np.ndarray, np.ndarray]:
    """Mean squared error and residual of each answer, float64, each (S, N).

    Only these leave the device. The options are those of `Solver.answers`.
    """
    errors, residuals = [], []
    for rows, x0 in solver.answers(test.A, test.start, landscape_steps, batch, watch=watch):
        A, X = test.A[rows].to(x0.device), test.X[rows].to(x0.device)
        errors.append(squared_error(x0, X).cpu().numpy())
        residuals.append(residual_norm(A, x0).cpu().numpy())
    return tuple(np.concatenate(parts, axis=1).astype(np.float64) for parts in (errors, residuals))


def mse_per_seed(errors: np.ndarray) -> dict[str, list[float]]:
    """MSE per seed and its standard error over problems, from the errors (S, N) of the problems."""
    standard_error = errors.std(axis=1, ddof=1) / np.sqrt(errors.shape[1])
    return {"mse": errors.mean(axis=1).tolist(), "mse_se": standard_error.tolist()}
