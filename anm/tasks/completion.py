"""Completion of a matrix of low rank with noise: IRED's task that cannot be completed."""

from dataclasses import dataclass
from functools import partial

import numpy as np
from torch import Tensor

from anm.tasks.base import Draws, Predict, Reference, Shape, Task
from anm.utils.device import precision

NOISE = 0.1
PENALTIES = (0.1, 0.2, 0.4, 0.8, 1.6)  # of soft-impute, from which the fitting set chooses
ITERATIONS = 50


@dataclass(frozen=True)
class Completion(Task):
    """The answer is R = 0.1 N + U V^T / scale, the problem R with about half of its entries set to 0.

    N (n x n), U and V (n x rank) are N(0, 1); every entry is kept with probability 1/2. The mask is not given, but an
    entry that is exactly 0 is hidden. Source: `lowrank` in the code released with IRED (arXiv 2406.11179): rank 10,
    scale 20 and 5. Nobody can tell whether a completed matrix is right: the noise of a hidden entry is unknown.
    """

    rank: int = 10

    name = "completion"
    settings = {"rank": "completion_rank"}
    splits = {"same": 20.0, "harder": 5.0}
    difficulty = "scale"
    answer_bound = 5.0

    def shapes(self, n: int) -> tuple[Shape, Shape]:
        """R with hidden entries, and R. Raises `ValueError` where n is smaller than the rank."""
        if n < self.rank:
            raise ValueError(f"n = {n}: must be at least the rank of completion, {self.rank}")
        return (n, n), (n, n)

    def draw(self, draws: Draws, batch: int, n: int, difficulty: float) -> tuple[Tensor, Tensor]:
        """R with hidden entries and R, each (S, batch, n, n)."""
        U, V = draws.normal(batch, 2, n, self.rank).unbind(2)
        with precision("float32"):  # problems do not depend on the precision of the network
            R = NOISE * draws.normal(batch, n, n) + U @ V.mT / difficulty
        return R * (draws.uniform(batch, n, n) < 0), R

    @property
    def references(self) -> tuple[Reference, ...]:
        """Zero-fill, soft-impute, and the posterior mean, which no method can beat on average."""
        return (
            Reference("zero-fill", "classical", lambda problem, answer: lambda problem: problem),
            Reference("soft-impute", "classical", fit_soft_impute, problems=500),
            Reference("posterior mean", "limit", partial(fit_posterior_mean, rank=self.rank), problems=20),
        )


def fit_soft_impute(problem: np.ndarray, answer: np.ndarray) -> Predict:
    """Soft-impute with the penalty of `PENALTIES` that is best on the first 100 problems."""
    few, right = problem[:100], answer[:100]
    errors = [np.mean((soft_impute(few, penalty) - right) ** 2) for penalty in PENALTIES]
    return partial(soft_impute, penalty=PENALTIES[int(np.argmin(errors))])


def soft_impute(problem: np.ndarray, penalty: float) -> np.ndarray:
    """Completed matrices (N, n, n): hidden entries from a low-rank estimate, entries that are seen as they are.

    The penalty is in units of the root mean square of the entries seen times sqrt(n).
    Source: Mazumder, Hastie, Tibshirani 2010, JMLR 11, algorithm 1.
    """
    seen = problem != 0
    size = np.sqrt((problem**2).sum((1, 2)) / np.maximum(seen.sum((1, 2)), 1) * problem.shape[-1])
    threshold = penalty * size[:, None]
    completed = problem
    for _ in range(ITERATIONS):
        U, s, Vt = np.linalg.svd(np.where(seen, problem, completed), full_matrices=False)
        completed = U * np.maximum(s - threshold, 0)[:, None] @ Vt
    return np.where(seen, problem, completed)


def fit_posterior_mean(problem: np.ndarray, answer: np.ndarray, rank: int) -> Predict:
    """The posterior mean, with the scale that the answers' mean square implies: E[R^2] = 0.01 + rank / scale^2."""
    variance = np.mean(answer**2) - NOISE**2
    return partial(posterior_mean, rank=rank, scale=np.sqrt(rank / variance))


def posterior_mean(problem: np.ndarray, rank: int, scale: float, sweeps: int = 600, burn_in: int = 100) -> np.ndarray:
    """The mean of R given the entries seen, by Gibbs sampling of U and V; entries that are seen stay.

    Given V, each row of U is normal; its precision is I + G^T G / NOISE^2 over the rows of G = V / scale whose entry
    is seen. Source: Salakhutdinov and Mnih 2008, doi:10.1145/1390156.1390267, section 3.3.
    """
    random, seen = np.random.default_rng(0), (problem != 0).astype(float)
    V, total = random.standard_normal((*problem.shape[:2], rank)), np.zeros_like(problem)
    for sweep in range(sweeps):
        U = normal_rows(random, V / scale, seen, problem)
        V = normal_rows(random, U / scale, seen.swapaxes(1, 2), problem.swapaxes(1, 2))
        if sweep >= burn_in:
            total += U @ V.swapaxes(1, 2) / scale
    return np.where(seen > 0, problem, total / (sweeps - burn_in))


def normal_rows(random: np.random.Generator, G: np.ndarray, seen: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Rows of a factor drawn given the other factor: target (N, n, n) = factor G^T + noise at the entries seen."""
    outer = (G[..., :, None] * G[..., None, :]).reshape(*G.shape[:2], -1)
    precision = (seen @ outer).reshape(*G.shape, -1) / NOISE**2 + np.eye(G.shape[-1])
    mean = np.linalg.solve(precision, ((seen * target) @ G)[..., None] / NOISE**2)
    root = np.linalg.cholesky(precision)
    return (mean + np.linalg.solve(root.swapaxes(-1, -2), random.standard_normal(mean.shape)))[..., 0]
