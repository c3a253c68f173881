"""Negatives that the model itself gives as answers."""

from torch import Tensor

from anm.miners.context import MiningContext
from anm.registry import miner


@miner(uses=())
def one_step(context: MiningContext) -> Tensor:
    """The model's own answer in one step: x0 from eps_hat at the noised answer.

    The denoising loss has evaluated the energy there already. With `contrast_noise` = "denoising" it has also evaluated
    that of the answer, so that the contrast takes one evaluation, that of the negative.
    Source: exposure bias, Ning et al. 2023 (arXiv 2301.11706): a sampler goes on from such answers, and training never
    sees them. Departure: as negatives; there, training perturbs its inputs.
    """
    if context.denoised:
        return context.schedule.denoised(context.denoised[0], context.t, context.denoised[1])
    x_t = context.schedule.noised(context.x0, context.t, context.eps)  # outside a training step
    return context.schedule.denoised(x_t, context.t, context.landscape(x_t)[1])


@miner(uses=())
def solver_path(context: MiningContext) -> Tensor:
    """The answer with which the sampler comes to a noise level: x0 from eps_hat at the level above.

    There, x_t is the noised answer. At the highest level, it is that level's own x_t, which is nearly noise alone, as
    where the sampler starts. The sampler goes on without fresh noise, to sqrt(alpha_bar) x0. So with
    `contrast_noise` = "none", the contrast is at the very points that the sampler visits.
    Source: exposure bias, Ning et al. 2023 (arXiv 2301.11706) and 2024 (arXiv 2308.15321). Departure: as negatives.
    """
    above = (context.t + 1).clamp(max=len(context.schedule) - 1)
    x_t = context.schedule.noised(context.x0, above, context.normal())
    _, eps_hat = context.landscape_at(above)(x_t)
    return context.schedule.denoised(x_t, above, eps_hat)
