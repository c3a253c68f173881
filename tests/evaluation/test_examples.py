"""The example answers in a record equal the solver's own."""

import numpy as np
import pytest
import torch
from matrix_energies import shaken
from tiny import frozen_inverse

from anm.energies import EnergyMLP, EnergyResidual
from anm.energies.schedule import Schedule
from anm.evaluation.examples import LARGEST_N, REFINE_STEPS_SHOWN, example_answers
from anm.params import RunParams
from anm.solvers.solver import Solver


def solver_of(energy, n=4):
    params = RunParams(energy=energy.__name__.removeprefix("Energy").lower(), n=n, seeds="0,1", answer_bound=50)
    return Solver(params, shaken(energy, n, dtype=torch.float32), Schedule(10))


@pytest.mark.parametrize("energy", [EnergyResidual, EnergyMLP])
def test_a_forming_answer_ends_as_the_solver_s_own(energy):
    solver = solver_of(energy)
    kept, test = example_answers(solver, 9)["forming"], frozen_inverse(4, 0.5, 9)
    row = kept["problem"]
    assert test.condition[row] == np.sort(test.condition)[4] == kept["condition"]
    start, *levels = kept["moments"][: 1 + len(solver.schedule)]
    assert start["level"] is None and [moment["level"] for moment in levels] == list(range(9, -1, -1))
    np.testing.assert_allclose(np.add(kept["exact"], start["error"]), test.start[row], atol=2e-3)
    rows = slice(row, row + 1)
    for moment, steps in ((levels[-1], 0), (kept["moments"][-1], kept["moments"][-1]["refine_steps"])):
        ((_, x0),) = solver.answers(test.problem[rows], test.start[rows], refine_steps=steps)
        np.testing.assert_allclose(moment["error"], x0[0, 0] - test.answer[row], rtol=1e-3, atol=1e-6)
    assert {0, 1, 2, 5} <= {moment["refine_steps"] for moment in kept["moments"]} <= {0, *REFINE_STEPS_SHOWN}


def test_the_worst_problems_have_the_largest_condition_numbers():
    solver, test = solver_of(EnergyResidual), frozen_inverse(4, 0.1, 9)
    worst = example_answers(solver, 9)["worst"]
    assert [kept["condition"] for kept in worst] == sorted(test.condition, reverse=True)[:3]
    for kept in worst:
        rows = slice(kept["problem"], kept["problem"] + 1)
        ((_, x0),) = solver.answers(test.problem[rows], test.start[rows])
        np.testing.assert_allclose(kept["error"], x0[0, 0] - test.answer[kept["problem"]], rtol=1e-3, atol=1e-6)


def test_large_matrices_are_not_recorded():
    assert example_answers(solver_of(EnergyResidual, LARGEST_N + 1), 2) == {}
