"""AutogradEnergy: an energy of a user's own, whose gradient comes from autograd."""

from pathlib import Path

import pytest
import torch
from tiny import narrow, random_inputs, same_bits, silent_train, tiny  # noqa: F401

import anm
from anm.energies import EnergyMLP, EnergyResidual, build_energy
from anm.params import ParamError
from anm.registry import CHOICES
from anm.training import loop
from anm.utils.random_streams import RandomStreams

DOUBLE = torch.float64
OWN_ENERGY = """
import anm
import torch
from anm.energies import StackedLinear
from torch.nn import functional as F

class Own(anm.AutogradEnergy):
    def __init__(self, n, noise_levels, stack):
        super().__init__(n, noise_levels, stack)
        self.hidden = StackedLinear(stack, 2 * n * n, 16)
        self.output = StackedLinear(stack, 16, n * n)

    def energy(self, problem, x_t, t):
        h = torch.cat([problem.flatten(2), x_t.flatten(2)], dim=-1)
        return self.output(F.silu(self.hidden(h))).square().sum(-1)
"""


class AutogradMLP(EnergyMLP, anm.AutogradEnergy):
    """The formula of `mlp` without its closed-form gradient."""

    encode = anm.AutogradEnergy.encode
    at_level = anm.AutogradEnergy.at_level
    evaluate = anm.AutogradEnergy.evaluate
    compilable = False

    def energy(self, problem, x_t, t):
        conditions = EnergyMLP.at_level(self, EnergyMLP.encode(self, problem), t)
        return EnergyMLP.evaluate(self, conditions, x_t, gradient=False)[0]


class AutogradResidual(EnergyResidual, anm.AutogradEnergy):
    """The formula of `residual` without its closed-form gradient."""

    encode = anm.AutogradEnergy.encode
    at_level = anm.AutogradEnergy.at_level
    evaluate = anm.AutogradEnergy.evaluate
    compilable = False

    def energy(self, problem, x_t, t):
        conditions = EnergyResidual.at_level(self, EnergyResidual.encode(self, problem), t)
        return EnergyResidual.evaluate(self, conditions, x_t, gradient=False)[0]


PAIRS = [(EnergyMLP, AutogradMLP), (EnergyResidual, AutogradResidual)]


def pair(classes, n=4, dtype=DOUBLE):
    """Both energies with the same weights, and inputs for them."""
    closed, own = (
        each(n, 6, 2).reset(RandomStreams((0, 1), torch.device("cpu")).generators["weights"]) for each in classes
    )
    A, x_t, t = random_inputs(n, 2, 5, 6, dtype=dtype)
    return closed.to(dtype), own.to(dtype), (A @ A.mT, x_t, t)


