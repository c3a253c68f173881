"""The energy that is told the equation: the size of a preconditioned residual, with a learned preconditioner."""

from torch import Tensor

from anm.energy.layers import PRODUCTS_TO_ENCODE, LevelHeads, ProblemLayers, scale_of
from anm.energy.quadratic import QuadraticEnergy
from anm.params import CHOICES


class EnergyResidual(QuadraticEnergy):
    """E(A, x_t, t) = ||P (A x_t - sqrt(alpha_bar_t) I)||_F^2 / (2 sqrt(1 - alpha_bar_t)), with a learned P(A, t).

    Wherever P is invertible the minimum is the inverse by construction; what is learned is how to get there fast.
    The layers that make P are told the equation too: they multiply by mixtures of residuals I - A h.
    """

    products_to_encode = PRODUCTS_TO_ENCODE
    products_a_level = 1  # P A

    def __init__(self, n: int, noise_levels: int, stack: int):
        super().__init__(n, noise_levels, stack)
        self.layers = ProblemLayers(stack, told=True)
        self.heads = LevelHeads(stack, 1, noise_levels)

    def encode(self, A: Tensor) -> tuple[Tensor, Tensor]:
        """A, and the channels that P mixes, (S, C, B, n, n)."""
        scale = scale_of(A)
        return A, self.layers(A / scale) / scale[:, None]

    def operators(self, encoded: tuple[Tensor, Tensor], t: Tensor) -> tuple[Tensor, Tensor]:
        """U = P A and V = P."""
        A, channels = encoded
        (P,) = self.heads(channels, t)
        return P @ A, P


CHOICES["energy"]["residual"] = EnergyResidual
