"""The two losses of training, per row: denoising and contrastive."""

import torch
from torch import Tensor
from torch.nn import functional as F

from anm.energies import Landscape
from anm.miners import Miner, MiningContext, mine_negative
from anm.params import RunParams
from anm.utils.rows import mean_square


def denoising_loss(eps_hat: Tensor, eps: Tensor) -> Tensor:
    """MSE of the noise prediction, per row (S, B). Source: arXiv 2006.11239, eq. 14."""
    return mean_square(eps_hat - eps)


def contrastive_loss(energy_positive: Tensor, energy_negative: Tensor) -> Tensor:
    """Cross-entropy of (-E_positive, -E_negative), the positive being correct, per row (S, B).

    Source: arXiv 2406.11179, eq. 7; with two classes it equals softplus(E_positive - E_negative).
    """
    return F.softplus(energy_positive - energy_negative)


def contrastive_weight(params: RunParams, step: int) -> float:
    """The contrastive loss's weight at step 0, 1, ...; linear over `contrastive_warmup` steps, then constant."""
    return params.contrastive_weight * min(1.0, (step + 1) / max(1, params.contrastive_warmup))


def contrast_mask(context: MiningContext, negative: Tensor) -> Tensor:
    """Which negatives the contrastive loss uses (S, B): those at `mining_levels` that are wrong answers."""
    low, high = context.params.mining_level_range
    return (context.t >= low) & (context.t <= high) & context.wrong(negative)


def correctness(context: MiningContext, negative: Tensor) -> dict[str, Tensor]:
    """`residual`: each negative's violation; `false`: 1 where it is a right answer. Empty where nobody can tell."""
    if not context.task.verifiable:
        return {}
    residual = context.task.violation(context.problem, negative)
    right = residual < (context.params.false_negative_residual or context.task.right_below)
    return {"residual": residual, "false": right.to(residual.dtype)}


def row_losses(landscape: Landscape, context: MiningContext, eps: Tensor, strategy: Miner) -> dict[str, Tensor]:
    """Losses and metrics per row (S, B); those of the contrast only with negatives.

    The denoising loss uses the noise `eps` (S, B, *answer shape); positives and negatives share the noise context.eps.
    A row whose negative is not used has a contrastive loss of 0 and still counts in the mean over rows.
    """
    _, eps_hat = landscape(context.schedule.noised(context.x0, context.t, eps))
    rows = {"denoise": denoising_loss(eps_hat, eps)}
    negative = mine_negative(strategy, context)
    if negative is None:
        return rows
    energy = {}
    for name, x0 in {"positive": context.x0, "negative": negative}.items():
        energy[name], _ = landscape(context.schedule.noised(x0, context.t, context.eps), gradient=False)
    with torch.no_grad():
        distance = mean_square(negative - context.x0).sqrt()
        used = contrast_mask(context, negative)
        rows |= correctness(context, negative)
    rows |= {
        "contrast": torch.where(used, contrastive_loss(energy["positive"], energy["negative"]), 0.0),
        "energy_positive": energy["positive"],
        "energy_negative": energy["negative"],
        "distance": distance,
        "counts": used.to(distance.dtype),
    }
    return context.measured | rows
