"""Problems with spectra that training never saw: other test sets for any solver."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch

from anm.matrices import TestSet

SPECTRUM_STREAM = 20240612
RIDGE = 0.1  # added to the diagonal where a matrix may be singular
ROWS_OF_DATA = 200


def wishart(random: np.random.Generator, n: int) -> np.ndarray:
    """R R^T / 2n with R normal, n x 2n: a Wishart matrix of aspect ratio 1/2, eigenvalues from 0.09 to 2.9 as n grows."""
    R = random.standard_normal((n, 2 * n))
    return R @ R.T / (2 * n)


def log_uniform(random: np.random.Generator, n: int) -> np.ndarray:
    """Eigenvalues with logarithms uniform between those of 0.1 and 100, in a random frame."""
    frame, _ = np.linalg.qr(random.standard_normal((n, n)))
    return frame * 10 ** random.uniform(-1, 2, n) @ frame.T


def sparse(random: np.random.Generator, n: int) -> np.ndarray:
    """A random graph's Laplacian with edge weights uniform on [0, 1], three edges a node, plus RIDGE I."""
    weights = np.zeros((n, n))
    for _ in range(3):
        weights[np.arange(n), random.integers(n, size=n)] += random.uniform(0, 1, n)
    weights = weights + weights.T
    np.fill_diagonal(weights, 0)
    return np.diag(weights.sum(0)) - weights + RIDGE * np.eye(n)


def covariance(random: np.random.Generator, n: int) -> np.ndarray:
    """The covariance of n of the 61 pixels that vary, standardised, over 200 random images of digits, plus RIDGE I.

    Source: the optical recognition of handwritten digits data set (UCI), as shipped with scikit-learn.
    Raises `ValueError` above n = 61.
    """
    pixels = digits()
    if n > pixels.shape[1]:
        raise ValueError(f"n = {n}: the data set has only {pixels.shape[1]} columns that vary")
    chosen = pixels[random.choice(len(pixels), ROWS_OF_DATA, replace=False)][
        :, random.choice(pixels.shape[1], n, replace=False)
    ]
    return np.cov(chosen, rowvar=False).reshape(n, n) + RIDGE * np.eye(n)


@lru_cache(maxsize=1)
def digits() -> np.ndarray:
    """The pixels of scikit-learn's digits that vary, standardised, (1797, 61)."""
    from sklearn.datasets import load_digits  # half a second, for one spectrum's sake

    pixels = load_digits().data
    pixels = pixels[:, pixels.std(axis=0) > 0]
    return (pixels - pixels.mean(axis=0)) / pixels.std(axis=0)


SPECTRA: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "wishart": wishart,
    "log_uniform": log_uniform,
    "sparse": sparse,
    "covariance": covariance,
}


@lru_cache(maxsize=8)
def spectrum_problems(name: str, n: int, problems: int) -> TestSet:
    """The first `problems` frozen problems of this spectrum; a smaller set is a prefix of a larger one.

    All are symmetric positive definite. The set's offset is not a number: no c belongs to it.
    """
    number = list(SPECTRA).index(name)
    parts = [
        np.random.Generator(np.random.Philox([SPECTRUM_STREAM, (number * 10**4 + n) * 10**6 + row]))
        for row in range(problems)
    ]
    A = np.stack([SPECTRA[name](random, n) for random in parts]).astype(np.float32)
    start = np.stack([random.standard_normal((n, n), dtype=np.float32) for random in parts])
    exact = (A.astype(np.float64) + A.astype(np.float64).swapaxes(1, 2)) / 2
    eigenvalues = np.linalg.eigvalsh(exact)
    X = np.linalg.inv(A.astype(np.float64)).astype(np.float32)
    condition = eigenvalues[:, -1] / eigenvalues[:, 0]
    return TestSet(float("nan"), torch.from_numpy(A), torch.from_numpy(X), torch.from_numpy(start), condition)
