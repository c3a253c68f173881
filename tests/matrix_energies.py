"""Quadratic energies with random weights, problems for them, and orthogonal matrices."""

import torch

from anm.tasks.inverse import problem_from, spd_inverse

SEEDS, ROWS, LEVELS = 2, 3, 10


def seeded(seed: int) -> torch.Generator:
    """A CPU generator with this seed."""
    return torch.Generator().manual_seed(seed)


def untrained(energy, n, stack=SEEDS, dtype=torch.float64):
    """A stack with initial weights."""
    return energy(n, LEVELS, stack).reset([seeded(seed) for seed in range(stack)]).to(dtype)


def shaken(energy, n, dtype=torch.float64):
    """A stack with random weights, different at each noise level."""
    model = untrained(energy, n, dtype=dtype)
    for place, weights in enumerate(model.parameters()):
        weights.data += 0.1 * torch.randn(weights.shape, generator=seeded(place))
    return model


def problems(n, dtype=torch.float64):
    """A, x0, x_t, t: problems of `same`, their inverses, N(0, 1) as x_t, and noise levels."""
    generator = seeded(n)
    A = problem_from(torch.empty(SEEDS, ROWS, n, n, dtype=dtype).uniform_(-1, 1, generator=generator), 0.5)
    x0 = spd_inverse(A)
    t = torch.randint(LEVELS, (SEEDS, ROWS), generator=generator)
    return A, x0, torch.randn(SEEDS, ROWS, n, n, dtype=dtype, generator=generator), t


def orthogonal(n: int, kind: str) -> torch.Tensor:
    """A random orthogonal matrix (n, n), float64: a `rotation` in general position, or a `permutation`."""
    if kind == "permutation":
        return torch.eye(n, dtype=torch.float64)[torch.randperm(n, generator=seeded(n))]
    return torch.linalg.qr(torch.randn(n, n, dtype=torch.float64, generator=seeded(n)))[0]
