"""Inverses of small symmetric positive definite matrices on a GPU: one kernel, which keeps a matrix in registers.

It needs Triton, which comes with the builds of torch for CUDA on Linux. Elsewhere the module has no kernel.
"""

import torch
from torch import Tensor

try:
    import triton
    import triton.language as tl
except ImportError:
    triton = None

LARGEST_N = 64  # the registers of a larger matrix would spill


if triton:

    @triton.jit
    def sweep_kernel(A, X, n: tl.constexpr, side: tl.constexpr):
        """X = the inverse of A (n, n), by sweeping every pivot of -A. One program a matrix, padded to (side, side)."""
        i, j = tl.arange(0, side)[:, None], tl.arange(0, side)[None, :]
        inside = (i < n) & (j < n)
        place = tl.program_id(0).to(tl.int64) * n * n + i * n + j
        M = -tl.load(A + place, mask=inside, other=0.0)
        for k in range(n):
            column = tl.sum(tl.where(j == k, M, 0.0), axis=1, keep_dims=True)
            row = tl.sum(tl.where(i == k, M, 0.0), axis=0, keep_dims=True)
            pivot = tl.sum(tl.where(i == k, column, 0.0), axis=0, keep_dims=True)
            swept = M - column * (row / pivot)
            edge = tl.where(i == k, row, column) / pivot
            M = tl.where((i == k) | (j == k), edge, swept)
            M = tl.where((i == k) & (j == k), -1.0 / pivot, M)
        tl.store(X + place, M, mask=inside)


def swept_in_registers(A: Tensor) -> Tensor:
    """The inverse of each A (..., n, n) on a GPU, n at most LARGEST_N; `anm.tasks.inverse.swept` computes the same."""
    A, n = A.contiguous(), A.shape[-1]
    X = torch.empty_like(A)
    if A.numel():
        sweep_kernel[(A.shape[:-2].numel(),)](A, X, n, triton.next_power_of_2(n), num_warps=1)
    return X
