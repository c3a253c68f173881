"""What all strategies share: the signature, the registry, and what a miner may use.

A miner takes a `Mine` and gives negative answers (S, B, n, n) in the scale of x0, or None where its strategy
contrasts nothing. What is common to all stays outside: the negative is detached, clipped to the answer bound,
and noised to the level of its row with the noise of the positive beside it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property, partial

import torch
from torch import Tensor

from anm.energy import Landscape
from anm.landscape import descend
from anm.matrices import residual
from anm.params import CHOICES, RunParams
from anm.schedule import Schedule
from anm.streams import Streams


@dataclass
class Mine:
    """What a miner may use, at one training step.

    A, x0: problems and answers (S, B, n, n). t: noise levels (S, B). landscape: the energy over x_t for these
    problems and levels, with the weights of now. state: tensors that the miner keeps from step to step; checkpoints carry them.
    measured: what the miner learnt on the way, per row (S, B); the log shows what goes by a name in `anm.curves.ROWS`.
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

    def start(self) -> Tensor:
        """The answer noised `mining_noise_scale` times as strongly as its level says, x_t (S, B, n, n)."""
        return self.schedule.noised(self.x0, self.t, self.params.mining_noise_scale * self.eps)

    def answer(self, x_t: Tensor) -> Tensor:
        """x_t (S, B, n, n) in the scale of the answers, whatever noise is in it."""
        return x_t / self.schedule.at("sqrt_alpha_bar", self.t)

    def energy(self, x0: Tensor) -> Tensor:
        """The energy (S, B) that the contrastive loss will see for x0 (S, B, n, n): with the noise of the positive."""
        return self.landscape(self.schedule.noised(x0, self.t, self.eps), gradient=False)[0]

    def wrong(self, x0: Tensor) -> Tensor:
        """Which rows (S, B) of x0 are wrong answers: those whose residual is not below `false_negative_residual`."""
        return ~(residual(self.A, x0) < self.params.false_negative_residual)

    def descend(self, x_t: Tensor, landscape: Landscape | None = None) -> Tensor:
        """x_t after `mining_opt_steps` landscape steps down the energy, or another `landscape`; the share kept goes into the log."""
        steps = self.params.mining_opt_steps
        descent = descend(landscape or self.landscape, x_t, self.t, self.schedule, steps, self.params.answer_bound)
        if steps:
            self.measured["accepted"] = descent.accepted
        return descent.x


Miner = Callable[[Mine], Tensor | None]
# Settings that shape every negative there is, and those that only some strategies use.
COMMON = frozenset({"contrastive_weight", "contrastive_warmup", "mining_levels", "false_negative_residual"})
OWN = frozenset(
    {
        "mining_opt_steps",
        "mining_noise_scale",
        "candidates",
        "ball_radius",
        "langevin_noise",
        "replay_size",
        "replay_fresh",
        "mixture",
    }
)


def miner(function: Miner | None = None, *, uses: Iterable[str] | None = None):
    """Enter a strategy into the registry under its function's name: `@miner`, or `@miner(uses={"candidates"})`.

    `uses` names the settings among `OWN` that it depends on, so that the others may differ between runs that are
    compared; without it, it counts as using them all. Raises `ValueError` if the name is taken.
    """
    if function is None:
        return partial(miner, uses=uses)
    known = CHOICES["strategy"].setdefault(function.__name__, function)
    if known is not function:
        raise ValueError(f"strategy {function.__name__!r} is registered already")
    if uses is not None or not hasattr(function, "uses"):  # to enter it once more takes nothing back
        function.uses = OWN if uses is None else frozenset(uses)
    return function


def unused(strategy: str) -> frozenset[str]:
    """The settings that a strategy does not depend on; none for one that is not in the registry."""
    if strategy == "none":
        return OWN | COMMON
    return OWN - getattr(CHOICES["strategy"].get(strategy), "uses", OWN)


def mine_negative(strategy: Miner, mine: Mine) -> Tensor | None:
    """The strategy's negatives in the scale of x0, detached and clipped to the answer bound; None without any.

    Raises `ValueError` where a strategy gives another shape or type than that of the answers.
    """
    with torch.no_grad():
        negative = strategy(mine)
    if negative is None:
        return None
    negative = check_shape(getattr(strategy, "__name__", strategy), negative, mine)
    return negative.detach().clamp(-mine.params.answer_bound, mine.params.answer_bound)


def check_shape(name: str, negative: Tensor | None, mine: Mine) -> Tensor:
    """The negatives, if they are a tensor of the answers' shape and type; else a `ValueError` that names the strategy."""
    wanted, found = kind_of(mine.x0), kind_of(negative)
    if found != wanted:
        raise ValueError(f"strategy {name}: negatives must be {wanted}, not {found}")
    return negative


def kind_of(value) -> str:
    """What a value is, in words: shape and type of a tensor."""
    if isinstance(value, Tensor):
        return f"{tuple(value.shape)} of {str(value.dtype).removeprefix('torch.')}"
    return type(value).__name__
