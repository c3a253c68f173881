"""Negatives of several strategies in one batch."""

import torch
from torch import Tensor

from anm.miners.context import MiningContext, check_negative
from anm.registry import miner, resolve


@miner
def mixture(context: MiningContext) -> Tensor:
    """A share of every batch from each strategy in `mixture`, such as "adversarial:0.5,random:0.5".

    The first rows come from the first strategy, and so on; problems are new at every step, so the order of rows has
    no meaning. Each strategy mines the whole batch, of which its rows are taken: the compute is the sum over the
    strategies. The log has the values that all strategies measure.
    """
    negatives, measured, first, total = [], [], 0, 0.0
    for name, share in context.params.mixture_shares.items():
        total += share
        rows = slice(first, round(total * context.x0.shape[1]))
        negatives.append(check_negative(name, resolve("strategy", name)(context), context)[:, rows])
        measured.append({key: value[:, rows] for key, value in context.measured.items()})
        context.measured.clear()
        first = rows.stop
    for key in set.intersection(*map(set, measured)):
        context.measured[key] = torch.cat([part[key] for part in measured], dim=1)
    return torch.cat(negatives, dim=1)
