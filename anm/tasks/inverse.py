"""Matrix inversion: symmetric positive definite problems A and their inverses X."""

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from anm.tasks import inverse_kernel
from anm.tasks.base import Draws, Reference, Shape, Task
from anm.tasks.inverse_spectra import LARGEST_SPECTRUM_N, SPECTRA, spectrum_problems
from anm.utils.device import precision
from anm.utils.rows import mean_square


class Inverse(Task):
    """The problem is A = 2 R R^T + c I with R uniform on [-1, 1]; the answer is the inverse of A.

    Source: Du, Mao, Tenenbaum 2024 (arXiv 2406.11179), appendix A, as in their released data set.
    """

    name = "inverse"
    splits = {"same": 0.5, "harder": 0.1}
    difficulty = "c"
    answer_bound = 2.0
    sizes = (4, 6, 20)
    ladder = (0.5, 0.3, 0.2, 0.1, 0.05, 0.02)
    references = (
        Reference("newton_schulz_16", "classical", lambda A, X: lambda A: newton_schulz(A, transpose_start(A), 16), 32),
        Reference("newton_schulz_20", "classical", lambda A, X: lambda A: newton_schulz(A, transpose_start(A), 20), 40),
        Reference(
            "newton_schulz_spd_10", "classical", lambda A, X: lambda A: newton_schulz(A, definite_start(A), 10), 20
        ),
        Reference("lu", "limit", lambda A, X: np.linalg.inv, 1),  # its 2 n^3 operations equal one product
    )
    frozen_key = ()  # the first task, whose frozen problems are older than the key

    def shapes(self, n: int) -> tuple[Shape, Shape]:
        """A, and its inverse."""
        return (n, n), (n, n)

    def draw(self, draws: Draws, batch: int, n: int, difficulty: float) -> tuple[Tensor, Tensor]:
        """A and its inverse, each (S, batch, n, n)."""
        A = problem_from(draws.uniform(batch, n, n), difficulty)
        return A, spd_inverse(A)

    def draw_frozen(self, random, block: int, count: int, n: int, difficulty: float) -> tuple[Tensor, Tensor]:
        """A in float32, and the inverse of that A, computed in float64."""
        R = random.uniform(-1, 1, (block, n, n))[:count].copy()
        A = (2 * R @ R.transpose(0, 2, 1) + difficulty * np.eye(n)).astype(np.float32)
        return torch.from_numpy(A), torch.from_numpy(np.linalg.inv(A.astype(np.float64)).astype(np.float32))

    def violation(self, problem: Tensor, x0: Tensor) -> Tensor:
        """||A x0 - I||_F / sqrt(n)."""
        eye = torch.eye(problem.shape[-1], device=problem.device)
        with precision("float32"):
            return mean_square(problem @ x0 - eye).mul(problem.shape[-1]).sqrt()

    def condition(self, problem: np.ndarray) -> np.ndarray:
        """The condition number of A."""
        eigenvalues = np.linalg.eigvalsh((problem + problem.swapaxes(1, 2)) / 2)
        return eigenvalues[:, -1] / eigenvalues[:, 0]

    def other_problems(self, n: int, problems: int) -> dict[str, tuple[Tensor, Tensor, Tensor]]:
        """Matrices with other spectra; none for n > LARGEST_SPECTRUM_N."""
        return {name: spectrum_problems(name, n, problems) for name in SPECTRA if n <= LARGEST_SPECTRUM_N}


def problem_from(R: Tensor, offset: float) -> Tensor:
    """A = 2 R R^T + offset I, symmetric positive definite; R and A are (..., n, n)."""
    eye = torch.eye(R.shape[-1], device=R.device, dtype=R.dtype)
    with precision("float32"):  # problems do not depend on the precision of the network
        return 2 * R @ R.mT + offset * eye


def spd_inverse(A: Tensor) -> Tensor:
    """The inverse of symmetric positive definite A (..., n, n); no pivoting, which such matrices do not need."""
    on_gpu = A.is_cuda and inverse_kernel.triton and A.shape[-1] <= inverse_kernel.LARGEST_N
    return inverse_kernel.swept_in_registers(A) if on_gpu else swept(A)


def swept(A: Tensor) -> Tensor:
    """The inverse of each A by sweeping every pivot of -A.

    All are swept at once, which is faster on a CPU than a Cholesky factor of each, and as accurate. Source: Goodnight
    1979, A tutorial on the SWEEP operator.
    """
    M = A.new_empty(*A.shape[-2:], A.shape[:-2].numel())
    torch.neg(rearrange(A.flatten(0, -3), "rows i j -> i j rows"), out=M)
    for k in range(len(M)):
        column = M[k].clone()  # M stays symmetric, so this is column and row k
        row = column / column[k]
        M.addcmul_(column[:, None], row[None], value=-1)
        row[k] = -1 / column[k]
        M[k] = M[:, k] = row
    return rearrange(M, "i j rows -> rows i j").reshape(A.shape)


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
