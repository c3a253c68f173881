"""Where negatives come from: a registry of strategies, one small function each, all of one signature.

A miner takes a `Mine` and gives negative answers (S, B, n, n) in the scale of x0, or None where its strategy
contrasts nothing. What is common to all stays outside: the negative is detached, clipped to the answer bound,
and noised to the level of its row with the noise of the positive beside it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from anm.energy import Landscape
from anm.landscape import Descent, descend
from anm.params import CHOICES, RunParams
from anm.schedule import Schedule
from anm.streams import Streams


@dataclass
class Mine:
    """What a miner may use, at one training step.

    A, x0: problems and answers (S, B, n, n). t: noise levels (S, B). landscape: the energy over x_t for these
    problems and levels, with the weights of now. state: tensors that the miner keeps from step to step; checkpoints carry them.
    measured: what the miner learnt on the way, per row (S, B), for the log.
    """

    A: Tensor
    x0: Tensor
    t: Tensor
    landscape: Landscape
    schedule: Schedule
    params: RunParams
    streams: Streams
    state: dict[str, Tensor]
    measured: dict[str, Tensor] = field(default_factory=dict)

    @cached_property
    def eps(self) -> Tensor:
        """The noise that the positive gets, and the negative too, (S, B, n, n); drawn when it is first asked for."""
        return self.streams.normal("contrast", *self.x0.shape[1:])

    def normal(self) -> Tensor:
        """N(0, 1) from the miner's own stream, in the shape of the answers."""
        return self.streams.normal("miner", *self.x0.shape[1:])

    def descend(self, x_t: Tensor, steps: int) -> Descent:
        """Landscape steps down the energy from x_t; the share that was kept goes into the log."""
        descent = descend(self.landscape, x_t, self.t, self.schedule, steps, self.params.answer_bound)
        if steps:
            self.measured["accepted"] = descent.accepted
        return descent


Miner = Callable[[Mine], Tensor | None]


def miner(function: Miner) -> Miner:
    """Enter a strategy into the registry under its function's name. Raises `ValueError` if the name is taken."""
    if CHOICES["strategy"].setdefault(function.__name__, function) is not function:
        raise ValueError(f"strategy {function.__name__!r} is registered already")
    return function


@miner
def none(mine: Mine) -> None:
    """No negatives: the denoising loss alone, the baseline."""
    return None


@miner
def random(mine: Mine) -> Tensor:
    """A random matrix, N(0, 1) in every entry, whatever the problem."""
    return mine.normal()


@miner
def adversarial(mine: Mine) -> Tensor:
    """A hard negative: wrong, with low energy.

    The answer noised `mining_noise_scale` times as strongly as its level says, then `mining_opt_steps` landscape
    steps down the energy. Source: arXiv 2406.11179, section 3.2, as in the code released with it, where
    the scale is 3 and the steps are 2.
    """
    start = mine.schedule.noised(mine.x0, mine.t, mine.params.mining_noise_scale * mine.eps)
    return mine.descend(start, mine.params.mining_opt_steps).x / mine.schedule.at("sqrt_alpha_bar", mine.t)


def mine_negative(strategy: Miner, mine: Mine) -> Tensor | None:
    """The strategy's negatives in the scale of x0, detached and clipped to the answer bound; None without any.

    Raises `ValueError` where a strategy gives another shape than that of the answers.
    """
    with torch.no_grad():
        negative = strategy(mine)
    if negative is None:
        return None
    if negative.shape != mine.x0.shape:
        name = getattr(strategy, "__name__", strategy)
        raise ValueError(f"strategy {name}: negatives must be {tuple(mine.x0.shape)}, not {tuple(negative.shape)}")
    return negative.clamp(-mine.params.answer_bound, mine.params.answer_bound)
