"""Generalization: refinement steps, other sizes, other spectra; the cost of an answer."""

from typing import Any

import numpy as np
import torch

from anm.energies import Energy
from anm.solvers.solver import Solver
from anm.tasks.frozen import FrozenSet, frozen_problems, other_frozen_problems
from anm.utils.rows import mean_square

REFINE_BUDGETS = (0, 1, 2, 5, 10, 20, 50, 100)  # conjugate gradient steps after the last noise level
SIZE_FACTORS, LARGEST_N = (1, 2, 4), 128  # sizes relative to the trained n, up to a size that fits in memory


def products_per_answer(model: Energy, landscape_steps: int, refine_steps: int = 0) -> int | None:
    """The n x n matrix products of an answer; None if the energy has none.

    A product has 2 n^3 operations. An energy without its gradient costs half as many products as with it. Channel
    mixing is not counted: it takes 2 C n^2 operations per channel, C being the number of channels.
    """
    if not model.any_n:
        return None
    with_gradient = model.products_to_evaluate
    energy_only = with_gradient // 2
    descent = landscape_steps * with_gradient + energy_only if landscape_steps else 0
    refinement = with_gradient + 2 * with_gradient * refine_steps if refine_steps else 0
    per_level = model.products_a_level + with_gradient + descent
    return model.products_to_encode + model.noise_levels * per_level + refinement


def refinement_errors(
    solver: Solver, frozen: FrozenSet, budgets: tuple[int, ...] = REFINE_BUDGETS, landscape_steps: int | None = None
) -> np.ndarray:
    """Squared error (budgets, S, N), float64, after each number of refinement steps.

    Each problem is solved once; its error is recorded at every budget. A solution that stops early keeps its error.
    """
    recorded: dict[int, torch.Tensor] = {}

    def watch(level: int, descent, x0: torch.Tensor) -> None:
        recorded[0] = frozen.task.error(problem, x0, answer)

    def watch_refining(step: int, x0: torch.Tensor) -> None:
        if step in budgets:
            recorded[step] = frozen.task.error(problem, x0, answer)

    options = {"watch": watch, "refine_steps": max(budgets), "watch_refining": watch_refining}
    parts, batch = [], solver.problems_at_once(frozen.start.shape[1:].numel())
    for first in range(0, len(frozen), batch):
        rows = slice(first, first + batch)
        problem, answer = frozen.batch(rows, torch.empty(solver.model.stack, device=solver.device))
        for _, x0 in solver.answers(frozen.problem[rows], frozen.start[rows], landscape_steps, batch, **options):
            final = frozen.task.error(problem, x0, answer)
            parts.append(torch.stack([recorded.get(budget, final) for budget in budgets]).cpu().numpy())
            recorded.clear()
    return np.concatenate(parts, axis=-1).astype(np.float64)


def refinement_scores(solver: Solver, problems: int, landscape_steps: int | None = None) -> list[dict[str, Any]]:
    """Per refinement budget: products, and MSE per seed on `same`, `harder` and the end of the task's ladder."""
    n, steps = solver.params.n, solver.params.landscape_steps if landscape_steps is None else landscape_steps
    task = solver.params.task_object()
    hardest = {"hardest": task.ladder[-1]} if task.ladder else {}
    mse = {
        split: refinement_errors(solver, frozen_problems(task, n, difficulty, problems), landscape_steps=steps)
        for split, difficulty in (task.splits | hardest).items()
    }
    scores = []
    for place, budget in enumerate(REFINE_BUDGETS):
        entry = {"landscape_steps": steps, "refine_steps": budget, "problems": problems}
        entry["products"] = products_per_answer(solver.model, steps, budget)
        scores.append(entry | {split: errors[place].mean(-1).tolist() for split, errors in mse.items()})
    return scores


def size_scores(solver: Solver, problems: int, refine_steps: int) -> list[dict[str, Any]]:
    """MSE per seed at SIZE_FACTORS times the trained n, with and without refinement.

    Larger matrices get fewer problems. Empty for an energy that only takes the trained n.
    """
    scores, task = [], solver.params.task_object()
    for factor in SIZE_FACTORS if solver.model.any_n else ():
        n, count = factor * solver.params.n, max(2, problems // factor**2)
        if n > max(LARGEST_N, solver.params.n):
            break
        for split, difficulty in task.splits.items():
            errors = refinement_errors(solver, frozen_problems(task, n, difficulty, count), (0, refine_steps))
            entry = {"n": n, "split": split, "problems": count, "refine_steps": refine_steps}
            entry["mse"], entry["mse_refined"] = errors.mean(-1).tolist()
            scores.append(entry)
    return scores


def spectrum_scores(solver: Solver, problems: int, refine_steps: int) -> list[dict[str, Any]]:
    """MSE per seed over the answers' mean square, on spectra absent from training."""
    scores = []
    for name, frozen in other_frozen_problems(solver.params.task_object(), solver.params.n, problems).items():
        relative = refinement_errors(solver, frozen, (0, refine_steps)) / mean_square(frozen.answer[None])[0].numpy()
        condition = None if frozen.condition is None else float(np.median(frozen.condition))
        entry = {"spectrum": name, "problems": problems, "condition": condition, "refine_steps": refine_steps}
        entry["relative"], entry["relative_refined"] = relative.mean(-1).tolist()
        scores.append(entry)
    return scores


def evaluate_generalization(solver: Solver, problems: int, refine_steps: int = 20) -> dict[str, Any]:
    """The record's `thinking`, `thinking_only`, `sizes` and `spectra`.

    `thinking`: scores after conjugate gradient steps at test time. `thinking_only`: the same without landscape steps.
    """
    return {
        "thinking": refinement_scores(solver, problems),
        "thinking_only": refinement_scores(solver, problems, landscape_steps=0),
        "sizes": size_scores(solver, problems, refine_steps),
        "spectra": spectrum_scores(solver, problems, refine_steps),
    }
