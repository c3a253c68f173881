"""Quadratic energies: E = ||U x_t - sqrt(alpha_bar) V||^2 with U and V computed from the problem."""

import torch
from torch import Tensor

from anm.energies.base import Energy
from anm.energies.layers import PRODUCTS_TO_ENCODE, LevelHeads, ProblemLayers, spectral_scale
from anm.energies.schedule import Schedule


class QuadraticEnergy(Energy):
    """E(A, x_t, t) = ||U x_t - sqrt(alpha_bar_t) V||_F^2 / (2 sqrt(1 - alpha_bar_t)) with U(A, t) and V(A, t).

    Its gradient is U^T (U x_t - sqrt(alpha_bar) V) / sqrt(1 - alpha_bar). If U is orthogonal and U x0 = V, that is
    the noise at every noise level. Descent leads from U^T V, the network's direct answer, to U^-1 V.
    A subclass sets `mixtures` and `uses_equation`, and defines `operators`.
    """

    any_n = True  # no weight depends on n
    tasks = ("inverse",)
    mixtures: int  # of the channels, for `operators`
    uses_equation: bool  # whether the layers multiply by residuals I - A h
    # n x n products per problem: for `encode`, for `at_level`, and for energy and gradient at one x_t
    products_to_encode, products_a_level, products_to_evaluate = PRODUCTS_TO_ENCODE, 1, 2

    def __init__(self, n: int, noise_levels: int, stack: int):
        super().__init__(n, noise_levels, stack)
        self.schedule = Schedule(noise_levels)
        self.layers = ProblemLayers(stack, self.uses_equation)
        self.heads = LevelHeads(stack, self.mixtures, noise_levels)

    def reset(self, generators: list[torch.Generator]) -> "QuadraticEnergy":
        for module in (self.layers, self.heads):
            module.reset(generators)
        return self

    def operators(self, A: Tensor, mixtures: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """U and V, each (S, B, n, n), from problems and mixtures of their channels, each (S, B, n, n)."""
        raise NotImplementedError

    def encode(self, A: Tensor) -> tuple[Tensor, Tensor]:
        """A, and its channels (S, C, B, n, n)."""
        scale = spectral_scale(A)
        return A, self.layers(A / scale) / scale[:, None]

    def at_level(self, encoded: tuple[Tensor, Tensor], t: Tensor) -> tuple[Tensor, ...]:
        """U, sqrt(alpha_bar) V, and sqrt(1 - alpha_bar)."""
        A, channels = encoded
        U, V = self.operators(A, self.heads(channels, t))
        return U, self.schedule.at("sqrt_alpha_bar", t, V) * V, self.schedule.at("sqrt_noise", t, V)

    def evaluate(self, conditions: tuple[Tensor, ...], x_t: Tensor, gradient: bool = True):
        U, target, sqrt_noise = conditions
        r = U @ x_t - target
        energy = r.square().sum((-2, -1)) / (2 * sqrt_noise[..., 0, 0])
        return energy, U.mT @ r / sqrt_noise if gradient else None
