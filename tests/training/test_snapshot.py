"""Snapshots: a training that returns to one goes on as if it had never left."""

import pytest
import torch
from tiny import narrow, same_bits, tensors, tiny  # noqa: F401

from anm.training.snapshot import Snapshot
from anm.training.state import TrainingState
from anm.training.step import training_step


def after(steps, state):
    for _ in range(steps):
        training_step(state)
    return state


def contents(state):
    """The parts that a step changes, without those that hold no tensor yet."""
    parts = state.checkpoint() | {"not finite": state.first_non_finite}
    return {name: part for name, part in parts.items() if tensors(part)}


@pytest.mark.parametrize("strategy", ["none", "adversarial", "replay", "greedy"])
@pytest.mark.parametrize("taken", [0, 1, 4])
def test_after_a_return_the_training_goes_on_as_if_undisturbed(taken, strategy, tmp_path, greedy):
    params = tiny(tmp_path, strategy=strategy, replay_size=20, schedule="cosine")
    state, undisturbed = (after(taken, TrainingState(params)) for _ in range(2))
    before = Snapshot(state)
    after(5, state)
    assert state.step == taken + 5 and not same_bits(contents(state)["model"], contents(undisturbed)["model"])
    before.restore()
    assert state.step == taken
    for steps in (0, 3):
        ours, theirs = contents(after(steps, state)), contents(after(steps, undisturbed))
        assert ours.keys() == theirs.keys() and {"model", "average", "streams"} <= ours.keys()
        for name in ours:
            assert same_bits(ours[name], theirs[name]), name


def test_a_snapshot_can_be_returned_to_again(tmp_path):
    state = after(2, TrainingState(tiny(tmp_path)))
    before, ends = Snapshot(state), []
    for _ in range(2):
        ends.append([weight.detach().clone() for weight in after(3, state).weights])
        before.restore()
    assert same_bits(*ends)


def test_tensors_that_a_step_replaces_are_named(tmp_path, register):
    def counting(context):
        context.state["count"] = context.state.get("count", torch.zeros(())) + 1
        return context.normal()

    register(counting)
    state = after(1, TrainingState(tiny(tmp_path, strategy="counting")))
    before = Snapshot(state)
    assert before.replaced() == []
    after(1, state)
    assert before.replaced() == ["miner count"]
    before.restore()
    assert before.replaced() == [] and state.miner_state["count"] == 1


def test_tensors_of_the_first_step_are_new(tmp_path):
    state = TrainingState(tiny(tmp_path))
    before = Snapshot(state)
    after(1, state)
    assert {name.rpartition(" ")[0] for name in before.replaced()} == {"optimiser", "sum", "not finite"}
