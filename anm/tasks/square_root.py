"""Square roots of symmetric matrices, with one right answer or with many."""

import math

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from anm.tasks.base import Draws, Reference, Shape, Task
from anm.utils.device import precision
from anm.utils.rows import mean_square


class SquareRoot(Task):
    """The problem is A = X^2; X = Q diag(l) Q^T with l uniform on [low, 1) and Q uniform on the orthogonal matrices.

    All eigenvalues are positive, so X is the principal root, the one right answer. `low` is the difficulty.
    """

    name = "square_root"
    splits = {"same": 0.3, "harder": 0.1}
    difficulty = "least eigenvalue"
    answer_bound = 1.0
    sizes = (3, 20)
    references = (
        Reference("Newton, 4 iterations", "classical", lambda A, X: lambda A: newton_square_root(A, 4), 8),
        Reference("Denman-Beavers, 4 iterations", "classical", lambda A, X: lambda A: denman_beavers(A, 4), 8),
        Reference("eigenvalues", "limit", lambda A, X: principal_square_root),
    )

    def shapes(self, n: int) -> tuple[Shape, Shape]:
        """A, and X."""
        return (n, n), (n, n)

    def draw(self, draws: Draws, batch: int, n: int, difficulty: float) -> tuple[Tensor, Tensor]:
        """A and X, each (S, batch, n, n)."""
        size = 0.5 * ((1 - difficulty) * draws.uniform(batch, n) + 1 + difficulty)
        X = rotated(self.signs(draws.uniform(batch, n)) * size, draws)
        with precision("float32"):  # problems and scores do not depend on the precision of the network
            return X @ X, X

    def signs(self, uniform: Tensor) -> Tensor:
        """The signs of the eigenvalues, from draws uniform on [-1, 1): all positive."""
        return torch.ones_like(uniform)

    def violation(self, problem: Tensor, x0: Tensor) -> Tensor:
        """||x0^2 - A||_F / ||A||_F."""
        with precision("float32"):
            return (mean_square(x0 @ x0 - problem) / mean_square(problem)).sqrt()


class SquareRootMany(SquareRoot):
    """The same with random signs of the eigenvalues: A has 2^n roots, one of which is drawn as the answer.

    Every root is right. So the score is how far x0^2 is from A, relative to A.
    """

    name = "square_root_many"
    answers = "many"
    score = "relative squared residual"

    def signs(self, uniform: Tensor) -> Tensor:
        """The signs of the eigenvalues, from draws uniform on [-1, 1): positive or negative with equal probability."""
        return torch.where(uniform < 0, -torch.ones_like(uniform), torch.ones_like(uniform))

    def error(self, problem: Tensor, x0: Tensor, answer: Tensor) -> Tensor:
        """||x0^2 - A||_F^2 / ||A||_F^2, per row."""
        return self.violation(problem, x0).square()


def rotated(eigenvalues: Tensor, draws: Draws) -> Tensor:
    """Q diag(eigenvalues) Q^T (S, B, n, n) for eigenvalues (S, B, n) and Q uniform on the orthogonal matrices.

    Q is a product of n - 1 Householder reflections, of normal vectors of length 2 to n. The one of length k acts on
    the last k rows and columns, where the product before it is not diagonal yet or needs no more than that block.
    Source: Stewart 1980, doi:10.1137/0717034, section 3.
    """
    S, B, n = eigenvalues.shape
    X = eigenvalues.new_zeros(n, n, S * B)  # the rows of the batch last: all of them at once
    X.diagonal().copy_(eigenvalues.flatten(0, 1))
    normals = rearrange(draws.normal(B, n * (n + 1) // 2 - 1), "s b k -> k (s b)").contiguous()
    first = 0
    for size in range(2, n + 1):
        u = reflection(normals[first : first + size])
        first += size
        block = X[n - size :, n - size :]
        # (I - u u^T) block (I - u u^T) = block - u p^T - p u^T with p = w - (u^T w / 2) u and w = block u
        w = (block * u).sum(1)
        p = w - 0.5 * (u * w).sum(0) * u
        block.addcmul_(u[:, None], p[None], value=-1).addcmul_(p[:, None], u[None], value=-1)
    return rearrange(X, "i j (s b) -> s b i j", s=S).contiguous()


def reflection(x: Tensor) -> Tensor:
    """u such that I - u u^T is the Householder reflection of x onto the first axis; columns of (k, rows)."""
    v = x.clone()
    v[0] += torch.copysign(x.square().sum(0).sqrt(), x[0])
    return v * (math.sqrt(2) / v.square().sum(0).sqrt())


def newton_square_root(A: np.ndarray, iterations: int) -> np.ndarray:
    """X <- (X + X^-1 A) / 2 from X = I; unstable in the long run. Source: Higham 2008, doi:10.1137/1.9780898717778."""
    X = np.broadcast_to(np.eye(A.shape[-1]), A.shape)
    for _ in range(iterations):
        X = 0.5 * (X + np.linalg.solve(X, A))
    return X


def denman_beavers(A: np.ndarray, iterations: int) -> np.ndarray:
    """Y <- (Y + Z^-1) / 2, Z <- (Z + Y^-1) / 2 from Y = A, Z = I. Source: Denman and Beavers 1976."""
    Y, Z = A, np.broadcast_to(np.eye(A.shape[-1]), A.shape)
    for _ in range(iterations):
        Y, Z = 0.5 * (Y + np.linalg.inv(Z)), 0.5 * (Z + np.linalg.inv(Y))
    return Y


def principal_square_root(A: np.ndarray) -> np.ndarray:
    """The root with positive eigenvalues, from the eigenvalues of A."""
    values, vectors = np.linalg.eigh(A)
    return (vectors * np.sqrt(np.maximum(values, 0))[:, None]) @ vectors.swapaxes(1, 2)
