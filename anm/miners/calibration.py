"""Negatives of a given hardness: a search whose start is adapted to it."""

from functools import partial
from math import log

import torch
from torch import Tensor

from anm.miners.context import MiningContext
from anm.registry import miner
from anm.utils.lookup import one_hot
from anm.utils.rows import per_row

RATE = 0.2  # of the adaptation: the largest change of the noise's logarithm in a step
LIMITS = (0.01, 10.0)  # of the noise, in multiples of its level's; with more, nearly all entries are clipped


@miner(uses={"mining_opt_steps", "mining_noise_scale", "target_hardness"})
def calibrated(context: MiningContext) -> Tensor:
    """As `adversarial`, with the noise of the start adapted to hardness `target_hardness`.

    Each seed has one noise scale a level, at first `mining_noise_scale`. The contrastive loss has almost no gradient at
    a negative that is too easy, and one with the answer's energy may be a right answer.
    Source: the loss of noise-contrastive estimation is flat where negatives are too easy, Liu et al. 2022
    (arXiv 2110.11271); the density chasm, Rhodes et al. 2020 (arXiv 2006.12204). The adaptation is ours.
    """
    log_scale = noise_scales(context)
    context.observers.append(partial(adapt, log_scale, context.params.target_hardness))
    scale = per_row(log_scale.gather(1, context.t).exp(), context.x0)
    return context.answer(context.descend(context.schedule.noised(context.x0, context.t, scale * context.eps)))


def noise_scales(context: MiningContext) -> Tensor:
    """The logarithm of the start's noise, per seed and level (S, T), created at the first call."""
    if "calibrated/log_scale" not in context.state:
        first = min(max(context.params.mining_noise_scale, LIMITS[0]), LIMITS[1])
        shape = len(context.t), context.params.noise_levels
        context.state["calibrated/log_scale"] = torch.full(shape, log(first), device=context.x0.device)
    return context.state["calibrated/log_scale"]


def adapt(log_scale: Tensor, target: float, rows: dict[str, Tensor]) -> None:
    """Raise the noise of levels with harder negatives than `target`, lower that of the others, in place.

    The hardness of a negative is its probability in the contrastive loss, sigmoid(E_pos - E_neg): 0.5 at the answer's
    energy, near 0 far above. It is also the size of the loss's gradient in the energies.
    Source: Robbins and Monro 1951, doi:10.1214/aoms/1177729586. Departure: a constant rate, for the energy changes.
    """
    levels = one_hot(rows["t"], log_scale.shape[1]) * rows["counts"][..., None]
    hardness = -torch.expm1(-rows["contrast"])  # the loss is -log(1 - hardness)
    excess = ((hardness - target)[..., None] * levels).sum(1) / levels.sum(1).clamp(min=1)
    log_scale.add_(RATE * excess).clamp_(log(LIMITS[0]), log(LIMITS[1]))
