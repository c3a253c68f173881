"""Layers over channels of n x n matrices, for energies whose weights do not depend on n.

Channels are (S, C, B, n, n). The channel axis precedes the batch, so that mixing channels is one matrix product
per seed. Each layer uses mixtures, products, the identity and norms only. Hence h(Q A Q^T) = Q h(A) Q^T for
orthogonal Q.
"""

import torch
from einops import rearrange
from torch import Tensor, nn

from anm.utils.lookup import LevelLookup

SQUARINGS = 2  # of A, before its norm is computed
CHANNELS, DEPTH = 2, 9
LIMIT = 2.0  # largest norm of a layer's factor; a factor that inverts has eigenvalues between 0 and 1
GAIN = 30.0  # of the heads: weights of order 0.1 then give the inverses of typical eigenvalues
PRODUCTS_TO_ENCODE = SQUARINGS + 2 * CHANNELS * DEPTH  # n x n products per problem


def frobenius(h: Tensor) -> Tensor:
    """||h||_F of matrices (..., n, n), (..., 1, 1)."""
    return torch.linalg.vector_norm(h, dim=(-2, -1), keepdim=True)


def spectral_scale(A: Tensor) -> Tensor:
    """||A^4||_F^(1/4), (..., 1, 1): from 1 to n^(1/8) times the largest absolute eigenvalue of A.

    Divided by it, symmetric problems of any size and unit have eigenvalues in [-1, 1]. It takes two products.
    """
    size = frobenius(A)
    power, logarithm = A / size, size.log()
    for squaring in range(1, SQUARINGS + 1):
        power = power @ power
        size = frobenius(power)
        power, logarithm = power / size, logarithm + size.log() / 2**squaring
    return logarithm.exp()


def limit_norm(h: Tensor, limit: float) -> Tensor:
    """h (..., n, n), scaled down if its Frobenius norm exceeds that of `limit` I, which is limit sqrt(n)."""
    return h * (limit * h.shape[-1] ** 0.5 / (frobenius(h) + 1e-20)).clamp(max=1)


def add_identity(h: Tensor, amount: Tensor) -> Tensor:
    """h (S, C, B, n, n) + amount I, with amount (S, C)."""
    return h + rearrange(amount, "s c -> s c 1 1 1") * torch.eye(h.shape[-1], dtype=h.dtype, device=h.device)


def mix(weight: Tensor, h: Tensor) -> Tensor:
    """The mixtures sum_c weight_kc h_c: weight (S, K, C), h (S, C, B, n, n) -> (S, K, B, n, n)."""
    mixed = torch.bmm(weight, rearrange(h, "s c b i j -> s c (b i j)"))
    return rearrange(mixed, "s k (b i j) -> s k b i j", i=h.shape[-2], j=h.shape[-1])


def normal_like(tensor: nn.Parameter, generators: list[torch.Generator]) -> Tensor:
    """N(0, 1) in the shape of the parameter (S, ...); each seed draws from its own generator."""
    return torch.stack([torch.empty(tensor.shape[1:]).normal_(generator=g) for g in generators])


class ProblemLayers(nn.Module):
    """DEPTH layers that turn a problem into CHANNELS matrices.

    A layer multiplies each channel by I plus a factor: h_c <- h_c (I + F_c). The factor is a learned mixture of
    products with the problem, and of the identity: F_c = sum_d w_cd A h_d + b_c I. With `uses_equation`, it is a
    mixture of residuals: F_c = sum_d w_cd (I - A h_d), which is 0 if every channel is the inverse. LIMIT bounds
    the norm of F_c, and hence the gain of a layer. All channels start as multiples of I; w and b start near 0.
    A layer takes 2 CHANNELS products.
    """

    def __init__(self, stack: int, uses_equation: bool):
        super().__init__()
        self.first = nn.Parameter(torch.empty(stack, CHANNELS))
        self.weight = nn.Parameter(torch.empty(stack, DEPTH, CHANNELS, CHANNELS))
        self.bias = None if uses_equation else nn.Parameter(torch.empty(stack, DEPTH, CHANNELS))

    def reset(self, generators: list[torch.Generator]) -> None:
        """Draw the initial weights of each seed from its own generator."""
        self.first.data.copy_(1 + 0.25 * normal_like(self.first, generators))
        for weights in (self.weight, self.bias):
            if weights is not None:
                weights.data.copy_(0.1 * normal_like(weights, generators))

    def forward(self, A: Tensor) -> Tensor:
        """Channels (S, C, B, n, n) of problems A (S, B, n, n) whose largest eigenvalue is about 1."""
        A = rearrange(A, "s b i j -> s 1 b i j")
        h = add_identity(torch.zeros_like(A).expand(-1, CHANNELS, -1, -1, -1), self.first)
        for layer, weight in enumerate(self.weight.unbind(1)):
            if self.bias is None:
                factor = add_identity(mix(-weight, A @ h), weight.sum(-1))
            else:
                factor = add_identity(mix(weight, A @ h), self.bias[:, layer])
            h = h + h @ limit_norm(factor, LIMIT)
        return h


class LevelHeads(nn.Module):
    """K mixtures of the channels per noise level: h (S, C, B, n, n), t (S, B) -> K matrices (S, B, n, n)."""

    def __init__(self, stack: int, heads: int, noise_levels: int):
        super().__init__()
        self.common = nn.Parameter(torch.empty(stack, heads, CHANNELS))
        self.by_level = nn.Parameter(torch.empty(stack, noise_levels, heads, CHANNELS))

    def reset(self, generators: list[torch.Generator]) -> None:
        """Draw the initial weights of each seed from its own generator; all levels start equal."""
        self.common.data.copy_(0.02 * normal_like(self.common, generators))
        self.by_level.data.zero_()

    def forward(self, h: Tensor, t: Tensor) -> tuple[Tensor, ...]:
        by_level = LevelLookup.apply(rearrange(self.by_level, "s t k c -> s t (k c)"), t)
        by_level = rearrange(by_level, "s b (k c) -> s b k c", c=CHANNELS)
        weight = GAIN * rearrange(self.common[:, None] + by_level, "s b k c -> s k c b 1 1")
        return tuple((weight[:, head] * h).sum(1) for head in range(weight.shape[1]))
