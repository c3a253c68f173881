"""Generalization: refinement steps, other sizes, other spectra; the cost of an answer."""

from typing import Any

import numpy as np
import torch

from anm.energies import Energy
from anm.evaluation.spectra import LARGEST_SPECTRUM_N, SPECTRA, spectrum_problems
from anm.solvers.solver import Solver
from anm.tasks.frozen import TestSet, frozen_problems
from anm.tasks.inverse import LADDER, OFFSETS, squared_error

REFINE_BUDGETS = (0, 1, 2, 5, 10, 20, 50, 100)  # conjugate gradient steps after the last noise level
HARDEST = LADDER[-1]  # offset c of the split `hardest`
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
    solver: Solver, test: TestSet, budgets: tuple[int, ...] = REFINE_BUDGETS, landscape_steps: int | None = None
) -> np.ndarray:
    """Squared error (budgets, S, N), float64, after each number of refinement steps.

    Each problem is solved once; its error is recorded at every budget. A solution that stops early keeps its error.
    """
    recorded: dict[int, torch.Tensor] = {}

    def watch(level: int, descent, x0: torch.Tensor) -> None:
        recorded[0] = squared_error(x0, X)

    def watch_refining(step: int, x0: torch.Tensor) -> None:
        if step in budgets:
            recorded[step] = squared_error(x0, X)

    options = {"watch": watch, "refine_steps": max(budgets), "watch_refining": watch_refining}
    parts, batch = [], solver.problems_at_once(test.A.shape[-1])
    for first in range(0, len(test), batch):
        rows, X = slice(first, first + batch), test.X[first : first + batch].to(solver.device)
        for _, x0 in solver.answers(test.A[rows], test.start[rows], landscape_steps, batch, **options):
            final = squared_error(x0, X)
            parts.append(torch.stack([recorded.get(budget, final) for budget in budgets]).cpu().numpy())
            recorded.clear()
    return np.concatenate(parts, axis=-1).astype(np.float64)


def refinement_scores(solver: Solver, problems: int, landscape_steps: int | None = None) -> list[dict[str, Any]]:
    """MSE per seed on `same`, `harder` and `hardest`, and products, per refinement budget."""
    n, steps = solver.params.n, solver.params.landscape_steps if landscape_steps is None else landscape_steps
    mse = {
        split: refinement_errors(solver, frozen_problems(n, offset, problems), landscape_steps=steps).mean(-1).tolist()
        for split, offset in (OFFSETS | {"hardest": HARDEST}).items()
    }
    scores = []
    for place, budget in enumerate(REFINE_BUDGETS):
        entry = {"landscape_steps": steps, "refine_steps": budget, "problems": problems}
        entry["products"] = products_per_answer(solver.model, steps, budget)
        scores.append(entry | {split: by_budget[place] for split, by_budget in mse.items()})
    return scores


def size_scores(solver: Solver, problems: int, refine_steps: int) -> list[dict[str, Any]]:
    """MSE per seed at SIZE_FACTORS times the trained n, with and without refinement.

    Larger matrices get fewer problems. Empty for an energy that only takes the trained n.
    """
    scores = []
    for factor in SIZE_FACTORS if solver.model.any_n else ():
        n, count = factor * solver.params.n, max(2, problems // factor**2)
        if n > max(LARGEST_N, solver.params.n):
            break
        for split, offset in OFFSETS.items():
            errors = refinement_errors(solver, frozen_problems(n, offset, count), (0, refine_steps))
            entry = {"n": n, "split": split, "problems": count, "refine_steps": refine_steps}
            entry["mse"], entry["mse_refined"] = errors.mean(-1).tolist()
            scores.append(entry)
    return scores


def spectrum_scores(solver: Solver, problems: int, refine_steps: int) -> list[dict[str, Any]]:
    """MSE per seed over the answers' mean square, on spectra absent from training."""
    scores = []
    for name in SPECTRA:
        test = spectrum_problems(name, solver.params.n, problems)
        relative = refinement_errors(solver, test, (0, refine_steps)) / test.X.square().mean((1, 2)).numpy()
        condition = float(np.median(test.condition))
        entry = {"spectrum": name, "problems": problems, "condition": condition, "refine_steps": refine_steps}
        entry["relative"], entry["relative_refined"] = relative.mean(-1).tolist()
        scores.append(entry)
    return scores


def evaluate_generalization(solver: Solver, problems: int, refine_steps: int = 20) -> dict[str, Any]:
    """The record's `thinking`, `thinking_only`, `sizes` and `spectra`.

    `thinking`: scores after conjugate gradient steps at test time. `thinking_only`: the same without landscape steps.
    """
    has_spectra = solver.params.n <= LARGEST_SPECTRUM_N
    return {
        "thinking": refinement_scores(solver, problems),
        "thinking_only": refinement_scores(solver, problems, landscape_steps=0),
        "sizes": size_scores(solver, problems, refine_steps),
        "spectra": spectrum_scores(solver, problems, refine_steps) if has_spectra else [],
    }
