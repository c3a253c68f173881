"""What the tests of all tasks share: many draws, and their moments against closed forms."""

import numpy as np
import torch

from anm.tasks import frozen_problems
from anm.utils.random_streams import StreamDraws

CPU = torch.device("cpu")


def draw_many(task, n: int, difficulty: float, batch: int = 4000, seeds=(0, 1)):
    """Problems and answers of a large batch, as in training."""
    from anm.utils.random_streams import RandomStreams

    return task.draw(StreamDraws(RandomStreams(seeds, CPU), "problems"), batch, n, difficulty)


def check_draws(x: torch.Tensor, mean: float, variance: float):
    """Entries (S, B, ...) have these moments, and neighbours in row and in batch are uncorrelated, at 5 sigma."""
    x = x.double()
    check_mean(x, mean)
    centred = x - mean
    check_mean(centred.square(), variance)
    check_mean(centred[:, :-1] * centred[:, 1:], 0)
    flat = centred.flatten(2)
    check_mean(flat[..., :-1] * flat[..., 1:], 0)


def check_mean(x: torch.Tensor, mean: float):
    """The mean of x (S, B, ...) is `mean` within five standard errors over rows."""
    rows = x.double().flatten(0, 1).flatten(1).mean(-1).numpy() if x.ndim > 2 else x.double().flatten().numpy()
    assert abs(rows.mean() - mean) < 5 * rows.std(ddof=1) / np.sqrt(len(rows)) + 1e-12, (rows.mean(), mean)


def check_frozen(task, n: int):
    """A smaller frozen set begins a larger one, in float32 on the CPU; splits and streams differ."""
    difficulty = task.splits["same"]
    small, large = frozen_problems(task, n, difficulty, 7), frozen_problems(task, n, difficulty, 1003)
    problem_shape, answer_shape = task.shapes(n)
    assert large.problem.shape == (1003, *problem_shape) and large.answer.shape == large.start.shape == (
        1003,
        *answer_shape,
    )
    for part in ("problem", "answer", "start"):
        one, other = getattr(small, part), getattr(large, part)
        assert one.dtype == torch.float32 and torch.equal(one, other[:7])
    from anm.tasks.frozen import FIT_STREAM

    assert not torch.equal(small.problem, frozen_problems(task, n, difficulty, 7, FIT_STREAM).problem)
    assert not torch.equal(small.answer, frozen_problems(task, n, task.splits["harder"], 7).answer)
