"""Runs that take a tenth of a second, and helpers to inspect them."""

import pytest
import torch

from anm.energies import EnergyMLP, mlp
from anm.energies.schedule import Schedule
from anm.params import RunParams
from anm.solvers.solver import Solver
from anm.tasks import FrozenSet, frozen_problems, get
from anm.training import loop
from anm.utils.random_streams import RandomStreams

CPU = torch.device("cpu")
INVERSE = get("inverse")


@pytest.fixture(scope="module", autouse=True)
def narrow():
    """Networks of width 32 and short validations, for every test module that imports this fixture."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mlp, "WIDTH", 32)
        patch.setattr(loop, "VALIDATION_PROBLEMS", 10)
        yield


def tiny(folder, **settings) -> RunParams:
    """Settings of a run with n = 4 and 12 steps; `folder` is for its checkpoints."""
    defaults = {
        "n": 4,
        "width": 32,
        "noise_levels": 4,
        "train_steps": 12,
        "batch_size": 8,
        "seeds": "0-1",
        "landscape_steps": 2,
        "learning_rate": 1e-3,
        "test_problems": 20,
        "device": "cpu",
        "compile": "no",
        "checkpoint_dir": str(folder),
    }
    return RunParams(**defaults | settings)


def silent_train(params, **options) -> Solver:
    """`train` without its log."""
    return loop.train(params, log=lambda line: None, **options)


def fresh_mlp(n=4, noise_levels=4, seeds=(0, 1), dtype=torch.float32) -> EnergyMLP:
    """A stack of untrained `mlp` energies."""
    model = EnergyMLP(n, noise_levels, len(seeds))
    return model.reset(RandomStreams(seeds, CPU).generators["weights"]).to(dtype)


def fresh_solver(n=4, noise_levels=4, seeds=(0, 1), **settings) -> Solver:
    """A solver with untrained weights, on whose energy some landscape steps are rejected."""
    model = fresh_mlp(n, noise_levels, seeds)
    with torch.no_grad():
        model.output.weight.mul_(4)
    params = tiny("unused", n=n, noise_levels=noise_levels, seeds=",".join(map(str, seeds)), **settings)
    return Solver(params, model, Schedule(noise_levels))


def frozen_inverse(n, difficulty, problems, *stream) -> FrozenSet:
    """Frozen problems of matrix inversion."""
    return frozen_problems(INVERSE, n, difficulty, problems, *stream)


def random_inputs(n, stack, batch, noise_levels, seed=0, dtype=torch.float32):
    """A and x_t (S, B, n, n), and noise levels t (S, B) that differ between rows."""
    g = torch.Generator().manual_seed(seed)
    A, x_t = torch.randn(2, stack, batch, n, n, generator=g, dtype=dtype)
    return A, x_t, torch.randint(noise_levels, (stack, batch), generator=g)


def tensors(tree) -> list[torch.Tensor]:
    """All tensors in nested dicts, lists and tuples, in order."""
    if isinstance(tree, torch.Tensor):
        return [tree]
    parts = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, (list, tuple)) else []
    return [tensor for part in parts for tensor in tensors(part)]


def same_bits(a, b) -> bool:
    """Whether two nested structures of tensors are equal bit for bit."""
    a, b = tensors(a), tensors(b)
    return len(a) == len(b) > 0 and all(x.dtype == y.dtype and torch.equal(x, y) for x, y in zip(a, b))
