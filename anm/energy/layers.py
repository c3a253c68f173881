"""Layers over channels of n x n matrices: mix channels, multiply matrices, stay bounded; weights do not depend on n.

Channels of a stack are (S, C, B, n, n): with channels before problems, mixing is one matrix product a seed. Made of
mixing, products, the identity and norms that no rotation changes, every channel of a layer obeys
h(Q A Q^T) = Q h(A) Q^T for orthogonal Q.
"""

import torch
from torch import Tensor, nn

from anm.schedule import Pick

SQUARINGS = 2  # of A, before its norm is taken
CHANNELS, DEPTH = 2, 9
LIMIT = 2.0  # of a layer's factor; one that inverts has eigenvalues between 0 and 1
GAIN = 30.0  # of the heads: weights of order 0.1 reach inverses of the eigenvalues that problems have
# n x n products a problem: the scale, and the layers
PRODUCTS_TO_ENCODE = SQUARINGS + 2 * CHANNELS * DEPTH


def frobenius(h: Tensor) -> Tensor:
    """||h||_F of matrices (..., n, n), (..., 1, 1)."""
    return torch.linalg.vector_norm(h, dim=(-2, -1), keepdim=True)


def scale_of(A: Tensor) -> Tensor:
    """||A^4||_F^(1/4), (..., 1, 1): at least the largest eigenvalue of A, and at most n^(1/8) times it.

    Two products. Divided by it, problems of any size and unit have eigenvalues in [-1, 1] and reach its end.
    """
    size = frobenius(A)
    power, logarithm = A / size, size.log()
    for squaring in range(1, SQUARINGS + 1):
        power = power @ power
        size = frobenius(power)
        power, logarithm = power / size, logarithm + size.log() / 2**squaring
    return logarithm.exp()


def limited(h: Tensor, limit: float) -> Tensor:
    """h (..., n, n) shrunk, where it is larger, to the Frobenius norm `limit` sqrt(n): that of `limit` times I."""
    return h * (limit * h.shape[-1] ** 0.5 / (frobenius(h) + 1e-20)).clamp(max=1)


def plus_identity(h: Tensor, amount: Tensor) -> Tensor:
    """h (S, C, B, n, n) + amount I, with amount (S, C)."""
    return h + amount[:, :, None, None, None] * torch.eye(h.shape[-1], dtype=h.dtype, device=h.device)


def mix(weight: Tensor, h: Tensor) -> Tensor:
    """Channels h (S, C, B, n, n) mixed by weight (S, K, C) -> (S, K, B, n, n)."""
    return torch.bmm(weight, h.flatten(2)).unflatten(2, h.shape[2:])


def drawn(tensor: nn.Parameter, generators: list[torch.Generator]) -> Tensor:
    """N(0, 1) in the shape of the parameter (S, ...), each seed's from its own generator."""
    return torch.stack([torch.empty(tensor.shape[1:]).normal_(generator=g) for g in generators])


class ProblemLayers(nn.Module):
    """DEPTH layers over CHANNELS, each of which multiplies a channel by I plus a bounded mixture made of the problem.

    h_c <- h_c (I + F_c), with F_c a learned mixture of all products of the problem with a channel, and of the
    identity: F_c = sum_d w_cd A h_d + b_c I; `told`: F_c = sum_d w_cd (I - A h_d), which vanishes where every
    channel is the inverse. The size of F_c is limited to LIMIT, so a layer's gain is limited too. All channels start as
    multiples of I; w and b start near zero. 2 CHANNELS products a layer.
    """

    def __init__(self, stack: int, told: bool):
        super().__init__()
        self.first = nn.Parameter(torch.empty(stack, CHANNELS))
        self.weight = nn.Parameter(torch.empty(stack, DEPTH, CHANNELS, CHANNELS))
        self.bias = None if told else nn.Parameter(torch.empty(stack, DEPTH, CHANNELS))

    def reset(self, generators: list[torch.Generator]) -> None:
        """Each seed's weights from its own generator."""
        self.first.data.copy_(1 + 0.25 * drawn(self.first, generators))
        for weights in (self.weight, self.bias):
            if weights is not None:
                weights.data.copy_(0.1 * drawn(weights, generators))

    def forward(self, A: Tensor) -> Tensor:
        """Channels (S, C, B, n, n) made of problems A (S, B, n, n) of norm about 1."""
        A = A[:, None]
        h = plus_identity(torch.zeros_like(A).expand(-1, CHANNELS, -1, -1, -1), self.first)
        for layer, weight in enumerate(self.weight.unbind(1)):
            if self.bias is None:
                factor = plus_identity(mix(-weight, A @ h), weight.sum(-1))
            else:
                factor = plus_identity(mix(weight, A @ h), self.bias[:, layer])
            h = h + h @ limited(factor, LIMIT)
        return h


class LevelHeads(nn.Module):
    """K mixtures of the channels for each noise level: h (S, C, B, n, n), t (S, B) -> K of (S, B, n, n)."""

    def __init__(self, stack: int, heads: int, noise_levels: int):
        super().__init__()
        self.common = nn.Parameter(torch.empty(stack, heads, CHANNELS))
        self.by_level = nn.Parameter(torch.empty(stack, noise_levels, heads, CHANNELS))

    def reset(self, generators: list[torch.Generator]) -> None:
        """Each seed's weights from its own generator; levels start alike."""
        self.common.data.copy_(0.02 * drawn(self.common, generators))
        self.by_level.data.zero_()

    def forward(self, h: Tensor, t: Tensor) -> tuple[Tensor, ...]:
        levels = Pick.apply(self.by_level.flatten(2), t).unflatten(2, self.by_level.shape[2:])  # (S, B, K, C)
        weight = GAIN * (self.common[:, None] + levels).movedim(1, -1)[..., None, None]  # (S, K, C, B, 1, 1)
        return tuple((weight[:, head] * h).sum(1) for head in range(weight.shape[1]))
