"""The probe of an energy at right answers with less noise, where the answer is known."""

import pytest
import torch

from anm.analysis import noise_probe as probe
from anm.analysis.noise_probe import LEVELS, probe_noise, probe_table, scaled_errors
from anm.energies.base import AutogradEnergy
from anm.energies.schedule import Schedule
from anm.params import RunParams
from anm.solvers.solver import Solver
from anm.study.tuning import fitting_problems

SHRUNK = 0.8


class KnownEnergy(AutogradEnergy):
    """Its x0 is `SHRUNK` times the inverse, at every x_t."""

    def __init__(self, n: int, noise_levels: int, stack: int):
        super().__init__(n, noise_levels, stack)
        self.schedule = Schedule(noise_levels)

    def reset(self, generators):
        return self

    def energy(self, problem, x_t, t):
        away = x_t - self.schedule.at("sqrt_alpha_bar", t, x_t) * SHRUNK * torch.linalg.inv(problem)
        return away.square().sum((-2, -1)) / (2 * self.schedule.at("sqrt_noise", t, x_t)[..., 0, 0])


@pytest.fixture(scope="module")
def solver():
    return Solver.from_energy(KnownEnergy(4, 10, 2), task="inverse", answer_bound=10, device="cpu")


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_estimates_that_are_too_small_have_the_scale_that_cures_them(solver, noise):
    problems = fitting_problems(solver.params)
    error, scale, scaled = probe_noise(solver, problems, 3, noise)
    assert scale == pytest.approx(1 / SHRUNK, rel=1e-4)
    assert error == pytest.approx(float((1 - SHRUNK) ** 2 * problems.answer.square().mean()), rel=1e-3)
    assert scaled < 1e-6 * error


def test_the_mean_of_errors_is_geometric_over_seeds():
    right = torch.ones(2, 1, 2, 2)
    error, scale, scaled = scaled_errors(right + torch.tensor([0.1, 1.0])[:, None, None, None], right)
    assert error == pytest.approx(0.1) and scale == pytest.approx((1 / 1.1 + 1 / 2) / 2) and scaled < 1e-12


def test_the_table_has_a_row_per_arm_and_level(solver):
    rows = probe_table({"one": solver, "two": solver}, fitting_problems(solver.params)).splitlines()[2:]
    assert len(rows) == 2 * len(LEVELS) and all(row.count("(1.250)") == 3 for row in rows)


def test_arms_of_a_regime_are_trained_for_its_budget(tmp_path, monkeypatch, capsys, solver):
    file, asked = tmp_path / "small.yaml", []
    file.write_text("regimes:\n  inverse-4: {task: inverse, n: 4, budget_steps: 30}\narms:\n  none: {}\n  random: {}\n")
    monkeypatch.setattr(probe, "trained", lambda params: asked.append(params) or solver)
    probe.main([str(file), "inverse-4", "none", "random"])
    assert [(params.strategy, params.budget_steps, params.seeds) for params in asked] == [
        ("none", 30, RunParams(seeds=probe.SEEDS).seeds),
        ("random", 30, RunParams(seeds=probe.SEEDS).seeds),
    ]
    assert "| random | 7 |" in capsys.readouterr().out
