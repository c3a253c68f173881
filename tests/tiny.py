"""Runs small enough to be tested by the dozen, and what tests need to look into them."""

import pytest
import torch

from anm import trainer
from anm.energy import EnergyMLP, mlp
from anm.landscape import Solver
from anm.params import RunParams
from anm.schedule import Schedule
from anm.streams import Streams

CPU = torch.device("cpu")


@pytest.fixture(scope="module", autouse=True)
def narrow():
    """For a module that imports it: networks of width 32 and short validations, where nothing that is tested depends on them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mlp, "HIDDEN", 32)
        patch.setattr(trainer, "VALIDATION_PROBLEMS", 10)
        yield


def tiny(folder, **settings) -> RunParams:
    """The settings of a run of n = 4 that takes a tenth of a second; its checkpoints go into `folder`."""
    defaults = {
        "n": 4,
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
    """`train` without its lines."""
    return trainer.train(params, say=lambda line: None, **options)


def fresh_mlp(n=4, noise_levels=4, seeds=(0, 1), dtype=torch.float32) -> EnergyMLP:
    """A stack of untrained networks."""
    model = EnergyMLP(n, noise_levels, len(seeds))
    return model.reset(Streams(seeds, CPU).generators["weights"]).to(dtype)


def fresh_solver(n=4, noise_levels=4, seeds=(0, 1), **settings) -> Solver:
    """A solver with untrained weights, whose landscape is rough enough to say no to some steps."""
    model = fresh_mlp(n, noise_levels, seeds)
    with torch.no_grad():
        model.output.weight.mul_(4)
    spelled = ",".join(map(str, seeds))
    return Solver(
        tiny("unused", n=n, noise_levels=noise_levels, seeds=spelled, **settings), model, Schedule(noise_levels)
    )


def random_inputs(n, stack, batch, noise_levels, seed=0, dtype=torch.float32):
    """A, x_t (S, B, n, n) and mixed levels t (S, B), the hardest case for what should act row by row."""
    g = torch.Generator().manual_seed(seed)
    A, x_t = torch.randn(2, stack, batch, n, n, generator=g, dtype=dtype)
    return A, x_t, torch.randint(noise_levels, (stack, batch), generator=g)


def tensors(tree) -> list[torch.Tensor]:
    """Every tensor in a nest of dicts, lists and tuples, in order."""
    if isinstance(tree, torch.Tensor):
        return [tree]
    parts = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, (list, tuple)) else []
    return [tensor for part in parts for tensor in tensors(part)]


def same_bits(a, b) -> bool:
    """Whether two nests of tensors are equal bit for bit."""
    a, b = tensors(a), tensors(b)
    return len(a) == len(b) > 0 and all(x.dtype == y.dtype and torch.equal(x, y) for x, y in zip(a, b))
