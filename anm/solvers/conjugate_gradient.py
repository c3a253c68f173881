"""Conjugate gradients at test time: descent on the energy of the last noise level."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from anm.energies import Landscape
from anm.utils.rows import entries, per_row

MIN_STEP_SCALE = 4.0**-8  # a row stops below this share of the full step


@dataclass
class CGState:
    """The state of each row between two steps.

    x: the current x_t (S, B, *shape), with its energy (S, B) and eps_hat (S, B, *shape).
    direction: the search direction of the next step (S, B, *shape).
    steepest: whether that direction is -eps_hat, not a conjugate one (S, B).
    step_scale: the share of the full step that the next step takes (S, B); 0 if the energy is not finite.
    """

    x: Tensor
    energy: Tensor
    eps_hat: Tensor
    direction: Tensor
    steepest: Tensor
    step_scale: Tensor


def inner(a: Tensor, b: Tensor) -> Tensor:
    """<a, b>, the sum over the entries of the product, shaped to multiply them."""
    return (a * b).sum(entries(a), keepdim=True)


def conjugate_descent(
    landscape: Landscape,
    x_t: Tensor,
    full_step: Tensor,
    limit: Tensor,
    steps: int,
    watch: Callable[[int, Tensor], None] | None = None,
) -> Tensor:
    """x_t (S, B, *shape) after at most `steps` conjugate-gradient steps; the energy never rises.

    full_step: the size eta of a landscape step. limit: the largest absolute entry of x_t. `watch(step, x_t)` is
    called after each step. A row accepts a step only if its energy falls. After a rejected steepest-descent step,
    it tries a quarter of that step; below MIN_STEP_SCALE it stops. The loop ends once all rows have stopped.
    A step evaluates the energy twice. On an energy that is quadratic in x_t, this is the method of conjugate
    gradients; elsewhere the acceptance makes it a descent.
    Source: Hestenes and Stiefel 1952, doi:10.6028/jres.049.044; Polak and Ribiere 1969, doi:10.1051/m2an/196903R100351.
    """
    energy, eps_hat = landscape(x_t)
    finite = torch.isfinite(energy)
    state = CGState(x_t, energy, eps_hat, -eps_hat, torch.ones_like(finite), finite.to(energy.dtype))
    for step in range(1, steps + 1):
        if not (state.step_scale >= MIN_STEP_SCALE).any():
            break
        state = cg_step(landscape, state, full_step, limit)
        if watch:
            watch(step, state.x)
    return state.x


def cg_step(landscape: Landscape, state: CGState, full_step: Tensor, limit: Tensor) -> CGState:
    """One step: line search along the direction, acceptance, and the next direction."""
    # Line search: the slopes at x and at a trial point give the curvature, and the curvature gives the length.
    scale = per_row(state.step_scale, state.x)
    trial_length = full_step * scale
    _, trial_eps_hat = landscape(state.x + trial_length * state.direction)
    slope = inner(state.eps_hat, state.direction)
    curvature = inner(trial_eps_hat - state.eps_hat, state.direction) / trial_length
    length = torch.where(curvature > 0, -slope / curvature * scale, trial_length)

    # Acceptance
    proposal = torch.clamp(state.x + length * state.direction, -limit, limit)
    energy, eps_hat = landscape(proposal)
    accepted = (energy < state.energy) & (state.step_scale >= MIN_STEP_SCALE)  # false if the energy is NaN
    accepted_entries = per_row(accepted, proposal)

    # The next direction: Polak-Ribiere; steepest descent if that one does not lead down
    beta = inner(eps_hat, eps_hat - state.eps_hat) / inner(state.eps_hat, state.eps_hat)
    conjugate = beta.clamp(min=0) * state.direction - eps_hat
    use_conjugate = accepted_entries & (inner(conjugate, eps_hat) < 0)
    eps_hat = torch.where(accepted_entries, eps_hat, state.eps_hat)

    # The next step size
    after_rejection = torch.where(state.steepest, state.step_scale / 4, state.step_scale)
    return CGState(
        x=torch.where(accepted_entries, proposal, state.x),
        energy=torch.where(accepted, energy, state.energy),
        eps_hat=eps_hat,
        direction=torch.where(use_conjugate, conjugate, -eps_hat),
        steepest=~use_conjugate.flatten(2)[..., 0],
        step_scale=torch.where(accepted, (4 * state.step_scale).clamp(max=1), after_rejection),
    )
