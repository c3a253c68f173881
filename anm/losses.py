"""The two losses of training, per row; a strategy is a miner, never a branch in here."""

import torch
from torch import Tensor
from torch.nn import functional as F

from anm.energy import Landscape
from anm.miners import Mine, Miner, mine_negative


def denoising_loss(eps_hat: Tensor, eps: Tensor) -> Tensor:
    """Mean squared error of the noise prediction, per row (S, B). Source: Ho et al. 2020 (arXiv 2006.11239), eq. 14."""
    return (eps_hat - eps).square().mean((-2, -1))


def contrastive_loss(energy_positive: Tensor, energy_negative: Tensor) -> Tensor:
    """Cross-entropy of (-E_positive, -E_negative) with the positive as the right answer, per row (S, B).

    Source: arXiv 2406.11179, eq. 7; of two choices it is softplus(E_positive - E_negative).
    """
    return F.softplus(energy_positive - energy_negative)


def row_losses(landscape: Landscape, mine: Mine, eps: Tensor, strategy: Miner) -> dict[str, Tensor]:
    """Everything a step measures, per row (S, B): `denoise` and, with a strategy that contrasts, `contrast` and more.

    `eps` is the noise of the denoising loss; positives and negatives share mine.eps.
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
    return rows | mine.measured | {
        "contrast": contrastive_loss(energy["positive"], energy["negative"]),
        "energy_positive": energy["positive"],
        "energy_negative": energy["negative"],
        "distance": distance,
    }
