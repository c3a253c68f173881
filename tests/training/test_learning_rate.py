"""The learning rate of each step against other forms of its formulas, and in the optimiser."""

import math

import pytest
from tiny import narrow, tiny  # noqa: F401

from anm.params import RunParams
from anm.training import learning_rate
from anm.training.learning_rate import DECAY_SHARE, WARMUP_STEPS, decay_start, rate_at
from anm.training.state import TrainingState
from anm.training.step import training_step


def rates(schedule, last, **settings):
    params = RunParams(schedule=schedule, **settings)
    return [rate_at(params, step, last) for step in range(last)]


def test_a_constant_rate_is_the_given_one():
    assert rates("constant", 7, learning_rate=0.003) == [0.003] * 7


@pytest.mark.parametrize("last", [1, 10, 1000])
def test_a_cosine_falls_as_the_square_of_the_cosine_of_half_the_angle(last):
    expected = [0.01 * math.cos(math.pi * step / last / 2) ** 2 for step in range(last)]
    assert rates("cosine", last, learning_rate=0.01) == pytest.approx(expected, abs=1e-12)


def test_warm_up_stable_decay_by_hand(monkeypatch):
    monkeypatch.setattr(learning_rate, "WARMUP_STEPS", 4)
    assert DECAY_SHARE == 0.25 and decay_start(20) == 15
    shares = [0.25, 0.5, 0.75] + [1.0] * 13 + [0.8, 0.6, 0.4, 0.2]  # the next one would be 0
    assert rates("wsd", 20, learning_rate=0.5) == pytest.approx([0.5 * share for share in shares])


def test_wsd_rises_over_the_same_steps_at_every_length_and_falls_to_zero():
    long, longest = rates("wsd", 1000), rates("wsd", 4000)
    assert long[: decay_start(1000)] == longest[: decay_start(1000)] and long[751] < longest[751]
    assert long[WARMUP_STEPS - 1] == long[749] == 1e-3 > long[WARMUP_STEPS - 2]
    assert long[-1] == pytest.approx(1e-3 / 250) and longest[-1] == pytest.approx(1e-3 / 1000)


@pytest.mark.parametrize("last, start", [(1, 0), (2, 1), (3, 2), (4, 3), (10, 8), (1000, 750), (1001, 751)])
def test_the_decay_takes_a_quarter_of_the_steps_and_at_least_one(last, start):
    assert decay_start(last) == start
    assert len(rates("wsd", last)) == last and all(0 < rate <= 1e-3 for rate in rates("wsd", last))


@pytest.mark.parametrize("schedule", ["constant", "cosine", "wsd"])
def test_the_optimiser_has_the_rate_of_each_step(schedule, tmp_path, monkeypatch):
    monkeypatch.setattr(learning_rate, "WARMUP_STEPS", 2)
    params = tiny(tmp_path, schedule=schedule, learning_rate=0.004)
    state, used = TrainingState(params, 9), []
    adam = state.optimiser.step
    monkeypatch.setattr(state.optimiser, "step", lambda: used.append(state.optimiser.param_groups[0]["lr"]) or adam())
    for _ in range(9):
        training_step(state)
    assert used == [rate_at(params, step, 9) for step in range(9)]
    assert (len(set(used)) == 1) == (schedule == "constant")
