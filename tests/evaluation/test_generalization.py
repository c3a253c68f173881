"""Generalization: refinement steps, sizes, spectra, and the cost of an answer."""

import numpy as np
import pytest
import torch
from matrix_energies import shaken
from tiny import frozen_inverse

from anm.energies import EnergyBilinear, EnergyMLP, EnergyResidual
from anm.energies.schedule import Schedule
from anm.evaluation import generalization
from anm.evaluation.generalization import (
    REFINE_BUDGETS,
    evaluate_generalization,
    products_per_answer,
    refinement_errors,
)
from anm.params import RunParams
from anm.solvers.solver import Solver
from anm.utils.rows import mean_square


def solver_of(energy, n=4):
    params = RunParams(energy=energy.__name__.removeprefix("Energy").lower(), n=n, seeds="0,1", answer_bound=50)
    return Solver(params, shaken(energy, n, dtype=torch.float32), Schedule(10))


class CountingTensor(torch.Tensor):
    """Counts its n x n matrix products."""

    made = 0

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        if (
            function in (torch.Tensor.matmul, torch.Tensor.__matmul__, torch.matmul)
            and args[0].shape[-1] == args[1].shape[-1] == 5
        ):
            cls.made += int(np.prod(torch.broadcast_shapes(args[0].shape[:-2], args[1].shape[:-2])))
        return super().__torch_function__(function, types, args, kwargs or {})


@pytest.mark.parametrize("energy", [EnergyBilinear, EnergyResidual])
@pytest.mark.parametrize("landscape_steps, refine_steps", [(0, 0), (1, 0), (5, 0), (5, 3)])
def test_the_stated_products_are_made(energy, landscape_steps, refine_steps):
    solver = solver_of(energy, 5)
    A = frozen_inverse(5, 0.1, 1).problem.as_subclass(CountingTensor)
    CountingTensor.made = 0
    list(solver.answers(A, frozen_inverse(5, 0.1, 1).start, landscape_steps, refine_steps=refine_steps))
    assert CountingTensor.made / 2 == products_per_answer(solver.model, landscape_steps, refine_steps)  # two seeds


def test_an_energy_of_fixed_n_has_no_products():
    assert products_per_answer(EnergyMLP(4, 10, 1), 5) is None


@pytest.mark.parametrize("energy", [EnergyResidual, EnergyMLP])
def test_errors_of_one_solution_equal_those_of_a_solution_per_budget(energy):
    solver, test = solver_of(energy), frozen_inverse(4, 0.1, 7)
    seen = refinement_errors(solver, test, (0, 2, 9))
    for errors, budget in zip(seen, (0, 2, 9)):
        ((_, alone),) = solver.answers(test.problem, test.start, refine_steps=budget)
        np.testing.assert_allclose(errors, mean_square(alone - test.answer).numpy(), rtol=1e-4, atol=1e-12)


def test_all_entries_for_an_energy_of_any_n():
    found = evaluate_generalization(solver_of(EnergyResidual), 8, 5)
    assert [entry["refine_steps"] for entry in found["thinking"]] == list(REFINE_BUDGETS)
    assert [entry["landscape_steps"] for entry in found["thinking_only"]] == [0] * len(REFINE_BUDGETS)
    assert [(entry["n"], entry["split"], entry["problems"]) for entry in found["sizes"]] == [
        (n, split, problems) for n, problems in ((4, 8), (8, 2), (16, 2)) for split in ("same", "harder")
    ]
    assert [entry["spectrum"] for entry in found["spectra"]] == ["wishart", "log_uniform", "sparse", "covariance"]
    assert all(len(entry["mse"]) == 2 for entry in found["sizes"])


def test_sizes_stop_at_the_largest_n(monkeypatch):
    monkeypatch.setattr(generalization, "LARGEST_N", 8)
    assert {entry["n"] for entry in generalization.size_scores(solver_of(EnergyResidual), 16, 1)} == {4, 8}


def test_a_network_of_fixed_n_has_no_other_sizes():
    found = evaluate_generalization(solver_of(EnergyMLP), 3, 2)
    assert found["sizes"] == [] and found["thinking"][0]["products"] is None and len(found["spectra"]) == 4
