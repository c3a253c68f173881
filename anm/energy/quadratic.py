"""Energies that are quadratic in the answer: E = ||U x_t - sqrt(alpha_bar) V||^2 with U, V made of the problem."""

from typing import Any

import torch
from torch import Tensor

from anm.energy.base import Energy
from anm.schedule import Schedule


class QuadraticEnergy(Energy):
    """E(A, x_t, t) = ||U x_t - sqrt(alpha_bar_t) V||_F^2 / (2 sqrt(1 - alpha_bar_t)), with U(A, t) and V(A, t).

    Its gradient is U^T (U x_t - sqrt(alpha_bar) V) / sqrt(1 - alpha_bar): the noise itself wherever U is orthogonal
    and U x0 = V, at every noise level alike. Descent leads from U^T V, what one pass of the network says, to
    U^-1 V. An energy of this kind has `layers` and `heads`, and
    defines `encode` and `operators`.
    """

    any_n = True  # weights do not depend on n: problems of any size are answered
    products_to_evaluate = 2  # n x n products a problem: energy and gradient at one answer

    def __init__(self, n: int, noise_levels: int, stack: int):
        super().__init__(n, noise_levels, stack)
        self.schedule = Schedule(noise_levels)

    def reset(self, generators: list[torch.Generator]) -> "QuadraticEnergy":
        for part in (self.layers, self.heads):
            part.reset(generators)
        return self

    def operators(self, encoded: Any, t: Tensor) -> tuple[Tensor, Tensor]:
        """U and V for encoded problems at noise levels t (S, B), each (S, B, n, n)."""
        raise NotImplementedError

    def at_level(self, encoded: Any, t: Tensor) -> tuple[Tensor, ...]:
        U, V = self.operators(encoded, t)
        return U, self.schedule.at("sqrt_alpha_bar", t) * V, self.schedule.at("sqrt_noise", t)

    def evaluate(self, known: tuple[Tensor, ...], x_t: Tensor, gradient: bool = True) -> tuple[Tensor, Tensor | None]:
        U, target, sqrt_noise = known
        r = U @ x_t - target
        energy = r.square().sum((-2, -1)) / (2 * sqrt_noise[..., 0, 0])
        return energy, U.mT @ r / sqrt_noise if gradient else None
