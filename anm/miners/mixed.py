"""Negatives of several strategies in one batch."""

import torch
from torch import Tensor

from anm.miners.base import Mine, check_shape, miner
from anm.params import chosen


@miner
def mixture(mine: Mine) -> Tensor:
    """Of every batch a stated share from each of several strategies: `mixture`, such as "adversarial:0.5,random:0.5".

    The first rows are the first strategy's, and so on; problems are new at every step, so a row's place tells nothing.
    Every part is mined for the whole batch, then cut: the price is the sum of theirs. The log shows what all parts measure.
    """
    negatives, measured, first, total = [], [], 0, 0.0
    for name, share in mine.params.mixture_shares.items():
        total += share
        rows = slice(first, round(total * mine.x0.shape[1]))
        negatives.append(check_shape(name, chosen("strategy", name)(mine), mine)[:, rows])
        measured.append({key: value[:, rows] for key, value in mine.measured.items()})
        mine.measured.clear()
        first = rows.stop
    for key in set.intersection(*map(set, measured)):
        mine.measured[key] = torch.cat([part[key] for part in measured], dim=1)
    return torch.cat(negatives, dim=1)
