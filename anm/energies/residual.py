"""The residual energy: the size of A x - I after a learned preconditioner; it contains the equation."""

from torch import Tensor

from anm.energies.quadratic import QuadraticEnergy
from anm.registry import CHOICES


class EnergyResidual(QuadraticEnergy):
    """E(A, x_t, t) = ||P (A x_t - sqrt(alpha_bar_t) I)||_F^2 / (2 sqrt(1 - alpha_bar_t)) with a learned P(A, t).

    If P is invertible, the minimum is the inverse by construction; training only makes the descent fast.
    The layers of P use the equation too: they multiply by mixtures of residuals I - A h.
    """

    mixtures, uses_equation = 1, True

    def operators(self, A: Tensor, mixtures: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """U = P A and V = P."""
        (P,) = mixtures
        return P @ A, P


CHOICES["energy"]["residual"] = EnergyResidual
