"""Budget points: the weights of shorter trainings from branches of a long one, also after interruptions."""

import signal

import pytest
import torch
from broken_runs import broken_at
from tiny import narrow, same_bits, silent_train, tiny  # noqa: F401

from anm.params import RunParams
from anm.training import checkpoints, cuda_graph, learning_rate, loop
from anm.training.loop import train
from anm.training.state import TrainingError
from anm.training.step import compute_step
from anm.utils.signals import Interrupted

POINTS, STEPS = "0.25,0.5,1", (12, 24, 48)  # branches of wsd begin at steps 9 and 18


@pytest.fixture(autouse=True)
def short_warm_up(monkeypatch):
    """A warm-up that ends before the first branch begins."""
    monkeypatch.setattr(learning_rate, "WARMUP_STEPS", 3)


def pointed(folder, **settings) -> RunParams:
    """Settings of a run of 48 steps that is scored at a quarter, a half and all of them."""
    given = {"train_steps": STEPS[-1], "budget_points": POINTS, "schedule": "wsd", "batch_size": 4, "replay_size": 30}
    return tiny(folder, **given | settings)


def weights(solver):
    return solver.model.state_dict()


@pytest.mark.parametrize("strategy", ["none", "adversarial", "replay", "greedy"])
def test_a_point_has_the_weights_of_a_training_of_that_length(strategy, tmp_path, greedy):
    long = silent_train(pointed(tmp_path, strategy=strategy))
    assert list(long.annealed) == [12, 24] and long.step == 48
    for steps in (12, 24):
        alone = silent_train(pointed(tmp_path, strategy=strategy, train_steps=steps, budget_points="1"))
        assert same_bits(long.annealed[steps], weights(alone)) and not alone.annealed


def test_the_rate_falls_within_a_branch(tmp_path, monkeypatch):
    annealed = silent_train(pointed(tmp_path)).annealed
    monkeypatch.setattr(learning_rate, "DECAY_SHARE", 1e-9)  # of one step alone
    assert not same_bits(annealed[12], silent_train(pointed(tmp_path / "other")).annealed[12])


def test_with_a_constant_rate_a_point_has_the_weights_of_its_step(tmp_path):
    long = silent_train(pointed(tmp_path, schedule="constant"))
    alone = silent_train(pointed(tmp_path, schedule="constant", train_steps=24, budget_points="1"))
    assert list(long.annealed) == [12, 24] and same_bits(long.annealed[24], weights(alone))


@pytest.mark.parametrize("strategy", ["none", "adversarial", "replay", "greedy"])
@pytest.mark.parametrize("schedule", ["constant", "wsd"])
def test_branches_do_not_change_the_training(schedule, strategy, tmp_path, greedy):
    settings = {"strategy": strategy, "schedule": schedule}
    with_points, without = (silent_train(pointed(tmp_path, **settings, budget_points=p)) for p in (POINTS, "1"))
    assert same_bits(weights(with_points), weights(without)) and str(with_points.history) == str(without.history)
    assert with_points.annealed and not without.annealed


def test_two_branches_can_begin_at_one_step_and_one_before_the_first_step(tmp_path):
    params = pointed(tmp_path, train_steps=12, budget_points="0.1,0.42,0.5,1")
    assert [learning_rate.decay_start(steps) for steps in (1, 5, 6)] == [0, 4, 4]
    long = silent_train(params)
    assert list(long.annealed) == [1, 5, 6]
    for steps, annealed in long.annealed.items():
        alone = silent_train(pointed(tmp_path, train_steps=steps, budget_points="1"))
        assert same_bits(annealed, weights(alone)), steps
    without = silent_train(pointed(tmp_path, train_steps=12, budget_points="1"))
    assert same_bits(weights(long), weights(without)) and str(long.history) == str(without.history)


BREAKS = {  # counted as steps of the training or of the branch that is being taken
    "before a branch": (8,),
    "at the first step of a branch": (9,),
    "inside a branch": (10, 11),
    "after a branch": (12,),
    "between two branches and inside both": (10, 15, 19, 23, 40),
}


