"""The bilinear energy: ||Q A x_t - V||^2 with learned Q and V; it does not contain the equation A x = I."""

from torch import Tensor

from anm.energies.quadratic import QuadraticEnergy
from anm.registry import CHOICES


class EnergyBilinear(QuadraticEnergy):
    """E(A, x_t, t) = ||Q A x_t - sqrt(alpha_bar_t) V||_F^2 / (2 sqrt(1 - alpha_bar_t)) with learned Q(A, t), V(A, t).

    Q multiplies a product that is bilinear in problem and answer. Nothing ties V to Q: the minimum (Q A)^-1 V is
    learned. Q and V are mixtures of the same channels, whose layers do not contain the equation either.
    """

    mixtures, uses_equation = 2, False

    def operators(self, A: Tensor, mixtures: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """U = Q A, and V."""
        Q, V = mixtures
        return Q @ A, V


CHOICES["energy"]["bilinear"] = EnergyBilinear
