"""A few answers kept whole in the record, for readers to look at: one as it forms, and those to the worst problems."""

from typing import Any

import numpy as np
from torch import Tensor

from anm.landscape import Solver
from anm.matrices import OFFSETS, TestSet, frozen_problems

LARGEST_N = 32  # above, matrices in a record would outweigh the rest of it
REFINED = (1, 2, 5, 10)  # steps of thinking longer after which the forming answer is shown
WORST = 3
DIGITS = 4  # significant ones of an error; those of an answer are exact + error


def examples(solver: Solver, problems: int) -> dict[str, Any]:
    """What a record's `results` hold as `forming` and `worst`; empty above LARGEST_N. Both show the first seed of the stack.

    `forming`: the answer to the `same` problem of median condition number among the first `problems`: the start,
    then after every noise level, then after REFINED steps as far as thinking goes on. `worst`: the WORST problems of `harder` by
    condition number. Matrices are the exact inverse and an answer's error, (n, n).
    """
    if solver.params.n > LARGEST_N:
        return {}
    tests = {split: frozen_problems(solver.params.n, offset, problems) for split, offset in OFFSETS.items()}
    order = {split: np.argsort(test.condition, kind="stable") for split, test in tests.items()}
    median = int(order["same"][len(order["same"]) // 2])
    return {
        "forming": about(tests["same"], "same", median) | {"moments": moments(solver, tests["same"], median)},
        "worst": [
            about(tests["harder"], "harder", int(row)) | {"error": answer_error(solver, tests["harder"], int(row))}
            for row in order["harder"][::-1][:WORST]
        ],
    }


def about(test: TestSet, split: str, row: int) -> dict[str, Any]:
    """Which problem it is, and its exact inverse."""
    return {"split": split, "problem": row, "condition": float(test.condition[row]), "exact": rounded(test.X[row], 7)}


def moments(solver: Solver, test: TestSet, row: int) -> list[dict[str, Any]]:
    """The error where sampling starts, after each noise level, and after REFINED steps of thinking longer."""
    X = test.X[row]
    seen = [{"level": None, "refine_steps": 0, "error": rounded(test.start[row] - X)}]

    def watch(level: int, descent, x0: Tensor) -> None:
        seen.append({"level": level, "refine_steps": 0, "error": rounded(x0[0, 0].cpu() - X)})

    def watch_refining(step: int, x0: Tensor) -> None:
        if step in REFINED:
            seen.append({"level": 0, "refine_steps": step, "error": rounded(x0[0, 0].cpu() - X)})

    rows = slice(row, row + 1)
    for _ in solver.answers(
        test.A[rows], test.start[rows], watch=watch, refine_steps=max(REFINED), watch_refining=watch_refining
    ):
        pass
    return seen


def answer_error(solver: Solver, test: TestSet, row: int) -> list[list[float]]:
    """What is wrong with the standard answer to one problem, (n, n)."""
    rows = slice(row, row + 1)
    ((_, x0),) = solver.answers(test.A[rows], test.start[rows])
    return rounded(x0[0, 0].cpu() - test.X[row])


def rounded(matrix: Tensor, digits: int = DIGITS) -> list[list[float]]:
    """A matrix as lists with so many significant digits."""
    return [[float(f"{value:.{digits - 1}e}") for value in line] for line in matrix.tolist()]
