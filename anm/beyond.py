"""A solver beyond what it was trained and scored for: more thought, other sizes, other spectra; what an answer costs."""

from typing import Any

import numpy as np
import torch

from anm.energy import Energy
from anm.landscape import Solver
from anm.matrices import OFFSETS, TestSet, frozen_problems, squared_error
from anm.spectra import SPECTRA, spectrum_problems

REFINE_BUDGETS = (0, 1, 2, 5, 10, 20, 50, 100)
HARDEST = 0.02  # the ladder's last offset
TIMES, LARGEST_N = (1, 2, 4), 128  # the trained n, for energies that answer every n; up to what fits in memory


def products(model: Energy, landscape_steps: int, refine_steps: int = 0) -> int | None:
    """n x n matrix products that an answer costs; None for an energy that is not made of such products.

    An evaluation that needs no gradient costs half of one that does. Mixing channels, which costs 2 C n^2
    operations a channel instead of a product's 2 n^3, is not counted.
    """
    if not model.any_n:
        return None
    whole, half = model.products_to_evaluate, model.products_to_evaluate // 2
    level = model.products_a_level + whole + (landscape_steps * whole + half if landscape_steps else 0)
    return (
        model.products_to_encode
        + model.noise_levels * level
        + (whole + 2 * whole * refine_steps if refine_steps else 0)
    )


def thinking_errors(
    solver: Solver, test: TestSet, budgets: tuple[int, ...] = REFINE_BUDGETS, landscape_steps=None
) -> np.ndarray:
    """Squared error (budgets, S, N), float64, after up to so many refinement steps: one solution, seen on its way."""
    found: dict[int, torch.Tensor] = {}

    def watch_refining(step: int, x0: torch.Tensor) -> None:
        if step in budgets:
            found[step] = squared_error(x0, X)

    parts = []
    options = {
        "refine_steps": max(budgets),
        "watch_refining": watch_refining,
        "watch": lambda level, descent, x0: found.update({0: squared_error(x0, X)}),
    }
    batch = solver.problems_at_once(test.A.shape[-1])
    for first in range(0, len(test), batch):
        rows, X = slice(first, first + batch), test.X[first : first + batch].to(solver.device)
        for _, x0 in solver.answers(test.A[rows], test.start[rows], landscape_steps, batch, **options):
            last = squared_error(x0, X)  # what stopped earlier stays as it is
            parts.append(torch.stack([found.get(budget, last) for budget in budgets]).cpu().numpy())
            found.clear()
    return np.concatenate(parts, axis=-1).astype(np.float64)


def means(errors: np.ndarray) -> list[list[float]]:
    """MSE (budgets, S)."""
    return errors.mean(axis=-1).tolist()


def thinking(solver: Solver, problems: int, landscape_steps: int | None = None) -> list[dict[str, Any]]:
    """MSE per seed on `same`, `harder` and c = 0.02 after each budget of refinement steps, and the products it costs."""
    n, steps = solver.params.n, solver.params.landscape_steps if landscape_steps is None else landscape_steps
    splits = OFFSETS | {"hardest": HARDEST}
    tables = {
        name: means(thinking_errors(solver, frozen_problems(n, c, problems), landscape_steps=steps))
        for name, c in splits.items()
    }
    return [
        {
            "landscape_steps": steps,
            "refine_steps": budget,
            "problems": problems,
            "products": products(solver.model, steps, budget),
        }
        | {name: table[place] for name, table in tables.items()}
        for place, budget in enumerate(REFINE_BUDGETS)
    ]


def sizes(solver: Solver, problems: int, refine_steps: int) -> list[dict[str, Any]]:
    """MSE per seed at other n than trained, with and without thinking longer; nothing for an energy of fixed n."""
    rungs = []
    for times in TIMES if solver.model.any_n else ():
        n, count = times * solver.params.n, max(2, problems // times**2)
        if n > max(LARGEST_N, solver.params.n):
            break
        for name, c in OFFSETS.items():
            standard, longer = means(thinking_errors(solver, frozen_problems(n, c, count), (0, refine_steps)))
            rungs.append(
                {
                    "n": n,
                    "split": name,
                    "problems": count,
                    "refine_steps": refine_steps,
                    "mse": standard,
                    "mse_refined": longer,
                }
            )
    return rungs


def spectra(solver: Solver, problems: int, refine_steps: int) -> list[dict[str, Any]]:
    """Squared error per seed, in units of the mean square of the answers' entries, on spectra never seen in training."""
    rungs = []
    for name in SPECTRA:
        test = spectrum_problems(name, solver.params.n, problems)
        standard, longer = thinking_errors(solver, test, (0, refine_steps)) / test.X.square().mean((1, 2)).numpy()
        rungs.append(
            {
                "spectrum": name,
                "problems": problems,
                "condition": float(np.median(test.condition)),
                "refine_steps": refine_steps,
            }
        )
        rungs[-1] |= {"relative": standard.mean(axis=1).tolist(), "relative_refined": longer.mean(axis=1).tolist()}
    return rungs


def evaluate_beyond(solver: Solver, problems: int, refine_steps: int = 20) -> dict[str, Any]:
    """What a record's `results` hold beside the scores: `thinking`, `thinking_only`, `sizes`, `spectra`.

    `thinking_only` is thinking without landscape steps before it. Spectra need n <= 61.
    """
    return {
        "thinking": thinking(solver, problems),
        "thinking_only": thinking(solver, problems, landscape_steps=0),
        "sizes": sizes(solver, problems, refine_steps),
        "spectra": spectra(solver, problems, refine_steps) if solver.params.n <= 61 else [],
    }
