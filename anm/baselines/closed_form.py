"""Closed-form baselines of every task: constant, affine, linear and polynomial least squares; and the task's own.

A baseline is a function fit(problems, answers) -> predict; all arrays are float64. Coefficients are fitted to `same`
problems from a frozen stream outside every test set. Answers are not clipped.
"""

from collections.abc import Iterator
from functools import cache

import numpy as np
import pandas as pd
import torch
from numpy.polynomial import Chebyshev

from anm.tasks import FrozenSet, Reference, Task, frozen_problems
from anm.tasks.base import Predict
from anm.tasks.frozen import FIT_STREAM

BATCH = 100  # problems per call of predict; bounds memory, does not change the results
MAX_FEATURES = 1200  # of linear least squares, which solves a system of so many equations


def constant_fit(problem: np.ndarray, answer: np.ndarray) -> Predict:
    """The mean answer, for every problem."""
    mean = answer.mean(axis=0)
    return lambda problem: np.broadcast_to(mean, (len(problem), *mean.shape))


def linear_fit(problem: np.ndarray, answer: np.ndarray) -> Predict:
    """The linear least-squares map from all entries of the problem, and a constant, to all entries of the answer."""
    mean_problem, mean_answer = problem.mean(axis=0), answer.mean(axis=0)
    features = (problem - mean_problem).reshape(len(problem), -1)
    # Problems may have linearly dependent entries, such as those of symmetric matrices: hence the pseudo-inverse
    weights = np.linalg.pinv(features.T @ features, rcond=1e-10, hermitian=True)
    weights = weights @ (features.T @ (answer - mean_answer).reshape(len(answer), -1))

    def predict(problem: np.ndarray) -> np.ndarray:
        shift = (problem - mean_problem).reshape(len(problem), -1) @ weights
        return mean_answer + shift.reshape(len(problem), *mean_answer.shape)

    return predict


def affine_fit(problem: np.ndarray, answer: np.ndarray) -> Predict:
    """The least-squares fit c0 I + c1 A to a symmetric matrix A: two coefficients."""
    return polynomial_fit(1)(problem, answer)


def polynomial_fit(degree: int):
    """The least-squares fit p(A) = c0 I + c1 A + ... + cd A^d to symmetric matrices A.

    With eigenvalues l and eigenvectors q of A, ||p(A) - X||_F^2 is the sum of (p(l) - q^T X q)^2 and a constant. So
    least squares on matrix entries is a scalar fit over eigenvalues; the Chebyshev basis keeps it stable.
    """

    def fit(problem: np.ndarray, answer: np.ndarray) -> Predict:
        eigenvalues, vectors = np.linalg.eigh(problem)
        values = np.einsum("bij,bij->bj", vectors, answer @ vectors)
        scalar = Chebyshev.fit(eigenvalues.ravel(), values.ravel(), degree)
        return lambda problem: matrix_polynomial(scalar, problem)

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


CONSTANT = Reference("constant", "constant", constant_fit, 0)
LINEAR = Reference("least squares", "least squares", linear_fit)
OF_SYMMETRIC_MATRICES = (
    Reference("affine", "least squares", affine_fit, 0),
    Reference("polynomial_2", "classical", polynomial_fit(2), 1),
    Reference("polynomial_4", "classical", polynomial_fit(4), 3),
    Reference("polynomial_10", "classical", polynomial_fit(10), 9),
)


def baselines_of(task: Task, n: int) -> Iterator[Reference]:
    """The baselines that the task has at this n; polynomials where problem and answer are symmetric matrices."""
    yield CONSTANT
    shapes, few = task.shapes(n), frozen_problems(task, n, task.splits["same"], 10, FIT_STREAM)
    parts = (few.problem, few.answer)
    if shapes == ((n, n), (n, n)) and all(torch.allclose(part, part.mT, atol=1e-5) for part in parts):
        yield from OF_SYMMETRIC_MATRICES
    if np.prod(shapes[0]) <= MAX_FEATURES:
        yield LINEAR
    yield from task.references


def closed_form_table(task: Task, n: int, problems: int) -> pd.DataFrame:
    """Every baseline's score and standard error on the frozen test sets.

    Columns: reference (the name), kind, products, mse_same, mse_same_se, mse_harder, mse_harder_se.
    """
    rows = []
    for reference, predict in fitted_baselines(task, n):
        row = {"reference": reference.name, "kind": reference.kind, "products": reference.products}
        for split, difficulty in task.splits.items():
            frozen = frozen_problems(task, n, difficulty, min(problems, reference.problems or problems))
            row[f"mse_{split}"], row[f"mse_{split}_se"] = mean_with_error(errors_of(predict, frozen))
        rows.append(row)
    return pd.DataFrame(rows)


@cache
def fitted_baselines(task: Task, n: int) -> tuple[tuple[Reference, Predict], ...]:
    """The task's baselines at size n, fitted to the frozen fitting set."""
    # 20,000 problems at n = 20; fewer of larger ones, which have more entries each
    problems = min(20_000, max(1_000, 8_000_000 // n**2))
    known = frozen_problems(task, n, task.splits["same"], problems, FIT_STREAM)
    parts = known.problem.double().numpy(), known.answer.double().numpy()
    return tuple((reference, reference.fit(*parts)) for reference in baselines_of(task, n))


def mean_with_error(errors: np.ndarray) -> tuple[float, float]:
    """The mean of errors (N,), and its standard error (NaN for one problem)."""
    deviation = errors.std(ddof=1) if len(errors) > 1 else np.nan
    return float(errors.mean()), float(deviation / np.sqrt(len(errors)))


def errors_of(predict: Predict, frozen: FrozenSet) -> np.ndarray:
    """The task's score of each answer, (N,), in float64."""
    batches = [slice(first, first + BATCH) for first in range(0, len(frozen), BATCH)]
    errors = []
    for rows in batches:
        problem, answer = frozen.problem[rows].double(), frozen.answer[rows].double()
        x0 = torch.tensor(predict(problem.numpy()))
        errors.append(frozen.task.error(problem[None], x0[None], answer[None])[0].numpy())
    return np.concatenate(errors)
