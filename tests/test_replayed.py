"""Steps replayed from a recording: that a step is one program at every step, and that only a faithful recording is used.

The recording itself needs a GPU; here another takes its place, faithful or not.
"""

import pytest
import torch
from tiny import narrow, same_bits, silent_train, tiny  # noqa: F401
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from anm import replayed, trainer
from anm.device import precision
from anm.params import CHOICES, RunParams
from anm.replayed import CHECKED, WARM_UP, Replayed
from anm.trainer import Training

STRATEGIES = sorted(CHOICES["strategy"])
FAITHFUL, KERNELS = "steps are replayed from a CUDA graph", "steps are launched kernel by kernel: no CUDA graph"
on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


class Program(TorchDispatchMode):
    """While open, writes down every operation with all its arguments, tensors by shape and type."""

    def __init__(self):
        super().__init__()
        self.lines: list[str] = []

    def __torch_dispatch__(self, function, types, arguments=(), kwargs=None):
        def told(value):
            if isinstance(value, (list, tuple)):
                return [told(part) for part in value]
            if isinstance(value, torch.Generator):
                return "a generator"
            return (tuple(value.shape), value.dtype) if isinstance(value, Tensor) else value

        if function.namespace != "profiler":  # which names each mark anew
            self.lines.append(
                f"{function} {told(arguments)} {dict(zip(kwargs or {}, told([*(kwargs or {}).values()])))}"
            )
        return function(*arguments, **(kwargs or {}))


def program(training: Training) -> list[str]:
    training.tell_step()
    with Program() as seen:
        training.compute()
    return seen.lines


@pytest.mark.parametrize(
    ("strategy", "energy"),
    [(name, "mlp") for name in STRATEGIES] + [("adversarial", "bilinear"), ("adversarial", "residual")],
)
def test_a_step_is_the_same_program_on_the_same_tensors_at_every_step(strategy, energy, tmp_path):
    """What a recording needs: no number of Python's that changes, nothing read back, nothing replaced."""
    training = Training(
        tiny(tmp_path, strategy=strategy, energy=energy, contrastive_warmup=20, replay_size=20, candidates=2)
    )
    training.update()
    tensors, first = training.changing(), program(training)
    for _ in range(10):
        training.update()
    assert program(training) == first and len(first) > 100
    assert not [line for line in first if "_local_scalar_dense" in line or "nonzero" in line]
    assert training.changing().keys() == tensors.keys() and all(
        training.changing()[name] is tensors[name] for name in tensors
    )


def trained(monkeypatch, tmp_path, record, strategy="replay", **settings) -> tuple:
    """The weights after a training whose steps are replayed from what `record` gives, and its lines."""
    lines: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(replayed, "record", record)
        patch.setattr(RunParams, "replays", lambda params, device: record is not None)
        params = tiny(tmp_path / str(len(list(tmp_path.iterdir()))), strategy=strategy, replay_size=20, **settings)
        solver = trainer.train(params, say=lines.append)
    return solver, [line for line in lines if line.startswith("steps are")]


def weights(solver) -> list[Tensor]:
    return list(solver.model.parameters())


@pytest.mark.parametrize("strategy", ["none", "adversarial", "replay"])
def test_a_faithful_recording_is_used_and_leaves_what_steps_without_it_leave(strategy, monkeypatch, tmp_path):
    replays = []

    def record(training):
        def replay():
            replays.append(training.step)
            training.compute()

        return replay

    plain, _ = trained(monkeypatch, tmp_path, None, strategy)
    solver, lines = trained(monkeypatch, tmp_path, record, strategy)
    assert (
        lines == [FAITHFUL] and same_bits(weights(plain), weights(solver)) and str(plain.history) == str(solver.history)
    )
    assert (
        replays == [WARM_UP, WARM_UP + 1, *range(WARM_UP, 12)] and CHECKED == 2
    )  # two to check it, then all that are left


