"""Thinking longer: conjugate descent on the last level's energy, never uphill, until the energy stops falling."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from anm.energy import Landscape

SHORTEST = 4.0**-8  # of a step's full length


@dataclass
class Thought:
    """Where thinking stands, per row: x_t (S, B, n, n), its energy (S, B) and eps_hat; the direction of the next step,
    whether that is straight down (S, B), and its reach (S, B), a share of its full length."""

    x: Tensor
    energy: Tensor
    eps_hat: Tensor
    direction: Tensor
    straight: Tensor
    reach: Tensor


def inner(a: Tensor, b: Tensor) -> Tensor:
    """<a, b> over the entries, (S, B, 1, 1)."""
    return (a * b).sum((-2, -1), keepdim=True)


def think(
    landscape: Landscape,
    x_t: Tensor,
    full_step: Tensor,
    limit: Tensor,
    steps: int,
    watch: Callable[[int, Tensor], None] | None = None,
) -> Tensor:
    """x_t (S, B, n, n) after at most `steps` conjugate steps down the energy, each kept per row only if the energy fell.

    `full_step`: the landscape step's eta; `limit`: largest absolute entry of x_t. A step straight down
    that fails is tried again at a quarter of its reach; a row stops when SHORTEST fails, and the whole when all have.
    `watch(step, x_t)` sees every step's end.
    Two evaluations of the energy a step. On an energy that is quadratic in x_t it is the method of
    conjugate gradients; elsewhere the guard makes it a descent all the same.
    Source: Hestenes and Stiefel 1952, doi:10.6028/jres.049.044; Polak and Ribiere 1969, doi:10.1051/m2an/196903R100351.
    """
    energy, eps_hat = landscape(x_t)
    finite = torch.isfinite(energy)
    now = Thought(x_t, energy, eps_hat, -eps_hat, torch.ones_like(finite), finite.to(energy.dtype))
    for step in range(1, steps + 1):
        if not (now.reach >= SHORTEST).any():
            break
        now = thought_on(landscape, now, full_step, limit)
        if watch:
            watch(step, now.x)
    return now.x


def thought_on(landscape: Landscape, now: Thought, full_step: Tensor, limit: Tensor) -> Thought:
    """One step: a full-size one along the direction to probe, and from the slopes at both its ends the best length."""
    full_step = full_step * now.reach[..., None, None]
    probe = now.x + full_step * now.direction
    _, beyond = landscape(probe)
    slope = inner(now.eps_hat, now.direction)
    curvature = inner(beyond - now.eps_hat, now.direction) / full_step
    length = torch.where(curvature > 0, -slope / curvature * now.reach[..., None, None], full_step)
    proposal = torch.clamp(now.x + length * now.direction, -limit, limit)
    energy, eps_hat = landscape(proposal)
    fell = (energy < now.energy) & (now.reach >= SHORTEST)  # false for an energy that is not a number
    row = fell[..., None, None]
    memory = inner(eps_hat, eps_hat - now.eps_hat) / inner(now.eps_hat, now.eps_hat)
    turned = memory.clamp(min=0) * now.direction - eps_hat
    conjugate = row & (inner(turned, eps_hat) < 0)  # otherwise start again, straight down
    eps_hat = torch.where(row, eps_hat, now.eps_hat)
    return Thought(
        torch.where(row, proposal, now.x),
        torch.where(fell, energy, now.energy),
        eps_hat,
        torch.where(conjugate, turned, -eps_hat),
        ~conjugate[..., 0, 0],
        torch.where(fell, (4 * now.reach).clamp(max=1), torch.where(now.straight, now.reach / 4, now.reach)),
    )
