"""Problems A and their exact inverses X: fresh ones for training, frozen ones for testing."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from anm.device import precision

OFFSETS = {"same": 0.5, "harder": 0.1}
LADDER = (0.5, 0.3, 0.2, 0.1, 0.05, 0.02)

# Frozen problems come in blocks of this many, each from a seed of its own: a smaller set is a prefix of a larger one.
BLOCK = 1000
TEST_STREAM, FIT_STREAM = 20240610, 20240611


def problem_from(R: Tensor, offset: float) -> Tensor:
    """A = 2 R R^T + offset I, symmetric positive definite; R and A are (..., n, n).

    Source: Du, Mao, Tenenbaum 2024 (arXiv 2406.11179), appendix A, as in their released data set.
    """
    eye = torch.eye(R.shape[-1], device=R.device, dtype=R.dtype)
    with precision("float32"):  # whatever the network is trained in, the problems stay what they are
        return 2 * R @ R.mT + offset * eye


def inverse(A: Tensor) -> Tensor:
    """The inverse of symmetric positive definite A (S, B, n, n), by sweeping every pivot of -A.

    Stable for such matrices without pivoting; all of them are swept together, which is faster than a Cholesky
    factor of each, and as accurate. Source: Goodnight 1979, A tutorial on the SWEEP operator.
    """
    M = A.new_empty(*A.shape[-2:], A.shape[:-2].numel())  # the matrices' index last: (n, n, S B)
    torch.neg(A.flatten(0, -3).permute(1, 2, 0), out=M)
    for k in range(len(M)):
        column = M[k].clone()  # and row: M stays symmetric
        row = column / column[k]
        M.addcmul_(column[:, None], row[None], value=-1)
        row[k] = -1 / column[k]
        M[k] = M[:, k] = row
    return M.permute(2, 0, 1).reshape(A.shape)


def draw_problems(R: Tensor, offset: float = OFFSETS["same"]) -> tuple[Tensor, Tensor]:
    """Problems and inverses (A, x0), each (S, B, n, n), from R uniform on [-1, 1] of that shape."""
    A = problem_from(R, offset)
    return A, inverse(A)


def squared_error(x0: Tensor, X: Tensor) -> Tensor:
    """Mean squared error over the entries, per row (S, B)."""
    return (x0 - X).square().mean((-2, -1))


def residual(A: Tensor, x0: Tensor) -> Tensor:
    """How wrong answers x0 (S, B, n, n) are without their right ones: ||A x0 - I||_F / sqrt(n), per row (S, B)."""
    eye = torch.eye(A.shape[-1], device=A.device)
    with precision("float32"):
        return (A @ x0 - eye).square().mean((-2, -1)).mul(A.shape[-1]).sqrt()


@dataclass(frozen=True)
class TestSet:
    """Frozen problems of one difficulty, the same for every strategy, seed, device and batch size.

    A: problems, X: their inverses (computed in float64 from A as rounded to float32), start: the sampler's
    x_T ~ N(0, 1); float32 on the CPU, each (N, n, n). condition: the condition number of A, (N,).
    """

    __test__ = False  # for pytest, which collects classes named Test*

    offset: float
    A: Tensor
    X: Tensor
    start: Tensor
    condition: np.ndarray

    def __len__(self) -> int:
        return len(self.A)

    def first(self, problems: int) -> "TestSet":
        """The same set cut to its first `problems`."""
        cut = slice(problems)
        return TestSet(self.offset, self.A[cut], self.X[cut], self.start[cut], self.condition[cut])


def frozen_block(n: int, offset: float, block: int, stream: int, count: int) -> tuple[np.ndarray, ...]:
    """Block number `block` of frozen problems: A, X, start (float32) and condition of its first `count`."""
    random = np.random.Generator(np.random.Philox([stream, n * 10**6 + block]))
    R = random.uniform(-1, 1, (BLOCK, n, n))[
        :count
    ].copy()  # all are drawn, so that what follows does not depend on `count`
    A = (2 * R @ R.transpose(0, 2, 1) + offset * np.eye(n)).astype(np.float32)
    exact = A.astype(np.float64)
    eigenvalues = np.linalg.eigvalsh(exact)
    start = random.standard_normal((BLOCK, n, n), dtype=np.float32)[:count].copy()
    return A, np.linalg.inv(exact).astype(np.float32), start, eigenvalues[:, -1] / eigenvalues[:, 0]


@lru_cache(maxsize=8)
def frozen_problems(n: int, offset: float, problems: int, stream: int = TEST_STREAM) -> TestSet:
    """The first `problems` frozen problems of side n at this offset.

    The same R at every offset: difficulties differ in c alone. `stream` FIT_STREAM gives problems that
    references may be fitted on, apart from every test set.
    """
    blocks = [
        frozen_block(n, offset, block, stream, min(BLOCK, problems - block * BLOCK))
        for block in range(-(-problems // BLOCK))
    ]
    A, X, start, condition = (np.concatenate(parts) for parts in zip(*blocks))
    return TestSet(offset, torch.from_numpy(A), torch.from_numpy(X), torch.from_numpy(start), condition)
