"""Frozen problems: drawn once, the same for every strategy, seed, device and batch size."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

BLOCK = 1000  # problems are drawn in blocks, each from its own seed, so that a smaller set begins a larger one
TEST_STREAM, FIT_STREAM = 20240610, 20240611


@dataclass(frozen=True)
class TestSet:
    """Frozen problems of one difficulty.

    A: problems. X: their inverses, computed in float64 from the float32 A. start: the sampler's noise x_T, N(0, 1).
    All three are float32 on the CPU, (N, n, n). condition: the condition number of A, float64, (N,).
    """

    __test__ = False  # pytest collects classes named Test*

    offset: float
    A: Tensor
    X: Tensor
    start: Tensor
    condition: np.ndarray

    def __len__(self) -> int:
        return len(self.A)


def frozen_block(n: int, offset: float, block: int, stream: int, count: int) -> tuple[np.ndarray, ...]:
    """The first `count` problems of one block: A, X and start in float32, condition in float64."""
    random = np.random.Generator(np.random.Philox([stream, n * 10**6 + block]))
    # The whole block is drawn, so that the draws of `start` do not depend on `count`.
    R = random.uniform(-1, 1, (BLOCK, n, n))[:count].copy()
    A = (2 * R @ R.transpose(0, 2, 1) + offset * np.eye(n)).astype(np.float32)
    exact = A.astype(np.float64)
    eigenvalues = np.linalg.eigvalsh(exact)
    start = random.standard_normal((BLOCK, n, n), dtype=np.float32)[:count].copy()
    return A, np.linalg.inv(exact).astype(np.float32), start, eigenvalues[:, -1] / eigenvalues[:, 0]


@lru_cache(maxsize=8)
def frozen_problems(n: int, offset: float, problems: int, stream: int = TEST_STREAM) -> TestSet:
    """The first `problems` frozen problems of side n at this offset.

    R is the same at every offset: difficulties differ in c alone. FIT_STREAM gives problems that no test set
    contains; baselines are fitted on them.
    """
    blocks = [
        frozen_block(n, offset, block, stream, min(BLOCK, problems - block * BLOCK))
        for block in range(-(-problems // BLOCK))
    ]
    A, X, start, condition = (np.concatenate(parts) for parts in zip(*blocks))
    return TestSet(offset, torch.from_numpy(A), torch.from_numpy(X), torch.from_numpy(start), condition)
