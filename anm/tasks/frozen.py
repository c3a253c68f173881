"""Frozen problems: drawn once, the same for every strategy, seed, device and batch size."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from anm.tasks.base import Task

BLOCK = 1000  # problems are drawn in blocks, each from its own seed, so that a smaller set begins a larger one
TEST_STREAM, FIT_STREAM = 20240610, 20240611


def test_stream(test_set: int) -> int:
    """The stream of a test set by its number, 0 or more; no two sets, nor the fitting set, share a problem."""
    return FIT_STREAM + test_set if test_set else TEST_STREAM


@dataclass(frozen=True)
class FrozenSet:
    """Frozen problems of one difficulty.

    problem (N, *problem shape). answer (N, *answer shape), computed in float64. start: the sampler's noise x_T,
    N(0, 1), (N, *answer shape). All three are float32 on the CPU. condition: how ill-conditioned each problem is,
    float64, (N,); None where the task has no such number.
    """

    task: Task
    difficulty: float
    problem: Tensor
    answer: Tensor
    start: Tensor
    condition: np.ndarray | None

    def __len__(self) -> int:
        return len(self.problem)

    def batch(self, rows: slice, like: Tensor) -> tuple[Tensor, Tensor]:
        """Problems and answers of these rows, each (S, rows, *shape), on the device of `like` (S, ...)."""
        parts = (part[rows].to(like.device) for part in (self.problem, self.answer))
        return tuple(part.expand(len(like), *part.shape) for part in parts)


def frozen_block(task: Task, n: int, difficulty: float, block: int, stream: int, count: int) -> FrozenSet:
    """The first `count` problems of one block."""
    random = np.random.Generator(np.random.Philox([stream, n * 10**6 + block, *task.frozen_key]))
    # The whole block is drawn, so that the draws of `start` do not depend on `count`.
    problem, answer = task.draw_frozen(random, BLOCK, count, n, difficulty)
    start = random.standard_normal((BLOCK, *answer.shape[1:]), dtype=np.float32)[:count].copy()
    condition = task.condition(problem.numpy().astype(np.float64))
    return FrozenSet(task, difficulty, problem, answer, torch.from_numpy(start), condition)


@lru_cache(maxsize=8)
def frozen_problems(task: Task, n: int, difficulty: float, problems: int, stream: int = TEST_STREAM) -> FrozenSet:
    """The first `problems` frozen problems of a task at size n and this difficulty.

    The random numbers are the same at every difficulty. FIT_STREAM gives problems that no test set contains;
    baselines are fitted on them.
    """
    blocks = [
        frozen_block(task, n, difficulty, block, stream, min(BLOCK, problems - block * BLOCK))
        for block in range(-(-problems // BLOCK))
    ]
    joined = [torch.cat([getattr(block, part) for block in blocks]) for part in ("problem", "answer", "start")]
    conditions = [block.condition for block in blocks]
    condition = None if conditions[0] is None else np.concatenate(conditions)
    return FrozenSet(task, difficulty, *joined, condition)


def other_frozen_problems(task: Task, n: int, problems: int) -> dict[str, FrozenSet]:
    """The task's further problems, of kinds that training never draws; their difficulty is NaN, they have none."""
    return {
        name: FrozenSet(task, float("nan"), problem, answer, start, task.condition(problem.numpy().astype(np.float64)))
        for name, (problem, answer, start) in task.other_problems(n, problems).items()
    }
