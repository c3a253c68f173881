"""The CUDA graph: every step has the same operations, and only a graph with correct results is used.

A capture needs a GPU; on a CPU these tests replace it with functions that repeat a step correctly or wrongly.
"""

import gc
from functools import partial

import pytest
import torch
from tiny import narrow, same_bits, silent_train, tiny  # noqa: F401
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from anm.params import RunParams
from anm.registry import CHOICES
from anm.training import cuda_graph, loop, step
from anm.training.cuda_graph import CHECKED, WARM_UP
from anm.training.state import TrainingState
from anm.training.step import compute_step, training_step
from anm.utils.device import precision

STRATEGIES = sorted(CHOICES["strategy"])
WITH_GRAPH, WITHOUT_GRAPH = "steps are replayed from a CUDA graph", "steps run without a CUDA graph"
on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


class Program(TorchDispatchMode):
    """While active, records every operation with its arguments, tensors by shape and type."""

    def __init__(self):
        super().__init__()
        self.lines: list[str] = []

    def __torch_dispatch__(self, function, types, arguments=(), kwargs=None):
        def described(value):
            if isinstance(value, (list, tuple)):
                return [described(part) for part in value]
            if isinstance(value, torch.Generator):
                return "a generator"
            return (tuple(value.shape), value.dtype) if isinstance(value, Tensor) else value

        if function.namespace != "profiler":  # whose marks have a new name at every step
            self.lines.append(
                f"{function} {described(arguments)} {dict(zip(kwargs or {}, described([*(kwargs or {}).values()])))}"
            )
        return function(*arguments, **(kwargs or {}))


def program(training: TrainingState) -> list[str]:
    training.set_step_scalars()
    with Program() as seen:
        compute_step(training)
    return seen.lines


@pytest.mark.parametrize(
    ("strategy", "energy"),
    [(name, "mlp") for name in STRATEGIES] + [("adversarial", "bilinear"), ("adversarial", "residual")],
)
def test_every_step_has_the_same_operations_on_the_same_tensors(strategy, energy, tmp_path):
    """A graph needs this: no changing Python number, no transfer to the host, no replaced tensor."""
    training = TrainingState(
        tiny(tmp_path, strategy=strategy, energy=energy, contrastive_warmup=20, replay_size=20, candidates=2)
    )
    training_step(training)
    tensors, first = training.mutable_tensors(), program(training)
    for _ in range(10):
        training_step(training)
    assert program(training) == first and len(first) > 100
    assert not [line for line in first if "_local_scalar_dense" in line or "nonzero" in line]
    assert training.mutable_tensors().keys() == tensors.keys() and all(
        training.mutable_tensors()[name] is tensors[name] for name in tensors
    )


def trained(monkeypatch, tmp_path, record, strategy="replay", **settings) -> tuple:
    """The solver of a training whose graph is captured by `record`, and its log lines about the graph."""
    lines: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(cuda_graph, "capture", record)
        patch.setattr(RunParams, "uses_cuda_graph", lambda params, device: record is not None)
        params = tiny(tmp_path / str(len(list(tmp_path.iterdir()))), strategy=strategy, replay_size=20, **settings)
        solver = loop.train(params, log=lines.append)
    return solver, [line for line in lines if line.startswith("steps ")]


def weights(solver) -> list[Tensor]:
    return list(solver.model.parameters())


@pytest.mark.parametrize("strategy", ["none", "adversarial", "replay"])
def test_a_correct_graph_is_used_and_does_not_change_the_run(strategy, monkeypatch, tmp_path):
    replays = []

    def record(training):
        def replay():
            replays.append(training.step)
            compute_step(training)

        return replay

    plain, _ = trained(monkeypatch, tmp_path, None, strategy)
    solver, lines = trained(monkeypatch, tmp_path, record, strategy)
    assert (
        lines == [WITH_GRAPH]
        and same_bits(weights(plain), weights(solver))
        and str(plain.history) == str(solver.history)
    )
    assert (
        replays == [WARM_UP, WARM_UP + 1, *range(WARM_UP, 12)] and CHECKED == 2
    )  # two to check the graph, then all others


def stale_problems(training):
    """A graph that draws the same problems at every step."""
    states = training.streams.state()

    def replay():
        training.streams.restore(states)
        compute_step(training)

    return replay


def nothing_learnt(training):
    return lambda: None


def not_finite(training):
    def replay():
        compute_step(training)
        training.weights[0].data.fill_(float("nan"))

    return replay


def refused(training):
    training.streams.normal("problems", 3)  # a capture that has already drawn from the streams
    raise RuntimeError("operation not permitted when stream is capturing")


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (stale_problems, "replayed steps end"),
        (nothing_learnt, "replayed steps end"),
        (not_finite, "replayed steps end nan from plain ones"),
        (refused, "not permitted when stream is capturing"),
    ],
)
def test_a_wrong_graph_is_not_used_and_does_not_change_the_run(record, reason, monkeypatch, tmp_path):
    plain, _ = trained(monkeypatch, tmp_path, None)
    solver, (line,) = trained(monkeypatch, tmp_path, record)
    assert line.startswith(WITHOUT_GRAPH) and reason in line
    assert same_bits(weights(plain), weights(solver)) and str(plain.history) == str(solver.history)


