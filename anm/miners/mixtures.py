"""Negatives of several strategies in one batch."""

from functools import partial

import torch
from torch import Tensor

from anm.miners.context import MiningContext, check_negative
from anm.params import ParamError
from anm.registry import miner, resolve


@miner
def mixture(context: MiningContext) -> Tensor:
    """A share of every batch from each strategy in `mixture`, such as "adversarial:0.5,random:0.5".

    The first rows come from the first strategy, and so on; problems are new at every step, so the order of rows has
    no meaning. Each strategy mines the whole batch, of which its rows are taken: the compute is the sum over the
    strategies. The log has the values that all strategies measure. Raises `ParamError` if one replaces the problems.
    """
    negatives, measured, observers, problem, first, total = [], [], [], context.problem, 0, 0.0
    for name, share in context.params.mixture_shares.items():
        total += share
        rows = slice(first, round(total * context.x0.shape[1]))
        negatives.append(check_negative(name, resolve("strategy", name)(context), context)[:, rows])
        measured.append({key: value[:, rows] for key, value in context.measured.items()})
        if context.problem is not problem:
            reason = f"{name} contrasts problems of its own, and the others those of the batch; leave it out"
            raise ParamError(f"mixture = {context.params.mixture!r}: {reason}")
        observers += [partial(observe_rows, observe, rows) for observe in context.observers]
        context.observers.clear()
        context.measured.clear()
        first = rows.stop
    for key in set.intersection(*map(set, measured)):
        context.measured[key] = torch.cat([part[key] for part in measured], dim=1)
    context.observers.extend(observers)
    return torch.cat(negatives, dim=1)


def observe_rows(observe, rows: slice, values: dict[str, Tensor]) -> None:
    """Give an observer the rows of its own strategy alone."""
    observe({name: value[:, rows] for name, value in values.items()})
