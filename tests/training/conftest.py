"""Fixtures of the training tests: strategies registered for one test, and a run's folder with checkpoints."""

import pytest
import torch
from tiny import tiny

from anm.registry import CHOICES, miner
from anm.training.checkpoints import run_folder, save
from anm.training.state import TrainingState
from anm.training.step import training_step


@pytest.fixture
def register(monkeypatch):
    """Registers a strategy for the duration of a test."""
    monkeypatch.setitem(CHOICES, "strategy", dict(CHOICES["strategy"]))
    return miner


@pytest.fixture
def greedy(register):
    """Registers a strategy that draws many numbers from its own stream, more at every step."""

    def greedy(context):
        count = context.state["count"] = context.state.get("count", torch.zeros((), dtype=torch.int64)) + 1
        for _ in range(int(count)):
            context.streams.normal("miner", 1000)
            context.streams.integers("miner", 7, 13)
        torch.randn(5)
        return context.normal() + context.streams.uniform("miner", *context.x0.shape[1:])

    return register(greedy)


@pytest.fixture
def params(tmp_path):
    return tiny(tmp_path / "checkpoints")


@pytest.fixture
def run(params):
    """A run's folder with good checkpoints of steps 2 and 3."""
    training = TrainingState(params)
    for step in (1, 2, 3):
        training_step(training)
        if step > 1:
            save(params, step, training.checkpoint())
    return run_folder(params)
