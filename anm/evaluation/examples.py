"""Example answers: one problem at every noise level, and the most difficult problems."""

from typing import Any

import numpy as np
from torch import Tensor

from anm.solvers.solver import Solver
from anm.tasks import FrozenSet, frozen_problems

LARGEST_N = 32  # larger matrices would make up most of a record
REFINE_STEPS_SHOWN = (1, 2, 5, 10)  # conjugate gradient steps after which the answer is recorded
WORST_PROBLEMS = 3
ERROR_DIGITS, EXACT_DIGITS = 4, 7  # significant digits of an error and of an exact inverse


def example_answers(solver: Solver, problems: int) -> dict[str, Any]:
    """The record's `forming` and `worst`, for the first seed; empty if n > LARGEST_N or answers are not n x n.

    `forming`: the `same` problem of median condition number among the first `problems`, or the one in the middle. Its
    `moments` are the answer at the start, after every noise level, and after REFINE_STEPS_SHOWN conjugate gradient
    steps. `worst`: the WORST_PROBLEMS `harder` problems of largest condition number, where the task has that number.
    Each matrix (n, n) is a right answer or the error of an answer.
    """
    task, n = solver.params.task_object(), solver.params.n
    if n > LARGEST_N or task.shapes(n)[1] != (n, n):
        return {}
    same, harder = (frozen_problems(task, n, task.splits[split], problems) for split in ("same", "harder"))
    middle, order = problems // 2, []
    if same.condition is not None:
        middle = int(np.argsort(same.condition, kind="stable")[middle])
        order = np.argsort(harder.condition, kind="stable").tolist()[::-1]
    forming = describe_problem(same, "same", middle) | {"moments": forming_answer(solver, same, middle)}
    worst = []
    for row in order[:WORST_PROBLEMS]:
        ((_, x0),) = solver.answers(harder.problem[row : row + 1], harder.start[row : row + 1])
        error = rounded(x0[0, 0].cpu() - harder.answer[row])
        worst.append(describe_problem(harder, "harder", row) | {"error": error})
    return {"forming": forming, "worst": worst}


def describe_problem(frozen: FrozenSet, split: str, row: int) -> dict[str, Any]:
    """A problem's split, row and condition number (null where the task has none), and its right answer."""
    condition = None if frozen.condition is None else float(frozen.condition[row])
    return {"split": split, "problem": row, "condition": condition, "exact": rounded(frozen.answer[row], EXACT_DIGITS)}


def forming_answer(solver: Solver, frozen: FrozenSet, row: int) -> list[dict[str, Any]]:
    """The error at the start, after each noise level, and after REFINE_STEPS_SHOWN steps."""
    rows, X = slice(row, row + 1), frozen.answer[row]
    moments = [{"level": None, "refine_steps": 0, "error": rounded(frozen.start[row] - X)}]

    def watch(level: int, descent, x0: Tensor) -> None:
        moments.append({"level": level, "refine_steps": 0, "error": rounded(x0[0, 0].cpu() - X)})

    def watch_refining(step: int, x0: Tensor) -> None:
        if step in REFINE_STEPS_SHOWN:
            moments.append({"level": 0, "refine_steps": step, "error": rounded(x0[0, 0].cpu() - X)})

    options = {"watch": watch, "refine_steps": max(REFINE_STEPS_SHOWN), "watch_refining": watch_refining}
    for _ in solver.answers(frozen.problem[rows], frozen.start[rows], **options):
        pass
    return moments


def rounded(matrix: Tensor, digits: int = ERROR_DIGITS) -> list[list[float]]:
    """A matrix as lists, with so many significant digits."""
    return [[float(f"{value:.{digits - 1}e}") for value in line] for line in matrix.tolist()]