def stale_problems(training):
    """A recording whose draws were recorded too: the same problems at every step."""
    states = training.streams.state()

    def replay():
        training.streams.restore(states)
        training.compute()

    return replay


def nothing_learnt(training):
    return lambda: None


def not_finite(training):
    def replay():
        training.compute()
        training.weights[0].data.fill_(float("nan"))

    return replay


def refused(training):
    training.streams.normal("problems", 3)  # a recording that has already drawn from the streams
    raise RuntimeError("operation not permitted when stream is capturing")


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (stale_problems, "replayed steps end"),
        (nothing_learnt, "replayed steps end"),
        (not_finite, "replayed steps end nan apart"),
        (refused, "not permitted when stream is capturing"),
    ],
)
def test_a_recording_that_does_something_else_is_not_used_and_leaves_no_trace(record, reason, monkeypatch, tmp_path):
    plain, _ = trained(monkeypatch, tmp_path, None)
    solver, (line,) = trained(monkeypatch, tmp_path, record)
    assert line.startswith(KERNELS) and reason in line
    assert same_bits(weights(plain), weights(solver)) and str(plain.history) == str(solver.history)


def test_a_strategy_that_replaces_what_it_keeps_is_named_and_not_recorded(monkeypatch, tmp_path):
    def counting(mine):
        mine.state["count"] = mine.state.get("count", torch.zeros(())) + 1
        return mine.normal() * mine.state["count"]

    monkeypatch.setitem(CHOICES["strategy"], "counting", counting)

    def record(training):
        training.compute()  # as while a graph is captured, what Python does happens
        return training.compute

    plain, _ = trained(monkeypatch, tmp_path, None, "counting")
    solver, (line,) = trained(monkeypatch, tmp_path, record, "counting")
    assert line.startswith(KERNELS) and "miner count" in line
    assert same_bits(weights(plain), weights(solver))


def test_a_run_that_resumes_records_anew_and_ends_the_same(monkeypatch, tmp_path):
    plain = silent_train(tiny(tmp_path / "plain", train_steps=30))
    monkeypatch.setattr(RunParams, "replays", lambda params, device: True)
    monkeypatch.setattr(replayed, "record", lambda training: training.compute)
    params, compute, done = tiny(tmp_path / "broken", train_steps=30), Training.compute, []

    def breaking(training):
        done.append(training.step)
        if len(done) == 20:
            raise KeyboardInterrupt
        compute(training)

    monkeypatch.setattr(Training, "compute", breaking)
    with pytest.raises(KeyboardInterrupt):
        silent_train(params, checkpoint_seconds=0)
    solver = silent_train(params)
    assert solver.timing["resumed"] == 1 and same_bits(weights(plain), weights(solver))


def test_only_a_gpu_replays_and_only_where_it_may():
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    assert [RunParams(compile=choice).replays(cuda) for choice in ("auto", "no")] == [True, False]
    assert not any(RunParams(compile=choice).replays(cpu) for choice in ("auto", "yes", "no"))


@pytest.mark.filterwarnings("ignore:CUDA is not available")
def test_bfloat16_casts_the_weights_anew_at_every_step():
    """The cache of autocast would keep the first cast of each weight for as long as the training lasts."""
    with precision("bfloat16"):
        assert not torch.is_autocast_cache_enabled()
    assert torch.is_autocast_cache_enabled()


@on_gpu
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("setting", ["float32", "tf32", "bfloat16"])
def test_on_a_gpu_replayed_steps_end_where_launched_ones_do(setting, strategy, tmp_path):
    lines = []
    settings = {"device": "cuda", "strategy": strategy, "replay_size": 20, "train_steps": 30, "precision": setting}
    launched = silent_train(tiny(tmp_path / "launched", **settings))
    replaying = trainer.train(tiny(tmp_path / "replaying", **settings | {"compile": "auto"}), say=lines.append)
    assert FAITHFUL in lines
    for a, b in zip(weights(launched), weights(replaying)):
        assert torch.allclose(a, b, rtol=1e-2, atol=1e-4)
