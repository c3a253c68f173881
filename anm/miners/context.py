"""The input of every strategy, and the call that makes negatives with it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from anm.energies import Energy, Landscape
from anm.energies.schedule import Schedule
from anm.params import RunParams
from anm.solvers.descent import descend
from anm.tasks.base import Task
from anm.utils.random_streams import RandomStreams


@dataclass
class MiningContext:
    """The input of a strategy at one training step.

    task: what is to be solved. problem (S, B, *problem shape), x0: its answers (S, B, *shape). t: noise levels (S, B).
    landscape: the energy as a function of x_t, for these problems and levels, with the current weights.
    state: tensors that a strategy keeps between steps; checkpoints save them.
    measured: values per row (S, B) for the log, under names in `anm.training.metrics.ROW_METRICS`.
    denoised: x_t and eps_hat, each (S, B, *shape), of this step's denoising loss, for which no evaluation is needed.
    model, encoded: the energy with the current weights, and these problems as it encodes them, or None.
    answer_energy: the energy of the answers (S, B), where the denoising loss has evaluated it for the contrast.
    observers: functions that get the rows of the contrastive loss after it, so that a strategy can adapt to it.
    """

    task: Task
    problem: Tensor
    x0: Tensor
    t: Tensor
    landscape: Landscape
    schedule: Schedule
    params: RunParams
    streams: RandomStreams
    state: dict[str, Tensor]
    measured: dict[str, Tensor] = field(default_factory=dict)
    denoised: tuple[Tensor, Tensor] | None = None
    model: Energy | None = None
    encoded: Any = None
    answer_energy: Tensor | None = None
    observers: list[Callable[[dict[str, Tensor]], None]] = field(default_factory=list)

    @cached_property
    def eps(self) -> Tensor:
        """The noise of the contrastive loss, the same for positive and negative, (S, B, *shape); drawn at first use."""
        return self.streams.normal("contrast", *self.x0.shape[1:])

    def normal(self) -> Tensor:
        """N(0, 1) from the miner's own stream, (S, B, *shape)."""
        return self.streams.normal("miner", *self.x0.shape[1:])

    def start(self) -> Tensor:
        """The answer with `mining_noise_scale` times the noise of its level, x_t (S, B, *shape)."""
        return self.schedule.noised(self.x0, self.t, self.params.mining_noise_scale * self.eps)

    def answer(self, x_t: Tensor) -> Tensor:
        """x_t (S, B, *shape) in the scale of the answers: x_t / sqrt(alpha_bar_t); its noise remains."""
        return x_t / self.schedule.at("sqrt_alpha_bar", self.t, x_t)

    def noised(self, x0: Tensor) -> Tensor:
        """x_t (S, B, *shape) at which the contrastive loss takes the energy of x0.

        Its noise is `eps`; with `contrast_noise` = "none" it has no noise, as in the sampler.
        """
        if self.params.contrast_noise == "none":
            return self.schedule.at("sqrt_alpha_bar", self.t, x0) * x0
        return self.schedule.noised(x0, self.t, self.eps)

    def energy(self, x0: Tensor) -> Tensor:
        """The energy (S, B) of x0 (S, B, *shape) in the contrastive loss, with its noise."""
        return self.landscape(self.noised(x0), gradient=False)[0]

    def landscape_at(self, t: Tensor) -> Landscape:
        """The energy of these problems as a function of x_t, at other noise levels t (S, B)."""
        encoded = self.model.encode(self.problem) if self.encoded is None else self.encoded
        return self.model.landscape(encoded, t)

    def replace_problems(self, problem: Tensor, x0: Tensor) -> None:
        """Contrast other problems, with answers x0, at the noise levels of the batch."""
        with torch.enable_grad():  # a strategy runs without gradients, and the contrastive loss needs them
            self.encoded = self.model.encode(problem)
            self.landscape = self.model.landscape(self.encoded, self.t)
        self.problem, self.x0, self.answer_energy = problem, x0, None

    def wrong(self, x0: Tensor) -> Tensor:
        """The rows (S, B) of x0 that are wrong: the task's violation is at least `false_negative_residual`.

        All of them where nobody can tell, and with `false_negative_residual` = 0.
        """
        smallest = self.params.false_negative_residual
        if not smallest or not self.task.verifiable:
            return torch.ones_like(self.t, dtype=torch.bool)
        return ~(self.task.violation(self.problem, x0) < smallest)  # True for NaN, so that an error is not hidden

    def descend(self, x_t: Tensor, landscape: Landscape | None = None, steps: int | None = None) -> Tensor:
        """x_t after `steps` landscape steps (default: `mining_opt_steps`) down the energy, or another `landscape`.

        The log shows the share of accepted steps.
        """
        steps = self.params.mining_opt_steps if steps is None else steps
        descent = descend(landscape or self.landscape, x_t, self.t, self.schedule, steps, self.params.answer_bound)
        if steps:
            self.measured["accepted"] = descent.accepted
        return descent.x


Miner = Callable[[MiningContext], Tensor | None]


def mine_negative(strategy: Miner, context: MiningContext) -> Tensor | None:
    """The strategy's negatives (S, B, *shape) in the scale of x0, detached and clipped to the answer bound.

    None if the strategy has no negatives. Raises `ValueError` if their shape or type is not that of the answers.
    """
    with torch.no_grad():
        negative = strategy(context)
    if negative is None:
        return None
    negative = check_negative(getattr(strategy, "__name__", strategy), negative, context)
    return negative.detach().clamp(-context.params.answer_bound, context.params.answer_bound)


def check_negative(name: str, negative: Tensor | None, context: MiningContext) -> Tensor:
    """The negatives. Raises `ValueError` naming the strategy if their shape or type is not that of the answers."""
    expected, found = shape_and_type(context.x0), shape_and_type(negative)
    if found != expected:
        raise ValueError(f"strategy {name}: negatives must be {expected}, not {found}")
    return negative


def shape_and_type(value) -> str:
    """Shape and type of a tensor as text; the type's name of any other value."""
    if isinstance(value, Tensor):
        return f"{tuple(value.shape)} of {str(value.dtype).removeprefix('torch.')}"
    return type(value).__name__
