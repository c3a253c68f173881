"""Losses and gradients that are not finite stop a run with an error that names the first one."""

import pytest
import torch
from tiny import narrow, silent_train, tiny  # noqa: F401

from anm.training import checkpoints, loop, step
from anm.training.state import TrainingError
from anm.training.step import draw_batch, training_step

nan = float("nan")


def poisoned(at, seed, value=nan):
    """A strategy whose negatives are not finite for one seed at one step."""

    def spoilt(context):
        count = context.state["count"] = context.state.get("count", torch.zeros((), dtype=torch.int64)) + 1
        x = context.normal()
        if int(count) == at:
            x[seed, 0, 0, 0] = value
        return x

    return spoilt


@pytest.fixture
def steps_taken(monkeypatch):
    """The numbers of all steps taken in a test."""
    taken = []

    def counted_step(state):
        taken.append(state.step + 1)
        training_step(state)

    monkeypatch.setattr(loop, "training_step", counted_step)
    return taken


@pytest.mark.parametrize("at, row", [(1, 0), (7, 1), (12, 0)])
def test_a_negative_that_is_not_finite_stops_the_run_at_that_step(at, row, tmp_path, register, steps_taken):
    register(poisoned(at, row))
    params = tiny(tmp_path, strategy="spoilt", seeds="3,8")
    with pytest.raises(
        TrainingError,
        match=rf"step {at}: contrast of seed {(3, 8)[row]} is not finite \(strategy spoilt, learning_rate 0.001\)",
    ):
        silent_train(params, checkpoint_seconds=0)
    assert steps_taken == list(range(1, at + 1))
    saved = checkpoints.latest(params, params.train_steps)
    assert (saved["step"] if saved else 0) == at - 1
    if saved:
        assert all(part.isfinite().all() for part in list(saved["model"].values()) + list(saved["average"].values()))
    with pytest.raises(TrainingError, match=f"step {at}: contrast"):  # and again after resuming
        silent_train(params)


def test_a_learning_rate_that_blows_up_is_an_error(tmp_path, steps_taken):
    params = tiny(tmp_path, strategy="none", learning_rate=1.0, train_steps=500)
    with pytest.raises(
        TrainingError,
        match=r"step \d+: (denoise|grad_norm) of seed [01] is not finite \(strategy none, learning_rate 1\)",
    ) as caught:
        silent_train(params)
    assert f"step {steps_taken[-1]}:" in str(caught.value) and steps_taken[-1] < 500


@pytest.mark.parametrize(
    "spoil, term",
    [
        (lambda training, context, eps: eps[1, 0].fill_(nan), "denoise"),
        (lambda training, context, eps: eps[1, 0].fill_(float("inf")), "denoise"),
        (lambda training, context, eps: training.model.output.weight.data[1].fill_(nan), "denoise"),
        (
            lambda training, context, eps: training.model.answer.register_hook(
                lambda g: g.index_fill(0, torch.tensor(1), nan)
            ),
            "grad_norm",
        ),
    ],
)
def test_the_first_term_that_is_not_finite_is_named(spoil, term, tmp_path, monkeypatch):
    def spoilt(state):
        context, eps = draw_batch(state)
        if state.step == 3:
            spoil(state, context, eps)
        return context, eps

    monkeypatch.setattr(step, "draw_batch", spoilt)
    with pytest.raises(TrainingError, match=f"step 4: {term} of seed 1 is not finite"):
        silent_train(tiny(tmp_path))
