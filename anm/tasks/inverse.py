"""Matrix inversion: symmetric positive definite problems A and their inverses X."""

import torch
from einops import rearrange
from torch import Tensor

from anm.utils.device import precision

OFFSETS = {"same": 0.5, "harder": 0.1}  # c of the training, and of harder problems
LADDER = (0.5, 0.3, 0.2, 0.1, 0.05, 0.02)  # offsets from easy to hard


def problem_from(R: Tensor, offset: float) -> Tensor:
    """A = 2 R R^T + offset I, symmetric positive definite; R and A are (..., n, n).

    Source: Du, Mao, Tenenbaum 2024 (arXiv 2406.11179), appendix A, as in their released data set.
    """
    eye = torch.eye(R.shape[-1], device=R.device, dtype=R.dtype)
    with precision("float32"):  # problems do not depend on the precision of the network
        return 2 * R @ R.mT + offset * eye


def spd_inverse(A: Tensor) -> Tensor:
    """The inverse of symmetric positive definite A (..., n, n), by sweeping every pivot of -A.

    Such matrices need no pivoting. All are swept at once, which is faster than a Cholesky factor of each and as
    accurate. Source: Goodnight 1979, A tutorial on the SWEEP operator.
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


def draw_problems(R: Tensor, offset: float = OFFSETS["same"]) -> tuple[Tensor, Tensor]:
    """Problems and their inverses (A, x0), each (S, B, n, n), from R (S, B, n, n), uniform on [-1, 1]."""
    A = problem_from(R, offset)
    return A, spd_inverse(A)


def squared_error(x0: Tensor, X: Tensor) -> Tensor:
    """Mean squared error over the entries, (S, B)."""
    return (x0 - X).square().mean((-2, -1))


def residual_norm(A: Tensor, x0: Tensor) -> Tensor:
    """||A x0 - I||_F / sqrt(n) of answers x0 (S, B, n, n): their error without the exact inverse, (S, B)."""
    eye = torch.eye(A.shape[-1], device=A.device)
    with precision("float32"):
        return (A @ x0 - eye).square().mean((-2, -1)).mul(A.shape[-1]).sqrt()
