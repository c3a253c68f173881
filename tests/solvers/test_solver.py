"""Solvers of tasks whose problems and answers have shapes of their own."""

import re

import pytest
import torch
from tiny import tiny

from anm.training.loop import untrained


@pytest.mark.parametrize(
    "task, right, wrong, expected",
    [
        ("addition", (5, 2, 3, 3), [(5, 3, 3), (2, 3, 3), (5, 3, 3, 3), (5, 2, 3, 4), ()], "(B, 2, 3, 3)"),
        ("square_root", (5, 3, 3), [(3, 3), (5, 2, 3, 3), (5, 4, 4)], "(B, 3, 3)"),
        ("own_task:RowSums", (5, 3, 3), [(5, 3), (3,), (5, 9)], "(B, 3, 3)"),
    ],
)
def test_a_solver_takes_the_problems_of_its_task_alone(task, right, wrong, expected, tmp_path):
    solver = untrained(tiny(tmp_path, task=task, n=3))
    X = solver.solve(torch.ones(right))
    assert X.shape == (2, 5, *solver.params.task_object().shapes(3)[1]) and X.isfinite().all()
    assert solver.solve(torch.ones(right)[:0]).shape == (2, 0, *X.shape[2:])
    for shape in wrong:
        with pytest.raises(ValueError, match=re.escape(f"problem: must be {expected}, not {shape}; energy mlp")):
            solver.solve(torch.ones(shape))
