"""Closed-form baselines: constant, affine fit, polynomials, a fixed number of Newton-Schulz iterations, LU.

A baseline is a function fit(A, X) -> predict, and predict(A) -> X; all arrays are float64, (N, n, n). Baselines with
coefficients fit them to `same` problems from a frozen stream outside every test set. Answers are not clipped.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.polynomial import Chebyshev

from anm.tasks.frozen import FIT_STREAM, TestSet, frozen_problems
from anm.tasks.inverse import OFFSETS

Predict = Callable[[np.ndarray], np.ndarray]
Fit = Callable[[np.ndarray, np.ndarray], Predict]

BATCH = 100  # problems per call of predict; bounds memory, does not change the results


@dataclass(frozen=True)
class ClosedFormBaseline:
    """A baseline: name, n x n matrix products per answer (2 n^3 operations each), fit."""

    name: str
    products: int
    fit: Fit


def constant_fit(A: np.ndarray, X: np.ndarray) -> Predict:
    """The mean inverse, for every problem."""
    mean = X.mean(axis=0)
    return lambda A: np.broadcast_to(mean, A.shape)


def affine_fit(A: np.ndarray, X: np.ndarray) -> Predict:
    """The least-squares fit c0 I + c1 A: two coefficients."""
    return polynomial_fit(1)(A, X)


def polynomial_fit(degree: int) -> Fit:
    """The least-squares fit p(A) = c0 I + c1 A + ... + cd A^d.

    ||p(A) - A^-1||_F^2 is the sum of (p(l) - 1/l)^2 over the eigenvalues l of A. So least squares on matrix entries
    is a scalar fit over eigenvalues; the Chebyshev basis keeps it stable at high degrees.
    """

    def fit(A: np.ndarray, X: np.ndarray) -> Predict:
        eigenvalues = np.linalg.eigvalsh(A).ravel()
        scalar = Chebyshev.fit(eigenvalues, 1 / eigenvalues, degree)
        return lambda A: matrix_polynomial(scalar, A)

    return fit


def matrix_polynomial(scalar: Chebyshev, A: np.ndarray) -> np.ndarray:
    """p(A) for A (N, n, n) by Clenshaw's recurrence: degree - 1 matrix products."""
    eye = np.eye(A.shape[-1])
    offset, scale = scalar.mapparms()
    Y = offset * eye + scale * A
    last, *rest = scalar.coef[:0:-1]
    after, now = 0.0, last * eye
    for place, coefficient in enumerate(rest):
        product = last * Y if place == 0 else Y @ now
        after, now = now, coefficient * eye + 2 * product - after
    return scalar.coef[0] * eye + (Y @ now if rest else last * Y) - after


def newton_schulz_fit(iterations: int, start: Callable[[np.ndarray], np.ndarray]) -> Fit:
    """Newton-Schulz from X = start(A); nothing is fitted.

    Source: Ben-Israel and Cohen 1966, doi:10.1137/0703035; Pan and Reif 1985, doi:10.1145/22145.22161.
    """
    return lambda A, X: lambda A: newton_schulz(A, start(A), iterations)


def newton_schulz(A: np.ndarray, X: np.ndarray, iterations: int) -> np.ndarray:
    """X (N, n, n) after some iterations X <- X (2 I - A X), two products each."""
    for _ in range(iterations):
        X = 2 * X - X @ (A @ X)
    return X


def transpose_start(A: np.ndarray) -> np.ndarray:
    """A^T / (||A||_1 ||A||_inf): converges for every invertible A. Source: Pan and Reif 1985."""
    size = np.abs(A)
    return A.swapaxes(-1, -2) / (size.sum(-2).max(-1) * size.sum(-1).max(-1))[:, None, None]


def definite_start(A: np.ndarray) -> np.ndarray:
    """I / ||A||_1, for symmetric positive definite A: half as many iterations as `transpose_start`."""
    return np.eye(A.shape[-1]) / np.abs(A).sum(-2).max(-1)[:, None, None]


def lu_fit(A: np.ndarray, X: np.ndarray) -> Predict:
    """Gaussian elimination, the limit of accuracy; its 2 n^3 operations equal one product."""
    return np.linalg.inv


CLOSED_FORM_BASELINES = (
    ClosedFormBaseline("constant", 0, constant_fit),
    ClosedFormBaseline("affine", 0, affine_fit),
    ClosedFormBaseline("polynomial_2", 1, polynomial_fit(2)),
    ClosedFormBaseline("polynomial_4", 3, polynomial_fit(4)),
    ClosedFormBaseline("polynomial_10", 9, polynomial_fit(10)),
    ClosedFormBaseline("newton_schulz_16", 32, newton_schulz_fit(16, transpose_start)),
    ClosedFormBaseline("newton_schulz_20", 40, newton_schulz_fit(20, transpose_start)),
    ClosedFormBaseline("newton_schulz_spd_10", 20, newton_schulz_fit(10, definite_start)),
    ClosedFormBaseline("lu", 1, lu_fit),
)


def closed_form_table(n: int, problems: int) -> pd.DataFrame:
    """Every baseline's MSE and standard error on the frozen test sets.

    Columns: reference (the name), products, mse_same, mse_same_se, mse_harder, mse_harder_se.
    """
    tests = {split: frozen_problems(n, offset, problems) for split, offset in OFFSETS.items()}
    rows = []
    for baseline, predict in zip(CLOSED_FORM_BASELINES, fitted_baselines(n)):
        row = {"reference": baseline.name, "products": baseline.products}
        for split, test in tests.items():
            row[f"mse_{split}"], row[f"mse_{split}_se"] = mse_with_error(predict, test)
        rows.append(row)
    return pd.DataFrame(rows)


@lru_cache(maxsize=4)
def fitted_baselines(n: int) -> tuple[Predict, ...]:
    """CLOSED_FORM_BASELINES at side n, fitted to the frozen fitting set."""
    # 20,000 problems at n = 20; fewer of larger ones, which have more entries each
    problems = min(20_000, max(1_000, 8_000_000 // n**2))
    fit_set = frozen_problems(n, OFFSETS["same"], problems, FIT_STREAM)
    A, X = fit_set.A.numpy().astype(np.float64), fit_set.X.numpy().astype(np.float64)
    return tuple(baseline.fit(A, X) for baseline in CLOSED_FORM_BASELINES)


def mse_with_error(predict: Predict, test: TestSet) -> tuple[float, float]:
    """MSE, and its standard error over problems (NaN for one problem)."""
    errors = squared_errors(predict, test)
    deviation = errors.std(ddof=1) if len(errors) > 1 else np.nan
    return float(errors.mean()), float(deviation / np.sqrt(len(errors)))


def squared_errors(predict: Predict, test: TestSet) -> np.ndarray:
    """Mean squared error of each problem, (N,)."""
    A, X = test.A.numpy(), test.X.numpy()
    batches = [slice(first, first + BATCH) for first in range(0, len(A), BATCH)]
    return np.concatenate(
        [np.mean((predict(A[rows].astype(np.float64)) - X[rows]) ** 2, axis=(1, 2)) for rows in batches]
    )
