"""Orthogonal matrices, for tests that turn a problem."""

import torch


def rotation(n: int, kind: str) -> torch.Tensor:
    """A random orthogonal matrix (n, n), float64: a `rotation` in general position, or a `permutation`."""
    generator = torch.Generator().manual_seed(n)
    if kind == "permutation":
        return torch.eye(n, dtype=torch.float64)[torch.randperm(n, generator=generator)]
    return torch.linalg.qr(torch.randn(n, n, dtype=torch.float64, generator=generator))[0]
