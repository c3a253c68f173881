"""The sampler: from noise to an answer, one noise level after the other."""

from collections.abc import Callable

import torch
from torch import Tensor

from anm.energies import Energy
from anm.energies.schedule import Schedule
from anm.solvers.conjugate_gradient import conjugate_descent
from anm.solvers.descent import DescentResult, descend


def sample(
    model: Energy,
    problem: Tensor,
    start: Tensor,
    schedule: Schedule,
    landscape_steps: int,
    bound: float,
    watch: Callable[[int, DescentResult, Tensor], None] | None = None,
    refine_steps: int = 0,
    watch_refining: Callable[[int, Tensor], None] | None = None,
) -> Tensor:
    """Answers x0 (S, B, *answer shape) to problems (S, B, *problem shape) from noise `start` at the highest level.

    At each level, from the noisiest to the least noisy: x0 from eps_hat, clipped to +-bound; x_t from that x0,
    without fresh noise; then `landscape_steps` landscape steps. After the last level, up to `refine_steps` steps
    of conjugate gradients on its energy. `watch(level, descent, x0)` is called after each level,
    `watch_refining(step, x0)` after each step of conjugate gradients.
    Source: arXiv 2406.11179, algorithm 2, as in the code released with it.
    """
    encoded, x_t = model.encode(problem), start
    for level in reversed(range(len(schedule))):
        t = torch.full(start.shape[:2], level, device=start.device)
        landscape = model.landscape(encoded, t)
        _, eps_hat = landscape(x_t)
        x0 = schedule.denoised(x_t, t, eps_hat).clamp(-bound, bound)
        x_t = schedule.at("sqrt_alpha_bar", t, x0) * x0
        if landscape_steps or watch:
            descent = descend(landscape, x_t, t, schedule, landscape_steps, bound)
            x0 = descent.x / schedule.at("sqrt_alpha_bar", t, x0)
        if watch:
            watch(level, descent, x0)
        if level:
            x_t = schedule.sqrt_alpha_bar[level - 1] * x0
    if not refine_steps:
        return x0
    scale, step_size = schedule.at("sqrt_alpha_bar", t, x0), schedule.at("step_size", t, x0)
    watch_x_t = watch_refining and (lambda step, x_t: watch_refining(step, x_t / scale))
    return conjugate_descent(landscape, scale * x0, step_size, bound * scale, refine_steps, watch_x_t) / scale
