"""A step on the meta device: every strategy is free of the faults that a GPU would show, and each fault is found."""

import re
from pathlib import Path

import pytest
import torch
from tiny import tiny

from anm.benchmark.meta_step import META, DeviceCheck, DeviceFault, checked_step, count_step, meta_state, tensors_in
from anm.energies import AutogradEnergy, StackedLinear
from anm.evaluation import examples, generalization, scores
from anm.params import RunParams
from anm.registry import CHOICES
from anm.solvers import solver as solvers
from anm.training.step import training_step

STRATEGIES, TASKS = sorted(CHOICES["strategy"]), sorted(CHOICES["task"])
FEW = {"replay_size": 20, "candidates": 2, "contrastive_warmup": 20, "false_negative_residual": 0.05}


@pytest.mark.parametrize(
    ("strategy", "energy"),
    [(name, "mlp") for name in STRATEGIES]
    + [(name, energy) for name in ("none", "adversarial") for energy in ("bilinear", "residual")],
)
def test_a_step_has_no_device_fault(strategy, energy, tmp_path):
    state = meta_state(tiny(tmp_path, strategy=strategy, energy=energy, schedule="wsd", **FEW))
    first, second, third = (checked_step(state).launches for _ in range(3))
    assert first.total() >= second.total() == third.total() > 100  # the first one may create more
    assert state.step == 3 and all(tensor.device == META for tensor in state.mutable_tensors().values())


@pytest.mark.parametrize("task", TASKS)
def test_no_task_has_a_device_fault(task, tmp_path):
    checked_step(meta_state(tiny(tmp_path, strategy="adversarial", task=task, completion_rank=2)))


class HostReadsAllowed(DeviceCheck):
    """A check in which the host may read values, as after a training; all of them are one."""

    def __torch_dispatch__(self, function, types, arguments=(), kwargs=None):
        name, inputs, kwargs = function.overloadpacket.__name__, tensors_in(arguments), kwargs or {}
        target = kwargs.get("device")
        if name == "_local_scalar_dense" and inputs[0].device == META:
            return torch.zeros((), dtype=inputs[0].dtype).item()  # no loop goes on
        if name == "_to_copy" and target and target.type != inputs[0].device.type:
            return torch.ones_like(inputs[0], dtype=kwargs.get("dtype"), device=target)
        return super().__torch_dispatch__(function, types, arguments, kwargs)


@pytest.mark.parametrize("energy", ["mlp", "bilinear"])
def test_an_evaluation_has_no_tensor_on_another_device(energy, tmp_path, monkeypatch):
    monkeypatch.setattr(scores, "STEP_BUDGETS", (0, 1))
    monkeypatch.setattr(generalization, "REFINE_BUDGETS", (0, 2))
    monkeypatch.setattr(examples, "REFINE_STEPS_SHOWN", (1,))
    monkeypatch.setitem(solvers.ROWS_AT_ONCE, "meta", 1024)
    state = meta_state(tiny(tmp_path, strategy="none", energy=energy))
    with HostReadsAllowed() as check:
        found = scores.evaluate(state.solver())
    assert check.launches.total() > 1000 and found.results["harder"]["mse"] == [1, 1]


