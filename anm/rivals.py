"""Classical iterations at the same price: what an answer's error is after so many n x n matrix products.

Beside `anm.references`, whose rows are single answers, a rival here is a curve. Each answers in float32, as a
trained solver does.
"""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import torch

from anm.matrices import FIT_STREAM, OFFSETS, TestSet, frozen_problems

FIT_PROBLEMS = 2000
MARGIN = 1.2
LONGEST = 48  # products after which every rival has converged at n = 20

# problems A (N, n, n) -> (products spent, answers (N, n, n)), answer after answer
Rival = Callable[[np.ndarray], Iterator[tuple[int, np.ndarray]]]


def newton_schulz_best(A: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Newton-Schulz from 2 / (l_min + l_max) I, the best multiple of I there is for each problem.

    The eigenvalues are an oracle's and cost nothing here. Source: Ben-Israel and Cohen 1966, doi:10.1137/0703035.
    """
    eigenvalues = np.linalg.eigvalsh(A.astype(np.float64))
    start = 2 / (eigenvalues[:, 0] + eigenvalues[:, -1])
    X = start[:, None, None].astype(np.float32) * np.eye(A.shape[-1], dtype=np.float32)
    for iteration in range(1, LONGEST // 2 + 1):
        # The first iteration multiplies multiples of I: no product.
        X = 2 * X - X @ (A @ X)
        yield 2 * (iteration - 1), X


def newton_schulz_fitted(low: float, high: float) -> Rival:
    """Newton-Schulz with the coefficients that are best for eigenvalues between `low` and `high` times ||A||_F / sqrt(n).

    Each step is X (a I - b A X) with a, b such that A X, whose eigenvalues lie in [l, 2 - l], ends as near I as one
    step can bring it. Source: Pan and Schreiber 1991, doi:10.1137/0912058, section 3.
    """

    def answers(A: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        n = A.shape[-1]
        unit = np.linalg.norm(A, axis=(1, 2), keepdims=True) / n**0.5
        X = np.float32(2 / (low + high)) / unit * np.eye(n, dtype=np.float32)
        l = 2 * low / (low + high)
        for iteration in range(1, LONGEST // 2 + 1):
            reached = l * (2 - l)  # the step y -> y (2 - y) leaves [reached, 1]; centred on 1 once more:
            centre = 2 / (1 + reached)
            X = np.float32(centre) * (2 * X - X @ (A @ X))
            l = centre * reached
            yield 2 * (iteration - 1), X

    return answers


def fitted_range(n: int) -> tuple[float, float]:
    """The least and largest eigenvalue of `same`, in units of ||A||_F / sqrt(n), on the frozen fitting set.

    The largest gets a MARGIN: one problem with an eigenvalue beyond it diverges.
    """
    A = frozen_problems(n, OFFSETS["same"], FIT_PROBLEMS, FIT_STREAM).A.numpy().astype(np.float64)
    eigenvalues = np.linalg.eigvalsh(A) / (np.linalg.norm(A, axis=(1, 2))[:, None] / n**0.5)
    return float(eigenvalues.min()), MARGIN * float(eigenvalues.max())


def conjugate_gradients(A: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Conjugate gradients on A X = I, each column for itself; one product an iteration. Source: Hestenes and Stiefel 1952."""
    X = np.zeros_like(A)
    R = np.broadcast_to(np.eye(A.shape[-1], dtype=A.dtype), A.shape).copy()
    P, size = R.copy(), (R * R).sum(-2, keepdims=True)
    for iteration in range(1, LONGEST + 1):
        AP = A @ P
        step = size / np.maximum((P * AP).sum(-2, keepdims=True), np.finfo(A.dtype).tiny)
        X, R = X + step * P, R - step * AP
        before, size = size, (R * R).sum(-2, keepdims=True)
        P = R + size / np.maximum(before, np.finfo(A.dtype).tiny) * P
        yield iteration - 1, X  # the first multiplies I: no product


def lu(A: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Gaussian elimination in float32: the limit. Its 2 n^3 operations are those of one product."""
    # numpy would compute in float64
    yield 1, torch.linalg.inv(torch.from_numpy(A)).numpy()


def rivals(n: int) -> dict[str, Rival]:
    """Every rival by name."""
    return {
        "newton_schulz_best": newton_schulz_best,
        "newton_schulz_fitted": newton_schulz_fitted(*fitted_range(n)),
        "conjugate_gradients": conjugate_gradients,
        "lu_float32": lu,
    }


def rival_table(n: int, problems: int) -> pd.DataFrame:
    """MSE on the frozen test sets after so many products: rival, products, split, mse."""
    rows = []
    for split, offset in OFFSETS.items():
        test = frozen_problems(n, offset, problems)
        for name, rival in rivals(n).items():
            rows += [
                {"rival": name, "products": spent, "split": split, "mse": mse} for spent, mse in errors_on(rival, test)
            ]
    return pd.DataFrame(rows)


def errors_on(rival: Rival, test: TestSet) -> Iterator[tuple[int, float]]:
    """Products spent and MSE, answer after answer."""
    X = test.X.numpy()
    for spent, answer in rival(test.A.numpy()):
        yield spent, float(np.mean((answer.astype(np.float64) - X) ** 2))
