"""Frozen test problems with eigenvalue spectra other than those of training."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

SPECTRUM_STREAM = 20240612  # seed of these problems
RIDGE = 0.1  # added to the diagonal of matrices that may be singular
IMAGES = 200  # random images per covariance
LARGEST_SPECTRUM_N = 61  # pixels of the digits data set that vary


def wishart(random: np.random.Generator, n: int) -> np.ndarray:
    """Wishart: R R^T / 2n, R standard normal (n, 2n); eigenvalues 0.09 to 2.9 for large n."""
    R = random.standard_normal((n, 2 * n))
    return R @ R.T / (2 * n)


def log_uniform(random: np.random.Generator, n: int) -> np.ndarray:
    """Eigenvalues log-uniform from 0.1 to 100, in a random orthogonal basis."""
    basis, _ = np.linalg.qr(random.standard_normal((n, n)))
    return basis * 10 ** random.uniform(-1, 2, n) @ basis.T


def sparse(random: np.random.Generator, n: int) -> np.ndarray:
    """A random graph's Laplacian plus RIDGE I; three edges per node, weights uniform on [0, 1]."""
    weights = np.zeros((n, n))
    for _ in range(3):
        weights[np.arange(n), random.integers(n, size=n)] += random.uniform(0, 1, n)
    weights = weights + weights.T
    np.fill_diagonal(weights, 0)
    return np.diag(weights.sum(0)) - weights + RIDGE * np.eye(n)


def covariance(random: np.random.Generator, n: int) -> np.ndarray:
    """The covariance of n standardised pixels over IMAGES random digits, plus RIDGE I.

    Source: `digits`.
    Raises `ValueError` for n > LARGEST_SPECTRUM_N.
    """
    pixels = digits()
    if n > pixels.shape[1]:
        raise ValueError(f"n = {n}: the data set has only {pixels.shape[1]} columns that vary; use a smaller n")
    images = random.choice(len(pixels), IMAGES, replace=False)
    columns = random.choice(pixels.shape[1], n, replace=False)
    return np.cov(pixels[images][:, columns], rowvar=False).reshape(n, n) + RIDGE * np.eye(n)


@lru_cache(maxsize=1)
def digits() -> np.ndarray:
    """The standardised pixels of 1,797 handwritten digits, without constant ones, (1797, 61).

    Source: Alpaydin and Kaynak 1998, Optical Recognition of Handwritten Digits, UCI, doi:10.24432/C50P49, CC BY 4.0;
    the test part of that data set. `digits.npz` has the grey levels, 0 to 16, of the 61 pixels that vary.
    """
    with np.load(Path(__file__).with_name("digits.npz")) as file:
        pixels = file["pixels"].astype(np.float64)
    return (pixels - pixels.mean(axis=0)) / pixels.std(axis=0)


SPECTRA = {draw.__name__: draw for draw in (wishart, log_uniform, sparse, covariance)}


def spectrum_problems(name: str, n: int, problems: int) -> tuple[Tensor, Tensor, Tensor]:
    """The first `problems` frozen problems with this spectrum, their inverses and the sampler's noise, (N, n, n).

    All matrices are symmetric positive definite. A smaller set is a prefix of a larger one.
    """
    number = list(SPECTRA).index(name)
    keys = [(number * 10**4 + n) * 10**6 + row for row in range(problems)]
    generators = [np.random.Generator(np.random.Philox([SPECTRUM_STREAM, key])) for key in keys]
    A = np.stack([SPECTRA[name](random, n) for random in generators]).astype(np.float32)
    start = np.stack([random.standard_normal((n, n), dtype=np.float32) for random in generators])
    X = np.linalg.inv(A.astype(np.float64)).astype(np.float32)
    return torch.from_numpy(A), torch.from_numpy(X), torch.from_numpy(start)
