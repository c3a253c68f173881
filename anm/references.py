"""What needs no training of a network: references that every table and figure of MSE is read against.

A reference is a function fit(A, X) -> predict, where predict(A) -> X; all in float64 numpy, (N, n, n). Those
with numbers to fit see problems of `same` alone, from a frozen stream apart from every test set. Each says
how many n x n matrix products an answer costs. None clips its answer.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.polynomial import Chebyshev

from anm.matrices import FIT_STREAM, OFFSETS, TestSet, frozen_problems

Predict = Callable[[np.ndarray], np.ndarray]
BATCH = 100  # problems answered at once; bounds memory and changes no number


@dataclass(frozen=True)
class Reference:
    """name: its row; products: n x n matrix products an answer costs (2 n^3 operations each)."""

    name: str
    products: int
    fit: Callable[[np.ndarray, np.ndarray], Predict]


def constant(A: np.ndarray, X: np.ndarray) -> Predict:
    """The mean inverse, whatever the problem."""
    mean = X.mean(axis=0)
    return lambda A: np.broadcast_to(mean, A.shape)


def polynomial(degree: int) -> Callable:
    """The best p(A) = c0 I + c1 A + ... + cd A^d; degree 1 is the affine fit, two numbers.

    ||p(A) - A^-1||_F^2 is the sum of (p(l) - 1/l)^2 over the eigenvalues l of A, so least squares on the
    entries is a scalar fit over eigenvalues, in the Chebyshev basis for the sake of high degrees.
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


def newton_schulz(iterations: int, start: Callable[[np.ndarray], np.ndarray]) -> Callable:
    """X <- X (2 I - A X), two products an iteration; nothing is fitted.

    Source: Ben-Israel and Cohen 1966, doi:10.1137/0703035; Pan and Reif 1985, doi:10.1145/22145.22161.
    """

    def fit(A: np.ndarray, X: np.ndarray) -> Predict:
        return lambda A: refine(A, start(A), iterations)

    return fit


def refine(A: np.ndarray, X: np.ndarray, iterations: int) -> np.ndarray:
    """X (N, n, n) after so many Newton-Schulz iterations."""
    for _ in range(iterations):
        X = 2 * X - X @ (A @ X)
    return X


def transpose_start(A: np.ndarray) -> np.ndarray:
    """A^T / (||A||_1 ||A||_inf): converges for every invertible A. Source: Pan and Reif 1985."""
    size = np.abs(A)
    return A.swapaxes(-1, -2) / (size.sum(-2).max(-1) * size.sum(-1).max(-1))[:, None, None]


def definite_start(A: np.ndarray) -> np.ndarray:
    """I / ||A||_1: for symmetric positive definite A, whose eigenvalues lie in (0, ||A||_1]; twice as fast."""
    return np.eye(A.shape[-1]) / np.abs(A).sum(-2).max(-1)[:, None, None]


def lu(A: np.ndarray, X: np.ndarray) -> Predict:
    """Gaussian elimination: the limit. Its 2 n^3 operations are those of one product."""
    return np.linalg.inv


REFERENCES = (
    Reference("constant", 0, constant),
    Reference("affine", 0, polynomial(1)),
    Reference("polynomial_2", 1, polynomial(2)),
    Reference("polynomial_4", 3, polynomial(4)),
    Reference("polynomial_10", 9, polynomial(10)),
    Reference("newton_schulz_16", 32, newton_schulz(16, transpose_start)),
    Reference("newton_schulz_20", 40, newton_schulz(20, transpose_start)),
    Reference("newton_schulz_spd_10", 20, newton_schulz(10, definite_start)),
    Reference("lu", 1, lu),
)


def reference_table(n: int, problems: int) -> pd.DataFrame:
    """Every reference on the frozen test sets: reference, products, mse_same, mse_same_se, mse_harder, mse_harder_se."""
    tests = {split: frozen_problems(n, offset, problems) for split, offset in OFFSETS.items()}
    rows = []
    for reference, predict in zip(REFERENCES, fitted(n)):
        row = {"reference": reference.name, "products": reference.products}
        for split, test in tests.items():
            row[f"mse_{split}"], row[f"mse_{split}_se"] = score(predict, test)
        rows.append(row)
    return pd.DataFrame(rows)


@lru_cache(maxsize=4)
def fitted(n: int) -> tuple[Predict, ...]:
    """Every reference at side n, in the order of `REFERENCES`, fitted on the frozen fitting set."""
    # 20,000 problems at n = 20; fewer of larger ones, which have more entries each.
    problems = min(20_000, max(1_000, 8_000_000 // n**2))
    known = frozen_problems(n, OFFSETS["same"], problems, FIT_STREAM)
    A, X = known.A.numpy().astype(np.float64), known.X.numpy().astype(np.float64)
    return tuple(reference.fit(A, X) for reference in REFERENCES)


def score(predict: Predict, test: TestSet) -> tuple[float, float]:
    """MSE over all entries of all problems, and its standard error over problems (NaN for one problem)."""
    errors = squared_errors(predict, test)
    spread = errors.std(ddof=1) if len(errors) > 1 else np.nan
    return float(errors.mean()), float(spread / np.sqrt(len(errors)))


def squared_errors(predict: Predict, test: TestSet) -> np.ndarray:
    """Mean squared error of each problem, (N,)."""
    A, X = test.A.numpy(), test.X.numpy()
    batches = [slice(first, first + BATCH) for first in range(0, len(A), BATCH)]
    return np.concatenate(
        [np.mean((predict(A[rows].astype(np.float64)) - X[rows]) ** 2, axis=(1, 2)) for rows in batches]
    )


class Published(NamedTuple):
    """A figure of others for n = 20; NaN where they give none. None of them states its uncertainty."""

    source: str
    table: str
    method: str
    mse_same: float
    mse_harder: float


IRED = "Du, Mao, Tenenbaum 2024, Learning Iterative Reasoning through Energy Diffusion, arXiv 2406.11179"
PRIOR = "the prior study of mining, github.com/mdkrasnow/research-repo, projects/archive/ired"

PUBLISHED = (
    Published(IRED, "1", "Feedforward", 0.0112, 0.2150),
    Published(IRED, "1", "Recurrent", 0.0109, 0.2123),
    Published(IRED, "1", "Programmatic", 0.0124, 0.2209),
    Published(IRED, "1", "Diffusion", 0.0115, 0.2132),
    Published(IRED, "1", "IREM", 0.0108, 0.2083),
    Published(IRED, "1", "IRED", 0.0095, 0.2063),
    Published(IRED, "2", "IRED, 10 optimisation steps", 0.0096, 0.2110),
    Published(IRED, "2", "IRED, 20 optimisation steps", 0.0096, 0.2100),
    Published(IRED, "2", "IRED, 30 optimisation steps", 0.0096, 0.2090),
    Published(IRED, "2", "IRED, 40 optimisation steps", 0.0095, 0.2063),
    Published(IRED, "3", "IRED without contrastive shaping", 0.0097, 0.2113),
    Published(PRIOR, "10 seeds, 100,000 steps", "none", 0.009692, np.nan),
    Published(PRIOR, "10 seeds, 100,000 steps", "random", 0.009731, np.nan),
    Published(PRIOR, "10 seeds, 100,000 steps", "adversarial", 0.009777, np.nan),
)
