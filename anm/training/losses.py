"""The two losses of training, per row: denoising and contrastive."""

import torch
from torch import Tensor
from torch.nn import functional as F

from anm.energies import Landscape
from anm.miners import Miner, MiningContext, mine_negative
from anm.params import RunParams
from anm.training.contrast_scale import mean_gap
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


def clipped(context: MiningContext, negative: Tensor) -> Tensor:
    """1 where an entry of the negative is at the answer bound and the answer's is not, (S, B)."""
    bound = context.params.answer_bound * (1 - 1e-6)  # descent clips in the scale of x_t, and then divides
    reached = (negative.abs() >= bound) & (context.x0.abs() < bound)
    return reached.flatten(2).any(-1).to(negative.dtype)


def row_losses(
    landscape: Landscape, context: MiningContext, eps: Tensor, strategy: Miner, mined: MiningContext | None = None
) -> dict[str, Tensor]:
    """Losses and metrics per row (S, B); those of negatives only with negatives.

    The denoising loss uses the noise `eps` (S, B, *answer shape). `mined`: the first rows of `context`, which get a
    negative (default: all rows). A row without one, or whose negative is not used, has a loss of negatives of 0 and
    still counts in the mean over rows.
    """
    x_t = context.schedule.noised(context.x0, context.t, eps)
    energy, eps_hat = landscape(x_t)
    rows = {"denoise": denoising_loss(eps_hat, eps)}
    mined = mined or context
    count = mined.x0.shape[1]
    mined.denoised = (x_t[:, :count], eps_hat[:, :count].detach())
    if context.params.contrast_noise == "denoising":
        mined.eps, mined.answer_energy = eps[:, :count], energy[:, :count]
    negative = mine_negative(strategy, mined)
    if negative is None:
        return rows
    loss_of = {"contrastive": contrastive_rows, "denoising": redenoising_rows}[context.params.negative_loss]
    measured = mined.measured | loss_of(mined, negative)
    with torch.no_grad():
        measured["distance"] = mean_square(negative - mined.x0).sqrt()
        used = contrast_mask(mined, negative)
        measured |= correctness(mined, negative) | {"clipped": clipped(mined, negative)}
    measured["contrast"] = torch.where(used, measured["contrast"], 0.0)
    measured["counts"] = used.to(eps.dtype)
    measured["mined"] = torch.ones_like(measured["counts"])
    for observe in mined.observers if context.params.negative_loss == "contrastive" else ():
        observe({name: value.detach() for name, value in measured.items()} | {"t": mined.t})
    rest = context.x0.shape[1] - count
    return {name: F.pad(value, (0, rest)) if rest else value for name, value in measured.items()} | rows


def contrastive_rows(context: MiningContext, negative: Tensor) -> dict[str, Tensor]:
    """The contrastive loss of negatives and both energies, per row; positives and negatives share the context's noise.

    The denoising loss has the answer's energy already where `contrast_noise` = "denoising". With `contrast_scale` =
    "gap", the energies are divided by the mean gap of their level.
    """
    positive = context.energy(context.x0) if context.answer_energy is None else context.answer_energy
    negative = context.energy(negative)
    scaled = positive, negative
    if context.params.contrast_scale == "gap":
        scale = mean_gap(context, (positive - negative).detach())
        scaled = positive / scale, negative / scale
    return {"contrast": contrastive_loss(*scaled), "energy_positive": positive, "energy_negative": negative}


def redenoising_rows(context: MiningContext, negative: Tensor) -> dict[str, Tensor]:
    """The denoising loss at the negatives themselves, per row: the energy's gradient there points to the answer.

    x_t = sqrt(alpha_bar) negative, without fresh noise, as the sampler enters a level. The gradient that leads from it
    to the answer is (x_t - sqrt(alpha_bar) x0) / sqrt(1 - alpha_bar). Source: training on the inputs of sampling
    against exposure bias, as in Ning et al. 2023 (arXiv 2301.11706); departure: mined inputs instead of noised ones.
    """
    scale, noise = (context.schedule.at(name, context.t, negative) for name in ("sqrt_alpha_bar", "sqrt_noise"))
    _, eps_hat = context.landscape(scale * negative)
    return {"contrast": denoising_loss(eps_hat, scale * (negative - context.x0) / noise)}
