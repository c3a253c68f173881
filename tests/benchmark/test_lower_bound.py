"""The lower bound: it has the matrix products of a step, and FlopCounterMode counts the same operations."""

from functools import partial

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from anm.benchmark import lower_bound
from anm.benchmark.lower_bound import MatmulLowerBound, MatmulRecorder
from anm.energies.mlp import WIDTH
from anm.params import RunParams
from anm.training.state import TrainingState
from anm.training.step import training_step

CPU = torch.device("cpu")


def step_of(tmp_path, **settings):
    """The parameters of a run, and its training step."""
    defaults = {"n": 16, "batch_size": 16, "seeds": 0, "device": "cpu", "compile": "no"}
    params = RunParams(**defaults | {"checkpoint_dir": str(tmp_path)} | settings)
    return params, partial(training_step, TrainingState(params))


def test_a_denoising_step_has_six_times_the_products_of_a_forward_pass(tmp_path):
    params, step = step_of(tmp_path, strategy="none")
    bound = MatmulLowerBound(step, CPU)
    inputs, rows = params.n**2, params.batch_size
    problem, others = inputs * WIDTH, 2 * inputs * WIDTH + 2 * WIDTH**2
    # Forward: all. The gradient in x_t: `others` again. Backward: twice both, without the gradient in A or x_t.
    # Products that select or embed noise levels are small, or excluded by their short side.
    expected = 2 * rows * (2 * problem + 6 * others - inputs * WIDTH) + 2 * params.n**3 * rows
    assert expected <= bound.flop < 1.02 * expected


@pytest.mark.parametrize("energy", ["mlp", "bilinear", "residual"])
@pytest.mark.parametrize("strategy", ["none", "adversarial"])
def test_all_products_of_a_step_are_counted(tmp_path, monkeypatch, energy, strategy):
    monkeypatch.setattr(lower_bound, "SMALLEST_SIDE", 1)
    _, step = step_of(tmp_path, n=4, energy=energy, strategy=strategy)
    with FlopCounterMode(display=False) as counter:
        step()
    assert MatmulLowerBound(step, CPU).flop == counter.get_total_flops() > 0


def test_the_recorder_sees_backward_passes_and_leaves_out_short_sides():
    left, right = torch.randn(1, 32, 32, requires_grad=True), torch.randn(1, 32, 32)
    with MatmulRecorder() as recorder:
        torch.bmm(left, right).sum().backward()
        torch.bmm(torch.randn(1, 32, 3), torch.randn(1, 3, 32))
    assert len(recorder.factors) == 2


def test_the_bound_multiplies_the_recorded_shapes_and_strides():
    left, right = torch.randn(32, 16).mT, torch.randn(32, 48)
    bound = MatmulLowerBound(lambda: torch.mm(left, right), CPU)
    ((a, b),) = bound.pairs
    assert (a.shape, a.stride(), b.shape, b.stride()) == (left.shape, left.stride(), right.shape, right.stride())
    assert bound.flop == 2 * 16 * 32 * 48
    bound()
    torch.testing.assert_close(bound.results[16, 48], a @ b)