@pytest.mark.parametrize("classes", PAIRS)
def test_energy_and_gradient_equal_those_of_the_closed_form(classes):
    closed, own, inputs = pair(classes)
    for found, expected in zip(own.energy_and_grad(*inputs), closed.energy_and_grad(*inputs)):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(own.energy(*inputs), closed.energy(*inputs), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("classes", PAIRS)
def test_parameter_gradients_equal_those_of_the_closed_form(classes):
    closed, own, inputs = pair(classes)
    for model in (closed, own):
        energy, eps_hat = model.energy_and_grad(*inputs)
        (eps_hat.square().sum() + 0.3 * energy.sum()).backward()
    for found, expected in zip(own.parameters(), closed.parameters()):
        torch.testing.assert_close(found.grad, expected.grad, rtol=1e-9, atol=1e-9)


def test_it_works_without_gradients_and_keeps_no_graph():
    """As in the sampler. The energy and its gradient equal those with gradients."""
    _, own, (A, x_t, t) = pair(PAIRS[0])
    energy, eps_hat = own.energy_and_grad(A, x_t, t)
    assert energy.requires_grad and eps_hat.requires_grad and not x_t.requires_grad
    with torch.no_grad():
        found = own.energy_and_grad(A, x_t, t)
    torch.testing.assert_close(found, (energy.detach(), eps_hat.detach()), rtol=1e-12, atol=1e-14)
    assert not any(tensor.requires_grad for tensor in found)


def test_a_caller_may_differentiate_the_gradient_in_x_t():
    closed, own, (A, x_t, t) = pair(PAIRS[0])
    x_t.requires_grad_()
    found, expected = (
        torch.autograd.grad(model.energy_and_grad(A, x_t, t)[1].square().sum(), x_t)[0] for model in (own, closed)
    )
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


@pytest.fixture
def own_energy(tmp_path, monkeypatch):
    """The name of an energy in a user's own file, for `energy=`."""
    monkeypatch.chdir(tmp_path)
    Path("own_energy_file.py").write_text(OWN_ENERGY)
    return "own_energy_file:Own"


def test_an_energy_of_a_dozen_lines_trains_and_solves(own_energy, tmp_path):
    assert len(OWN_ENERGY.strip().splitlines()) < 16
    settings = {"energy": own_energy, "strategy": "adversarial", "train_steps": 60, "learning_rate": 3e-3}
    solver = silent_train(tiny(tmp_path / "checkpoints", **settings))
    denoise = torch.tensor(solver.history["denoise"])
    assert (denoise[-10:].mean(0) < denoise[:10].mean(0)).all()
    A = torch.eye(4).expand(3, 4, 4)
    X = solver.solve(A)
    assert X.shape == (2, 3, 4, 4) and X.isfinite().all() and not X.requires_grad
    (path,) = (tmp_path / "checkpoints").glob("*/step-*60.pt")
    assert torch.equal(anm.load(path, device="cpu").solve(A), X)


def test_a_resumed_run_equals_one_without_a_break(own_energy, tmp_path, monkeypatch):
    whole = silent_train(tiny(tmp_path / "whole", energy=own_energy))
    params = tiny(tmp_path / "parts", energy=own_energy)
    check = loop.TrainingState.check_finite

    def fail_at_step_7(state):
        check(state)
        if state.step == 7:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop.TrainingState, "check_finite", fail_at_step_7)
        with pytest.raises(KeyboardInterrupt):
            silent_train(params, checkpoint_seconds=0)
    resumed = silent_train(params)
    assert resumed.timing["resumed"] == 1
    assert same_bits(whole.model.state_dict(), resumed.model.state_dict())


def test_an_energy_without_shapes_is_for_matrices_alone(own_energy, tmp_path):
    reason = r"takes no `shapes`, and task 'addition' has problems \(2, 4, 4\) and answers \(4, 4\); use mlp"
    params = tiny(tmp_path, energy=own_energy, task="addition")
    with pytest.raises(ParamError, match=f"energy = '{own_energy}': {reason}"):
        build_energy(params)
    assert build_energy(tiny(tmp_path, energy=own_energy, task="square_root")).hidden.weight.shape == (2, 16, 32)
    assert not any(tmp_path.glob("*-*"))


@pytest.mark.parametrize("task, shapes", [("inverse", ((4, 4), (4, 4))), ("addition", ((2, 4, 4), (4, 4)))])
def test_an_energy_is_built_with_the_shapes_and_the_width_of_its_run(task, shapes, tmp_path):
    model = build_energy(tiny(tmp_path, task=task, width=17))
    assert type(model) is EnergyMLP and (model.n, model.noise_levels, model.stack, model.width) == (4, 4, 2, 17)
    assert (model.problem_shape, model.answer_shape) == shapes
    assert type(build_energy(tiny(tmp_path, energy="residual"))) is EnergyResidual


def test_an_energy_of_a_user_gets_only_what_its_constructor_names(tmp_path, monkeypatch):
    monkeypatch.setitem(CHOICES["energy"], "noted", lambda n, noise_levels, stack, shapes: (n, stack, shapes))
    assert build_energy(tiny(tmp_path, energy="noted", task="own_task:RowSums")) == (4, 2, ((4, 4), (4,)))


def test_it_is_never_compiled_and_the_record_says_so(own_energy, tmp_path, monkeypatch):
    monkeypatch.setattr("anm.params.can_compile", lambda device: True)
    assert silent_train(tiny(tmp_path, energy=own_energy, train_steps=2, compile="yes")).timing["compiled"] is False


def test_the_energy_must_be_written():
    with pytest.raises(NotImplementedError):
        anm.AutogradEnergy(2, 4, 1).energy_and_grad(*random_inputs(2, 1, 3, 4))
