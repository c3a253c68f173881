"""Compute of a training step, counted in FLOPs, and the steps that a budget allows."""

import math
from functools import lru_cache
from typing import NamedTuple

from torch.utils.flop_counter import FlopCounterMode

from anm.params import RunParams
from anm.training.state import TrainingState
from anm.training.step import training_step


class TrainingCompute(NamedTuple):
    """FLOPs of a step per seed, those of a step of `none` at the same settings, and the steps of the training.

    points: the steps at which the run is scored; the last one is `steps`.
    """

    step_flops: int
    baseline_flops: int
    steps: int
    points: tuple[int, ...]


def training_compute(params: RunParams) -> TrainingCompute:
    """The compute of a run, and its length: `train_steps`, or what `budget_steps` steps of `none` allow.

    Two strategies with the same budget differ in counted compute by less than one step.
    Raises `ParamError` if the energy or the strategy cannot take a step.
    """
    own, baseline = step_flops(params), step_flops(RunParams(**params.resolved() | {"strategy": "none"}))
    steps = params.train_steps
    if params.budget_steps:
        steps = max(1, params.budget_steps * baseline // own)
    points = tuple(max(1, math.floor(share * steps)) for share in params.fractions)
    return TrainingCompute(own, baseline, steps, points)


def step_flops(params: RunParams) -> int:
    """FLOPs of one training step of one seed: forward, backward and mining, matrix products only.

    Counted on a real step on the CPU. Elementwise work is not counted; it is a small part of a step.
    """
    same = {"device": "cpu", "compile": "no", "precision": "float32", "seeds": "0"}
    rest = {name: field.default for name, field in RunParams.model_fields.items() if name in NOT_IN_STEP}
    return _count(RunParams(**params.resolved() | rest | same))


# Settings that do not change the compute of a step
NOT_IN_STEP = (
    "train_steps budget_steps budget_points schedule learning_rate landscape_steps test_problems test_set "
    "checkpoint_dir resume contrastive_weight contrastive_warmup"
).split()


@lru_cache(maxsize=64)
def _count(params: RunParams) -> int:
    state = TrainingState(params)
    training_step(state)  # a strategy may prepare its state at its first step
    with FlopCounterMode(display=False) as counter:
        training_step(state)
    return counter.get_total_flops()
