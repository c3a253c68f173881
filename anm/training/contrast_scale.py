"""The size of the energy gap at each noise level, by which the contrastive loss can divide its energies."""

import torch
from torch import Tensor

from anm.miners import MiningContext
from anm.utils.lookup import one_hot

DECAY = 0.99  # per step, of the sums from which the mean comes; so they span about 100 steps


def mean_gap(context: MiningContext, gap: Tensor) -> Tensor:
    """The mean of |E_pos - E_neg| at each row's level (S, B), per seed, over recent negatives; at least 1.

    Energies divided by it do not saturate the contrastive loss, at any scale of the energy. A level whose mean gap is
    below 1 keeps its energies, for there the loss is not flat, and a division would enlarge noise. The sums are in the
    miner's state, which checkpoints save.
    Source: normalised gradients against the flat loss of noise-contrastive estimation, Liu et al. 2022
    (arXiv 2110.11271). Departure: the energies are divided, not the gradient, and level by level.
    """
    levels = one_hot(context.t, context.params.noise_levels)
    for name, value in {"gap": (gap.abs()[..., None] * levels).sum(1), "rows": levels.sum(1)}.items():
        context.state.setdefault(f"contrast/{name}", torch.zeros_like(value)).mul_(DECAY).add_(value)
    at_row = (context.state[f"contrast/{name}"].gather(1, context.t) for name in ("gap", "rows"))
    return torch.div(*at_row).clamp(min=1)
