"""The price of a step: paused time does not count, and one bad window does not set it."""

import pytest

from anm.clock import StepClock, seconds_per_step
from tiny import CPU, silent_train, tiny


@pytest.fixture
def passes(monkeypatch):
    """Let that many seconds pass."""
    now = [100.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])

    def later(seconds: float) -> None:
        now[0] += seconds

    return later


def test_a_window_is_divided_by_its_steps_and_what_happens_in_a_pause_is_left_out(passes):
    clock = StepClock(StepClock.timing_at_start(), CPU)
    passes(3)
    with clock.paused():
        passes(50)
    passes(1)
    with clock.paused():
        clock.close_window(8)
        passes(50)
    passes(2)
    with clock.paused():
        pass
    assert clock.timing == {"step_seconds": 6.0, "windows": [0.5], "window_seconds": 2.0, "resumed": 0}


def test_a_pause_ends_with_an_error_inside_it_too(passes):
    clock = StepClock(StepClock.timing_at_start(), CPU)
    with pytest.raises(ValueError), clock.paused():
        passes(50)
        raise ValueError
    with clock.paused():
        pass
    assert clock.timing["step_seconds"] == 0


def test_windows_in_which_the_machine_did_something_else_do_not_set_the_price():
    assert seconds_per_step({"windows": [0.3, 0.2, 3600.0, 0.25, 0.2, 0.21, 0.6, 0.8]}) == 0.21
    assert seconds_per_step({"windows": []}) is None


def test_a_training_closes_a_window_for_every_point_of_its_curves(tmp_path):
    timing = silent_train(tiny(tmp_path, train_steps=45)).timing
    assert len(timing["windows"]) == 23 and all(
        seconds > 0 for seconds in timing["windows"]
    )  # 22 of two steps, one of one
    assert (
        sum(2 * seconds for seconds in timing["windows"][:-1]) + timing["windows"][-1] <= timing["step_seconds"] * 1.001
    )
    assert timing["window_seconds"] >= 0
