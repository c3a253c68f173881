"""The energy that is not told what inversion is: the problem times the answer, seen through learned matrices."""

from torch import Tensor

from anm.energy.layers import PRODUCTS_TO_ENCODE, LevelHeads, ProblemLayers, scale_of
from anm.energy.quadratic import QuadraticEnergy
from anm.params import CHOICES


class EnergyBilinear(QuadraticEnergy):
    """E(A, x_t, t) = ||Q A x_t - sqrt(alpha_bar_t) V||_F^2 / (2 sqrt(1 - alpha_bar_t)), with learned Q(A, t) and V(A, t).

    Before Q it is bilinear in problem and answer. What their product should be is learned: nothing ties V to Q,
    and the energy's minimum (Q A)^-1 V is whatever training makes it. Q and V mix the same channels, whose layers
    mix, multiply by the problem and by each other, and know no equation either.
    """

    products_to_encode = PRODUCTS_TO_ENCODE
    products_a_level = 1  # Q A

    def __init__(self, n: int, noise_levels: int, stack: int):
        super().__init__(n, noise_levels, stack)
        self.layers = ProblemLayers(stack, told=False)
        self.heads = LevelHeads(stack, 2, noise_levels)

    def encode(self, A: Tensor) -> tuple[Tensor, Tensor]:
        """A, and the channels that Q and V mix, (S, C, B, n, n)."""
        scale = scale_of(A)
        return A, self.layers(A / scale) / scale[:, None]

    def operators(self, encoded: tuple[Tensor, Tensor], t: Tensor) -> tuple[Tensor, Tensor]:
        """U = Q A, and V."""
        A, channels = encoded
        Q, V = self.heads(channels, t)
        return Q @ A, V


CHOICES["energy"]["bilinear"] = EnergyBilinear
