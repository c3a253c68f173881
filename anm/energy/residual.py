"""The energy that is told the equation: the size of a preconditioned residual, with a learned preconditioner."""

import torch
from torch import Tensor, nn

from anm.energy.layers import LevelHeads, drawn, limited, mix, plus_identity, scale_of
from anm.energy.quadratic import QuadraticEnergy
from anm.params import CHOICES

CHANNELS, DEPTH = 2, 9


class EnergyResidual(QuadraticEnergy):
    """E(A, x_t, t) = ||P (A x_t - sqrt(alpha_bar_t) I)||_F^2 / (2 sqrt(1 - alpha_bar_t)), with a learned P(A, t).

    Wherever P is invertible the minimum is the inverse by construction; what is learned is how to get there fast.
    P mixes channels that DEPTH layers refine: each is multiplied by I plus a learned mixture of all channels'
    residuals I - A P_c, whose size is limited. Untrained, a layer is a Newton-Schulz iteration of each channel.
    Source: the iteration, Ben-Israel and Cohen 1966, doi:10.1137/0703035.
    """

    products_to_encode = 2 + 2 * CHANNELS * DEPTH  # n x n products a problem: the scale, and the layers
    products_a_level = 1  # P A
    products_to_evaluate = 2

    def __init__(self, n: int, noise_levels: int, stack: int):
        super().__init__(n, noise_levels, stack)
        self.first = nn.Parameter(torch.empty(stack, CHANNELS))
        self.layers = nn.Parameter(torch.empty(stack, DEPTH, CHANNELS, CHANNELS))
        self.heads = LevelHeads(stack, 1, CHANNELS, noise_levels)

    def reset(self, generators: list[torch.Generator]) -> "EnergyResidual":
        self.first.data.copy_(1 + 0.25 * drawn(self.first, generators))
        self.layers.data.copy_(torch.eye(CHANNELS) + 0.05 * drawn(self.layers, generators))
        self.heads.common.data.fill_(1 / CHANNELS)
        return self

    def encode(self, A: Tensor) -> tuple[Tensor, Tensor]:
        """A, and the channels P_c (S, C, B, n, n), each an approximate inverse."""
        scale = scale_of(A)
        unit = (A / scale)[:, None]
        P = plus_identity(torch.zeros_like(unit).expand(-1, CHANNELS, -1, -1, -1), self.first)
        for layer in self.layers.unbind(1):
            error = limited(plus_identity(-(unit @ P), torch.ones_like(self.first)), 1.0)
            P = P + P @ mix(layer, error)
        return A, P / scale[:, None]

    def operators(self, encoded: tuple[Tensor, Tensor], t: Tensor) -> tuple[Tensor, Tensor]:
        A, channels = encoded
        (P,) = self.heads(channels, t)
        return P @ A, P


CHOICES["energy"]["residual"] = EnergyResidual