@pytest.mark.parametrize("schedule", ["constant", "wsd"])
@pytest.mark.parametrize("breaks", BREAKS)
def test_a_run_with_breaks_has_the_weights_of_one_without(breaks, schedule, tmp_path, monkeypatch):
    settings = {"strategy": "replay", "schedule": schedule}
    whole = silent_train(pointed(tmp_path / "whole", **settings))
    broken = broken_at(BREAKS[breaks], pointed(tmp_path / "broken", **settings), monkeypatch, checkpoint_seconds=0)
    assert (
        broken.timing["resumed"] > 0
        and list(broken.annealed) == [12, 24]
        and same_bits(whole.annealed, broken.annealed)
    )
    assert same_bits(weights(whole), weights(broken)) and str(whole.history) == str(broken.history)


@pytest.mark.parametrize("at, stopped, kept", [(9, 9, []), (10, 9, []), (12, 9, [12]), (13, 10, [12]), (25, 18, [12])])
def test_after_a_signal_a_branch_begins_again(at, stopped, kept, tmp_path, register):
    """at: in the order in which steps are taken; 10 to 12 are those of the first branch, 22 to 27 of the second."""
    taken = []

    def struck(context):
        if context.params.budget_points == POINTS:  # it has another value where FLOPs are counted
            taken.append(context.t)
            if len(taken) == at:
                signal.raise_signal(signal.SIGTERM)
        return context.x0 / 2

    register(struck)
    params = pointed(tmp_path / "stopped", strategy="struck")
    with pytest.raises(Interrupted, match=f"stopped at step {stopped} of 48 by SIGTERM; a checkpoint is written"):
        silent_train(params)
    (path,) = checkpoints.list_checkpoints(checkpoints.run_folder(params))
    saved = checkpoints.read_checkpoint(path)
    assert saved["step"] == stopped and list(saved["annealed"]) == kept
    lines = []
    solver = train(params, log=lines.append)
    assert f"resumed at step {stopped} of 48" in lines and list(solver.annealed) == [12, 24]
    whole = silent_train(pointed(tmp_path / "whole", strategy="struck"))
    assert same_bits(whole.annealed, solver.annealed) and same_bits(weights(whole), weights(solver))
    assert str(whole.history) == str(solver.history)


def test_the_log_names_each_branch_and_a_checkpoint_keeps_its_weights(tmp_path):
    lines, params = [], pointed(tmp_path)
    solver = train(params, log=lines.append)
    assert [line for line in lines if "annealed" in line] == [f"annealed for a training of {s} steps" for s in (12, 24)]
    (path, *_) = checkpoints.list_checkpoints(checkpoints.run_folder(params))
    assert same_bits(loop.load(path, "cpu").annealed, solver.annealed)


def test_a_loss_that_is_not_finite_inside_a_branch_ends_the_run(tmp_path, register):
    def spoilt(context):
        count = context.state["count"] = context.state.get("count", torch.zeros((), dtype=torch.int64)) + 1
        return context.normal() * (float("nan") if int(count) == 11 else 1)

    register(spoilt)
    with pytest.raises(TrainingError, match="step 11: contrast of seed 0 is not finite"):
        silent_train(pointed(tmp_path, strategy="spoilt"), checkpoint_seconds=0)
    (path, *_) = checkpoints.list_checkpoints(checkpoints.run_folder(pointed(tmp_path, strategy="spoilt")))
    assert path.name == "step-000000009.pt"


@pytest.mark.parametrize("points", ["0.34,1", "0.5,1"])
def test_a_graph_that_is_captured_in_a_branch_or_before_it_changes_nothing(points, tmp_path, monkeypatch):
    """The branch to step 4 begins at step 3, with the step that captures; the branch to step 6 begins after it."""
    settings = {"train_steps": 12, "budget_points": points, "strategy": "replay"}
    plain = silent_train(pointed(tmp_path / "plain", **settings))
    monkeypatch.setattr(RunParams, "uses_cuda_graph", lambda params, device: True)
    monkeypatch.setattr(cuda_graph, "capture", lambda training: lambda: compute_step(training))
    lines = []
    replayed = train(pointed(tmp_path / "replayed", **settings), log=lines.append)
    assert "steps are replayed from a CUDA graph" in lines
    assert same_bits(plain.annealed, replayed.annealed) and same_bits(weights(plain), weights(replayed))
