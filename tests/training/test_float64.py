"""No float64 tensor on the model's device: Apple's GPUs have none, and other GPUs are slow with it."""

from importlib import import_module
from pathlib import Path

import pytest
import torch
from tiny import INVERSE, frozen_inverse, narrow, silent_train, tensors, tiny  # noqa: F401
from torch.utils._python_dispatch import TorchDispatchMode

import anm
from anm.evaluation import generalization
from anm.evaluation.scores import evaluate
from anm.registry import CHOICES
from anm.solvers.errors import solve_errors
from anm.tasks.frozen import FIT_STREAM, frozen_problems
from anm.training import checkpoints, loop
from anm.training.state import TrainingState
from anm.training.step import training_step

DEVICES = ["cpu"] + ["cuda"] * torch.cuda.is_available() + ["mps"] * torch.backends.mps.is_available()
WIDE = (torch.float64, torch.complex128)


class NoFloat64(TorchDispatchMode):
    """Fails on the first operation that gives a float64 tensor on the device."""

    def __init__(self, device: str):
        super().__init__()
        self.device, self.operations = device, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        self.operations += 1
        for tensor in tensors(out):
            if tensor.dtype in WIDE and tensor.device.type == self.device:
                raise AssertionError(
                    f"{func} gave a {tensor.dtype} tensor of shape {tuple(tensor.shape)} on {self.device}"
                )
        return out


@pytest.fixture(params=DEVICES)
def guard(request):
    return NoFloat64(request.param)


@pytest.mark.parametrize("strategy", sorted(CHOICES["strategy"]))
def test_training_with_every_strategy(strategy, guard, tmp_path):
    params = tiny(tmp_path, strategy=strategy, train_steps=3, device=guard.device)
    with guard:
        solver = silent_train(params, checkpoint_seconds=0)
    assert solver.step == 3 and guard.operations > 500


@pytest.mark.parametrize("energy", sorted(CHOICES["energy"]))
def test_training_sampling_and_evaluation_with_every_energy(energy, guard, tmp_path, monkeypatch):
    def fewer_scores(solver, problems):
        return {
            "sizes": generalization.size_scores(solver, problems, 2),
            "spectra": generalization.spectrum_scores(solver, problems, 2),
        }

    for name, less in {"STEP_BUDGETS": (0, 1), "evaluate_generalization": fewer_scores}.items():
        monkeypatch.setattr(import_module("anm.evaluation.scores"), name, less)
    monkeypatch.setattr(type(INVERSE), "ladder", (0.5, 0.02))
    params = tiny(tmp_path, energy=energy, train_steps=3, noise_levels=2, landscape_steps=1, device=guard.device)
    with guard:
        solver = silent_train(params)
        evaluation = evaluate(solver)
        solver.solve(frozen_inverse(4, 0.5, 5).problem, landscape_steps=3, refine_steps=2)
        loaded = anm.load(next(Path(tmp_path).glob("*/*.pt")), guard.device)
        loaded.solve([[[1.0, 0.0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]])
    assert set(evaluation.results) >= {"same", "harder"} and guard.operations > 500


@pytest.mark.parametrize("task", sorted(CHOICES["task"]))
def test_training_and_scores_of_every_task(task, guard, tmp_path):
    """Frozen problems come from float64, on the CPU: they are made before."""
    params = tiny(tmp_path, task=task, completion_rank=2, train_steps=3, device=guard.device)
    splits = params.task_object().splits
    frozen = frozen_problems(params.task_object(), 4, splits["same"], 5)
    for difficulty in splits.values():
        frozen_problems(params.task_object(), 4, difficulty, loop.VALIDATION_PROBLEMS, FIT_STREAM)
    with guard:
        solve_errors(silent_train(params), frozen)
    assert guard.operations > 500


def test_a_resumed_run(guard, tmp_path):
    params = tiny(tmp_path, train_steps=3, device=guard.device)
    training = TrainingState(params)
    training_step(training)
    checkpoints.save(params, 1, training.checkpoint())
    with guard:
        assert silent_train(params).timing["resumed"] == 1


@pytest.mark.parametrize(
    "accident",
    [
        lambda x: x.double(),
        lambda x: torch.zeros(2, dtype=torch.float64, device=x.device),
        lambda x: torch.tensor([1.0], dtype=torch.float64, device=x.device) * x,
        lambda x: torch.linspace(0, 1, 3, dtype=torch.float64, device=x.device),
        lambda x: x.sum(dtype=torch.float64),
        lambda x: torch.stack([x, x]).to(torch.complex128),
        lambda x: Wide.apply(x.requires_grad_(True)).sum().backward(),
    ],
)
@pytest.mark.parametrize("device", [device for device in DEVICES if device != "mps"])
def test_the_guard_finds_an_accident(accident, device):
    with pytest.raises(AssertionError, match="gave a torch.(float64|complex128) tensor"), NoFloat64(device):
        accident(torch.ones(1, device=device))


class Wide(torch.autograd.Function):
    """Float64 in the backward pass alone."""

    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, grad):
        return (grad.double() * 2).float()


def test_the_guard_finds_one_in_a_strategy(tmp_path, monkeypatch):
    monkeypatch.setitem(CHOICES["strategy"], "wide", lambda context: (context.x0.double() / 2).float())
    with pytest.raises(AssertionError, match="float64"), NoFloat64("cpu"):
        silent_train(tiny(tmp_path, strategy="wide", train_steps=1))
