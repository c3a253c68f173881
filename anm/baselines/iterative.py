"""Iterative baselines: classical iterations' error against n x n matrix products.

They compute in float32, as a trained solver does; the eigenvalues for their coefficients come from float64.
"""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import torch

from anm.tasks import FrozenSet, frozen_problems, get
from anm.tasks.frozen import FIT_STREAM

TASK = get("inverse")  # the only task that these iterations solve
FIT_PROBLEMS = 2000  # of the frozen fitting set, for the range of eigenvalues
RANGE_MARGIN = 1.2  # factor on the largest fitted eigenvalue: problems with a larger one diverge
MAX_PRODUCTS = 48  # every method has converged by then at n = 20

# A (N, n, n) -> (products so far, X (N, n, n)) after each iteration
IterativeSolver = Callable[[np.ndarray], Iterator[tuple[int, np.ndarray]]]


def newton_schulz_best(A: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Newton-Schulz from 2 / (l_min + l_max) I, the best multiple of I for each problem.

    The extreme eigenvalues l_min and l_max are given; their cost is not counted.
    Source: Ben-Israel and Cohen 1966, doi:10.1137/0703035.
    """
    eigenvalues = np.linalg.eigvalsh(A.astype(np.float64))
    start = 2 / (eigenvalues[:, 0] + eigenvalues[:, -1])
    X = start[:, None, None].astype(np.float32) * np.eye(A.shape[-1], dtype=np.float32)
    for iteration in range(1, MAX_PRODUCTS // 2 + 1):
        X = 2 * X - X @ (A @ X)
        yield 2 * (iteration - 1), X  # the first iteration multiplies by multiples of I: no product


def newton_schulz_fitted(low: float, high: float) -> IterativeSolver:
    """Newton-Schulz with optimal coefficients for eigenvalues from `low` to `high`.

    Eigenvalues are in units of ||A||_F / sqrt(n). Each step is X (a I - b A X). The eigenvalues of A X lie in [l, 2 -
    l]; a and b bring them as close to 1 as one step can. Source: Pan and Schreiber 1991, doi:10.1137/0912058, section
    3.
    """

    def answers(A: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        n = A.shape[-1]
        unit = np.linalg.norm(A, axis=(1, 2), keepdims=True) / n**0.5
        X = np.float32(2 / (low + high)) / unit * np.eye(n, dtype=np.float32)
        l = 2 * low / (low + high)
        for iteration in range(1, MAX_PRODUCTS // 2 + 1):
            reached = l * (2 - l)  # y -> y (2 - y) takes [l, 2 - l] to [reached, 1]
            centre = 2 / (1 + reached)  # which this factor centres on 1 again
            X = np.float32(centre) * (2 * X - X @ (A @ X))
            l = centre * reached
            yield 2 * (iteration - 1), X

    return answers


def fitted_range(n: int) -> tuple[float, float]:
    """The smallest eigenvalue of `same`, and RANGE_MARGIN times the largest.

    Both come from the frozen fitting set, in units of ||A||_F / sqrt(n).
    """
    A = frozen_problems(TASK, n, TASK.splits["same"], FIT_PROBLEMS, FIT_STREAM).problem.numpy().astype(np.float64)
    eigenvalues = np.linalg.eigvalsh(A) / (np.linalg.norm(A, axis=(1, 2))[:, None] / n**0.5)
    return float(eigenvalues.min()), RANGE_MARGIN * float(eigenvalues.max())


def conjugate_gradients(A: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Conjugate gradients on A X = I, per column; one product per iteration.

    Source: Hestenes and Stiefel 1952, doi:10.6028/jres.049.044.
    """
    X = np.zeros_like(A)
    R = np.broadcast_to(np.eye(A.shape[-1], dtype=A.dtype), A.shape).copy()
    P, size = R.copy(), (R * R).sum(-2, keepdims=True)
    for iteration in range(1, MAX_PRODUCTS + 1):
        AP = A @ P
        step = size / np.maximum((P * AP).sum(-2, keepdims=True), np.finfo(A.dtype).tiny)
        X, R = X + step * P, R - step * AP
        before, size = size, (R * R).sum(-2, keepdims=True)
        P = R + size / np.maximum(before, np.finfo(A.dtype).tiny) * P
        yield iteration - 1, X  # the first iteration multiplies by I: no product


def lu_float32(A: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Gaussian elimination, the limit of float32; its 2 n^3 operations equal one product."""
    yield 1, torch.linalg.inv(torch.from_numpy(A)).numpy()  # numpy would compute in float64


def iterative_table(n: int, problems: int) -> pd.DataFrame:
    """MSE after each number of products. Columns: method, products, split, mse."""
    solvers = {
        "newton_schulz_best": newton_schulz_best,
        "newton_schulz_fitted": newton_schulz_fitted(*fitted_range(n)),
        "conjugate_gradients": conjugate_gradients,
        "lu_float32": lu_float32,
    }
    rows = []
    for split, offset in TASK.splits.items():
        test = frozen_problems(TASK, n, offset, problems)
        for name, solver in solvers.items():
            rows += [
                {"method": name, "products": products, "split": split, "mse": mse}
                for products, mse in errors_by_products(solver, test)
            ]
    return pd.DataFrame(rows)


def errors_by_products(solver: IterativeSolver, test: FrozenSet) -> Iterator[tuple[int, float]]:
    """Products so far and MSE, after each iteration."""
    X = test.answer.numpy()
    for products, answer in solver(test.problem.numpy()):
        yield products, float(np.mean((answer.astype(np.float64) - X) ** 2))