def test_a_failed_capture_leaves_generators_that_are_not_used_again(monkeypatch, tmp_path):
    seen = []

    def record(training):
        seen.append((training, training.streams.generators))
        raise RuntimeError("operation not permitted when stream is capturing")

    trained(monkeypatch, tmp_path, record)
    ((training, before),) = seen
    for name, generators in training.streams.generators.items():
        assert not {id(each) for each in generators} & {id(each) for each in before[name]}


def test_a_strategy_that_replaces_its_tensors_is_named_and_not_replayed(monkeypatch, tmp_path):
    def counting(context):
        context.state["count"] = context.state.get("count", torch.zeros(())) + 1
        return context.normal() * context.state["count"]

    monkeypatch.setitem(CHOICES["strategy"], "counting", counting)

    def record(training):
        compute_step(training)  # as in a capture, the Python code runs
        return partial(compute_step, training)

    plain, _ = trained(monkeypatch, tmp_path, None, "counting")
    solver, (line,) = trained(monkeypatch, tmp_path, record, "counting")
    assert line.startswith(WITHOUT_GRAPH) and "miner count" in line
    assert same_bits(weights(plain), weights(solver))


def test_a_resumed_run_captures_a_new_graph_and_ends_the_same(monkeypatch, tmp_path):
    plain = silent_train(tiny(tmp_path / "plain", train_steps=30))
    monkeypatch.setattr(RunParams, "uses_cuda_graph", lambda params, device: True)
    monkeypatch.setattr(cuda_graph, "capture", lambda training: lambda: step.compute_step(training))
    params, compute, done = tiny(tmp_path / "broken", train_steps=30), step.compute_step, []

    def breaking(training):
        done.append(training.step)
        if len(done) == 20:
            raise KeyboardInterrupt
        compute(training)

    monkeypatch.setattr(step, "compute_step", breaking)
    with pytest.raises(KeyboardInterrupt):
        silent_train(params, checkpoint_seconds=0)
    solver = silent_train(params)
    assert solver.timing["resumed"] == 1 and same_bits(weights(plain), weights(solver))


def accumulators(training) -> list:
    """The node of autograd that sums the gradients of each weight; it lives as long as a graph that leads to it."""
    return [weight.view_as(weight).grad_fn.next_functions[0][0] for weight in training.weights]


def kept_accumulators(training) -> int:
    """How many of them outlive a step."""
    training_step(training)
    for node in (nodes := accumulators(training)):
        node.metadata["of this step"] = True
    training_step(training)
    del node, nodes
    return sum("of this step" in node.metadata for node in accumulators(training))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_no_accumulator_outlives_a_step(strategy, tmp_path):
    """One of a step before the capture would belong to another CUDA stream, which a capture refuses."""
    gc.disable()  # a graph that waits for the garbage collector would be there too
    try:
        training = TrainingState(tiny(tmp_path, strategy=strategy, replay_size=20, candidates=2))
        assert kept_accumulators(training) == 0
    finally:
        gc.enable()


def test_an_accumulator_that_is_kept_is_found(monkeypatch, tmp_path):
    def hoarding(context):
        with torch.enable_grad():
            context.state["energy"] = context.landscape(context.x0)[0]
        return context.normal()

    monkeypatch.setitem(CHOICES["strategy"], "hoarding", hoarding)
    training = TrainingState(tiny(tmp_path, strategy="hoarding"))
    assert kept_accumulators(training) == len(training.weights)


def test_only_a_gpu_uses_a_graph_and_only_with_compile():
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    assert [RunParams(compile=choice).uses_cuda_graph(cuda) for choice in ("auto", "no")] == [True, False]
    assert not any(RunParams(compile=choice).uses_cuda_graph(cpu) for choice in ("auto", "yes", "no"))


@pytest.mark.filterwarnings("ignore:CUDA is not available")
def test_bfloat16_casts_the_weights_at_every_step():
    """The cache of autocast would keep the first cast of each weight for the whole training."""
    with precision("bfloat16"):
        assert not torch.is_autocast_cache_enabled()
    assert torch.is_autocast_cache_enabled()


@on_gpu
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("setting", ["float32", "tf32", "bfloat16"])
def test_on_a_gpu_replayed_steps_give_the_weights_of_launched_ones(setting, strategy, tmp_path):
    lines = []
    settings = {"device": "cuda", "strategy": strategy, "replay_size": 20, "train_steps": 30, "precision": setting}
    launched = silent_train(tiny(tmp_path / "launched", **settings))
    replaying = loop.train(tiny(tmp_path / "replaying", **settings | {"compile": "auto"}), log=lines.append)
    assert WITH_GRAPH in lines
    for a, b in zip(weights(launched), weights(replaying)):
        assert torch.allclose(a, b, rtol=1e-2, atol=1e-4)
