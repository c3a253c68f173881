"""The two losses of training, per row; a strategy is a miner, never a branch in here."""

import torch
from torch import Tensor
from torch.nn import functional as F

from anm.energy import Landscape
from anm.matrices import residual
from anm.miners import Mine, Miner, mine_negative
from anm.params import RunParams

RIGHT = (
    0.1  # a negative with a smaller residual counts as right in the log, where `false_negative_residual` says nothing
)


def denoising_loss(eps_hat: Tensor, eps: Tensor) -> Tensor:
    """Mean squared error of the noise prediction, per row (S, B). Source: Ho et al. 2020 (arXiv 2006.11239), eq. 14."""
    return (eps_hat - eps).square().mean((-2, -1))


def contrastive_loss(energy_positive: Tensor, energy_negative: Tensor) -> Tensor:
    """Cross-entropy of (-E_positive, -E_negative) with the positive as the right answer, per row (S, B).

    Source: arXiv 2406.11179, eq. 7; of two choices it is softplus(E_positive - E_negative).
    """
    return F.softplus(energy_positive - energy_negative)


def contrastive_weight(params: RunParams, step: int) -> float:
    """The weight of the contrastive loss at a step, the first being 0: rising evenly over `contrastive_warmup` steps."""
    return params.contrastive_weight * min(1.0, (step + 1) / max(1, params.contrastive_warmup))


def counted(mine: Mine, wrongness: Tensor) -> Tensor:
    """Which negatives count (S, B), given their residuals (S, B): those at `mining_levels` that are not in fact right."""
    low, high = mine.params.mining_level_range
    return (mine.t >= low) & (mine.t <= high) & ~(wrongness < mine.params.false_negative_residual)


def row_losses(landscape: Landscape, mine: Mine, eps: Tensor, strategy: Miner) -> dict[str, Tensor]:
    """Everything a step measures, per row (S, B): `denoise` and, with a strategy that contrasts, `contrast` and more.

    `eps` is the noise of the denoising loss; positives and negatives share mine.eps. A row whose negative does not count
    adds nothing to the contrast, and leaves the weight of the others as it is.
    """
    _, eps_hat = landscape(mine.schedule.noised(mine.x0, mine.t, eps))
    rows = {"denoise": denoising_loss(eps_hat, eps)}
    negative = mine_negative(strategy, mine)
    if negative is None:
        return rows
    energy = {}
    for name, x0 in {"positive": mine.x0, "negative": negative}.items():
        energy[name], _ = landscape(mine.schedule.noised(x0, mine.t, mine.eps), gradient=False)
    with torch.no_grad():
        distance = (negative - mine.x0).square().mean((-2, -1)).sqrt()
        wrongness = residual(mine.A, negative)
        counts = counted(mine, wrongness)
    return (
        mine.measured
        | rows
        | {
            "contrast": torch.where(counts, contrastive_loss(energy["positive"], energy["negative"]), 0.0),
            "energy_positive": energy["positive"],
            "energy_negative": energy["negative"],
            "distance": distance,
            "residual": wrongness,
            "false": (wrongness < (mine.params.false_negative_residual or RIGHT)).to(distance.dtype),
            "counts": counts.to(distance.dtype),
        }
    )