# Faults that a strategy could have: name -> its negatives, and what the error must name
FAULTS = {
    "item": (lambda c: c.x0 * float(c.x0.mean()), "_local_scalar_dense: the host reads a value"),
    "branch": (lambda c: -c.x0 if (c.x0 > 1).any() else c.x0, "the host reads a value"),
    "positions": (lambda c: c.x0 * torch.nonzero(c.x0).shape[0], "nonzero: the host reads a value"),
    "mask": (lambda c: c.x0 * c.x0[c.x0 > 0].mean(), "index: the host reads a value"),
    "mask_write": (lambda c: c.x0.clone().index_put_((c.x0 > 0,), c.x0.mean()), "index_put_: the host reads a value"),
    "unique": (lambda c: c.x0 * torch.unique(c.t).shape[0], "the host reads a value"),
    "repeats": (lambda c: c.x0 + c.x0.repeat_interleave(c.t[0], dim=1).mean(), "the host reads a value"),
    "host_noise": (lambda c: c.x0 + torch.randn(c.x0.shape), "add: has tensors on cpu and meta"),
    "host_scalar": (lambda c: c.x0 * torch.ones(()), "mul: has tensors on cpu and meta"),
    "host_index": (lambda c: c.x0[:, torch.arange(c.x0.shape[1])], "index: has tensors on cpu and meta"),
    "list_index": (lambda c: c.x0[:, list(range(c.x0.shape[1]))], "an index is a list"),
    "from_numbers": (lambda c: c.x0 * torch.tensor([0.5], device=c.x0.device), "torch.tensor: copies numbers"),
    "from_host": (lambda c: c.x0 + torch.ones(1).to(c.x0.device), "_to_copy: copies a tensor from cpu to meta"),
    "to_host": (lambda c: c.x0 + 0 * c.x0.mean().cpu().to(c.x0.device), "_to_copy: copies a tensor from meta to cpu"),
    "float64": (lambda c: c.x0.double().mul(2).float(), "has a tensor in float64"),
    "float64_made": (lambda c: c.x0 + torch.zeros(1, dtype=torch.float64, device=c.x0.device), "float64"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named(fault, tmp_path, monkeypatch):
    negatives, reason = FAULTS[fault]
    monkeypatch.setitem(CHOICES["strategy"], fault, negatives)
    with pytest.raises(DeviceFault, match=reason):
        checked_step(meta_state(tiny(tmp_path, strategy=fault)))


class TableOnTheHost(AutogradEnergy):
    """An energy that keeps a constant in a plain attribute, which no `to` moves."""

    def __init__(self, n, noise_levels, stack):
        super().__init__(n, noise_levels, stack)
        self.layer, self.table = StackedLinear(stack, n * n, 1), torch.linspace(1, 2, noise_levels)

    def energy(self, problem, x_t, t):
        return self.layer((x_t - problem).flatten(2))[..., 0].square() * self.table[t]


def test_a_constant_that_stays_on_the_host_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(CHOICES["energy"], "table", TableOnTheHost)
    with pytest.raises(DeviceFault, match="index: has tensors on cpu and meta"):
        checked_step(meta_state(tiny(tmp_path, strategy="none", energy="table")))


def test_launches_and_bytes_of_a_few_operations_by_hand():
    x = torch.empty(8, 4, device=META)
    with DeviceCheck() as check:
        y = x + 1  # reads and writes 128 bytes
        y.view(4, 8).t().expand(8, 4)  # views
        torch.empty(3, device=META)  # an allocation
        x[:, :1] * y  # reads 128 bytes of x's memory at most, and writes 128
        torch.randn(8)  # not on the device
    assert check.launches == {"add": 1, "mul": 1}
    assert check.bytes_moved == {"add": 256, "mul": 32 + 128 + 128}


def test_an_expanded_tensor_counts_once_in_memory():
    x = torch.empty(1, 4, device=META).expand(1000, 4)
    with DeviceCheck() as check:
        x.sum()
    assert check.bytes_moved == {"sum": 16 + 4}


def test_a_draw_is_one_launch_per_seed(tmp_path):
    for seeds, count in {"0": 1, "0-4": 5}.items():
        check = checked_step(meta_state(tiny(tmp_path, strategy="none", seeds=seeds)))
        assert [check.launches[name] for name in ("uniform_", "random_", "normal_")] == [count] * 3


def test_counts_grow_as_they_must(tmp_path):
    one, four = (count_step(tiny(tmp_path, strategy="adversarial", batch_size=batch)) for batch in (64, 256))
    assert one["launches"] == four["launches"] and 3 * one["flops"] < four["flops"] < 4 * one["flops"]
    assert 2 * one["bytes"] < four["bytes"] < 4 * one["bytes"]
    none = count_step(tiny(tmp_path, strategy="none", batch_size=64))
    assert all(none[name] < one[name] for name in none)


def test_the_counted_products_are_those_of_the_real_step(tmp_path):
    from anm.training.compute import step_flops

    params = tiny(tmp_path, strategy="adversarial", seeds="0")
    assert count_step(params)["flops"] == step_flops(params)


def test_a_replayed_step_launches_its_scalars_and_the_graph(tmp_path):
    state = meta_state(tiny(tmp_path))
    with DeviceCheck() as check:
        training_step(state, compute=lambda: None)
    # contrastive weight, step, share of the average, learning rate
    assert check.launches == {"fill_": 4}


def test_the_settings_of_a_run_for_a_gpu_are_taken(tmp_path):
    params = RunParams(**tiny(tmp_path).resolved() | {"device": "cuda", "precision": "tf32", "compile": "auto"})
    assert count_step(params) == count_step(tiny(tmp_path))


@pytest.mark.parametrize("strategy", ["none", "random", "adversarial"])
def test_the_counts_in_the_documentation_are_those_of_the_code(strategy, tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "benchmark" / "gpu.md").read_text()
    (row,) = re.findall(rf"^\| {strategy} \| (\d+) \| (\d+) \| ([\d.]+) \|$", page, re.MULTILINE)
    full = {"n": 20, "width": 512, "noise_levels": 10, "batch_size": 2048, "seeds": "0-9"}
    counts = count_step(tiny(tmp_path, strategy=strategy, **full))
    expected = f"{counts['launches']}", f"{counts['flops'] / 1e9:.0f}", f"{counts['bytes'] / 1e9:.1f}"
    assert row == expected, "write the new counts into docs/benchmark/gpu.md"
