"""Scores at each budget point of a run, with errors per problem and after one fitted scalar."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from anm.solvers.errors import ProblemErrors, solve_errors
from anm.solvers.solver import Solver
from anm.tasks.frozen import FIT_STREAM, FrozenSet, frozen_problems
from anm.training.compute import training_compute

FIT_PROBLEMS = 200  # of the frozen fitting set, on which the scalar of each seed is fitted
HARDER_FROM = 0.5  # share of the training; a baseline with twice the budget has the budget there
SCALES = torch.logspace(-1, 1, 81, base=2)  # candidates for that scalar: from 1/2 to 2


def point_scores(solver: Solver, sets: Mapping[str, FrozenSet], final: Mapping[str, ProblemErrors], scale: Tensor):
    """The record's `budgets`: an entry for each budget point with weights, in order; the last is the training's end.

    sets: the frozen test set of each split. final, scale (S,): the errors of the final weights, and their scalars.
    Points before `HARDER_FROM` of the training are scored on `same` alone, which takes half of the time.
    """
    compute = training_compute(solver.params)
    entries = []
    for share, steps in zip(solver.params.fractions, compute.points):
        if steps < compute.steps and steps not in solver.annealed:  # as in best.pt
            continue
        entry: dict[str, Any] = {"share": share, "steps": steps, "flops": steps * compute.step_flops}
        entry["problems"] = len(sets["same"])
        if steps in solver.annealed:
            with annealed_weights(solver, steps):
                scales = fitted_scale(solver)
                splits = sets if share >= HARDER_FROM else ("same",)
                scores = {split: solve_errors(solver, sets[split], scale=scales) for split in splits}
        else:
            scales, scores = scale, final
        entries.append(entry | {split: entry_of(errors, scales) for split, errors in scores.items()})
    return entries


def entry_of(errors: ProblemErrors, scale: Tensor) -> dict[str, Any]:
    """One split of a budget point: means per seed, before and after the scalar, and the error of every problem."""
    means = {"mse": errors.error.mean(1).tolist(), "scaled": errors.scaled.mean(1).tolist()}
    return means | {"scale": scale.tolist(), "errors": errors.error}


@contextmanager
def annealed_weights(solver: Solver, steps: int) -> Iterator[None]:
    """The solver has the averaged weights of a training of `steps` steps inside the block."""
    final = {name: value.clone() for name, value in solver.model.state_dict().items()}
    solver.model.load_state_dict(solver.annealed[steps])
    try:
        yield
    finally:
        solver.model.load_state_dict(final)


def fitted_scale(solver: Solver) -> Tensor:
    """The scalar (S,) that lowers the mean error of scalar x0 most on the frozen fitting set, for each seed.

    Answers that are too small or too large by a factor get a scalar other than 1. A parabola through the best of
    `SCALES` and its neighbours refines it; outside their range it stays at the limit.
    """
    params = solver.params
    task = params.task_object()
    frozen = frozen_problems(task, params.n, task.splits["same"], FIT_PROBLEMS, FIT_STREAM)
    sums = 0.0
    for rows, x0 in solver.answers(frozen.problem, frozen.start):
        problem, answer = frozen.batch(rows, x0)
        sums = sums + torch.stack([task.error(problem, float(s) * x0, answer).sum(1) for s in SCALES]).cpu()
    return best_scale(sums.numpy().astype(np.float64))


def best_scale(errors: np.ndarray) -> Tensor:
    """The minimum over `SCALES` of errors (len(SCALES), S), by a parabola in the logarithm of the scalar; (S,)."""
    best = np.nan_to_num(errors, nan=np.inf).argmin(0)
    inside = np.clip(best, 1, len(SCALES) - 2)
    below, at, above = (errors[inside + shift, np.arange(errors.shape[1])] for shift in (-1, 0, 1))
    curvature = below - 2 * at + above
    with np.errstate(divide="ignore", invalid="ignore"):
        shift = np.where(curvature > 0, 0.5 * (below - above) / curvature, 0.0)
    place = np.where(best == inside, inside + np.clip(shift, -1, 1), best)
    step = np.log(float(SCALES[1] / SCALES[0]))
    return torch.from_numpy(np.exp(np.log(float(SCALES[0])) + step * place).astype(np.float32))
