"""Example answers: one problem at every noise level, and the most difficult problems."""

from typing import Any

import numpy as np
from torch import Tensor

from anm.solvers.solver import Solver
from anm.tasks.frozen import TestSet, frozen_problems
from anm.tasks.inverse import OFFSETS

LARGEST_N = 32  # larger matrices would make up most of a record
REFINE_STEPS_SHOWN = (1, 2, 5, 10)  # conjugate gradient steps after which the answer is recorded
WORST_PROBLEMS = 3
ERROR_DIGITS, EXACT_DIGITS = 4, 7  # significant digits of an error and of an exact inverse


def example_answers(solver: Solver, problems: int) -> dict[str, Any]:
    """The record's `forming` and `worst`, for the first seed; empty if n > LARGEST_N.

    `forming`: the `same` problem of median condition number among the first `problems`. Its `moments` are the answer
    at the start, after every noise level, and after REFINE_STEPS_SHOWN conjugate gradient steps.
    `worst`: the WORST_PROBLEMS `harder` problems of largest condition number.
    Each matrix (n, n) is an exact inverse or the error of an answer.
    """
    if solver.params.n > LARGEST_N:
        return {}
    tests = {split: frozen_problems(solver.params.n, offset, problems) for split, offset in OFFSETS.items()}
    order = {split: np.argsort(test.condition, kind="stable").tolist() for split, test in tests.items()}
    same, harder = tests["same"], tests["harder"]
    median = order["same"][problems // 2]
    forming = describe_problem(same, "same", median) | {"moments": forming_answer(solver, same, median)}
    worst = []
    for row in order["harder"][::-1][:WORST_PROBLEMS]:
        ((_, x0),) = solver.answers(harder.A[row : row + 1], harder.start[row : row + 1])
        worst.append(describe_problem(harder, "harder", row) | {"error": rounded(x0[0, 0].cpu() - harder.X[row])})
    return {"forming": forming, "worst": worst}


def describe_problem(test: TestSet, split: str, row: int) -> dict[str, Any]:
    """A problem's split, row and condition number, and its exact inverse."""
    exact = rounded(test.X[row], EXACT_DIGITS)
    return {"split": split, "problem": row, "condition": float(test.condition[row]), "exact": exact}


def forming_answer(solver: Solver, test: TestSet, row: int) -> list[dict[str, Any]]:
    """The error at the start, after each noise level, and after REFINE_STEPS_SHOWN steps."""
    rows, X = slice(row, row + 1), test.X[row]
    moments = [{"level": None, "refine_steps": 0, "error": rounded(test.start[row] - X)}]

    def watch(level: int, descent, x0: Tensor) -> None:
        moments.append({"level": level, "refine_steps": 0, "error": rounded(x0[0, 0].cpu() - X)})

    def watch_refining(step: int, x0: Tensor) -> None:
        if step in REFINE_STEPS_SHOWN:
            moments.append({"level": 0, "refine_steps": step, "error": rounded(x0[0, 0].cpu() - X)})

    options = {"watch": watch, "refine_steps": max(REFINE_STEPS_SHOWN), "watch_refining": watch_refining}
    for _ in solver.answers(test.A[rows], test.start[rows], **options):
        pass
    return moments


def rounded(matrix: Tensor, digits: int = ERROR_DIGITS) -> list[list[float]]:
    """A matrix as lists, with so many significant digits."""
    return [[float(f"{value:.{digits - 1}e}") for value in line] for line in matrix.tolist()]
