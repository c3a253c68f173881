"""The exponential moving average (EMA) of the weights, which every score is computed with."""

from collections.abc import Iterable

import torch
from torch import Tensor

EMA_DECAY = 0.9995  # per step; the released code of arXiv 2406.11179 has 0.995 every ten steps


def decay_at(step: int) -> float:
    """The share of the average that a step keeps; small at first, to forget initial weights."""
    return min(EMA_DECAY, (1 + step) / (10 + step))


@torch.no_grad()  # with gradients, the averages would keep a graph that grows with every step
def update_average(averages: Iterable[Tensor], weights: Iterable[Tensor], new_share: Tensor) -> None:
    """average += new_share (weight - average), in place; new_share = 1 - decay, a scalar tensor."""
    for average, weight in zip(averages, weights):
        average.lerp_(weight, new_share)
