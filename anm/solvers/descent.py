"""Descent on an energy: one landscape step with its acceptance, and several steps in a row."""

from dataclasses import dataclass

import torch
from torch import Tensor

from anm.energies import Landscape
from anm.energies.schedule import Schedule
from anm.utils.rows import per_row


@dataclass
class DescentState:
    """The current x_t (S, B, *shape), its energy (S, B), and eps_hat there (None if no step follows)."""

    x: Tensor
    energy: Tensor
    eps_hat: Tensor | None


def clip_answer(x_t: Tensor, t: Tensor, schedule: Schedule, bound: float) -> Tensor:
    """x_t clipped to +-bound in the scale of its noise level: +-bound sqrt(alpha_bar_t)."""
    limit = bound * schedule.at("sqrt_alpha_bar", t, x_t)
    return torch.clamp(x_t, -limit, limit)


def landscape_step(
    landscape: Landscape, state: DescentState, t: Tensor, schedule: Schedule, bound: float, gradient: bool = True
) -> tuple[DescentState, Tensor]:
    """One step down the energy, and the rows (S, B) that accepted it.

    The proposal is clip(x - eta_t eps_hat). A row accepts it if the energy does not rise, else it keeps its x_t.
    `gradient`: also compute eps_hat at the new x_t, which a further step needs.
    Source: arXiv 2406.11179, algorithm 2. Departure: each row has its own clip, and every step the same size.
    """
    proposal = clip_answer(state.x - schedule.at("step_size", t, state.x) * state.eps_hat, t, schedule, bound)
    energy, eps_hat = landscape(proposal, gradient=gradient)
    accepted = energy <= state.energy  # false if the energy is NaN
    accepted_entries = per_row(accepted, proposal)
    new_state = DescentState(
        torch.where(accepted_entries, proposal, state.x),
        torch.where(accepted, energy, state.energy),
        torch.where(accepted_entries, eps_hat, state.eps_hat) if gradient else None,
    )
    return new_state, accepted


@dataclass
class DescentResult:
    """The final x_t (S, B, *shape); energies before and after, and the share of accepted steps, each (S, B)."""

    x: Tensor
    energy_before: Tensor
    energy_after: Tensor
    accepted: Tensor


def descend(
    landscape: Landscape, x_t: Tensor, t: Tensor, schedule: Schedule, steps: int, bound: float
) -> DescentResult:
    """`steps` landscape steps from x_t (S, B, *shape); evaluates the energy steps + 1 times."""
    energy_before, eps_hat = landscape(x_t, gradient=steps > 0)
    state, accepted_steps = DescentState(x_t, energy_before, eps_hat), torch.zeros_like(energy_before)
    for step in range(steps):
        state, accepted = landscape_step(landscape, state, t, schedule, bound, gradient=step + 1 < steps)
        accepted_steps = accepted_steps + accepted
    return DescentResult(state.x, energy_before, state.energy, accepted_steps / max(steps, 1))
