"""The time per step: pauses are left out, and slow windows do not change it."""

import pytest
from tiny import CPU, silent_train, tiny

from anm.training.timer import StepTimer, seconds_per_step


@pytest.fixture
def passes(monkeypatch):
    """A function that lets so many seconds pass."""
    now = [100.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])

    def later(seconds: float) -> None:
        now[0] += seconds

    return later


def test_time_per_step_without_pauses_by_hand(passes):
    timer = StepTimer(StepTimer.timing_at_start(), CPU)
    passes(3)
    with timer.paused():
        passes(50)
    passes(1)
    with timer.paused():
        timer.close_window(8)
        passes(50)
    passes(2)
    with timer.paused():
        pass
    assert timer.timing == {"step_seconds": 6.0, "windows": [0.5], "window_seconds": 2.0, "resumed": 0}


def test_a_pause_ends_with_an_error_inside_it_too(passes):
    timer = StepTimer(StepTimer.timing_at_start(), CPU)
    with pytest.raises(ValueError), timer.paused():
        passes(50)
        raise ValueError
    with timer.paused():
        pass
    assert timer.timing["step_seconds"] == 0


def test_slow_windows_do_not_change_the_time_per_step():
    assert seconds_per_step({"windows": [0.3, 0.2, 3600.0, 0.25, 0.2, 0.21, 0.6, 0.8]}) == 0.21
    assert seconds_per_step({"windows": []}) is None


def test_a_training_closes_a_window_for_every_point_of_its_metrics(tmp_path):
    timing = silent_train(tiny(tmp_path, train_steps=45)).timing
    assert len(timing["windows"]) == 23 and all(
        seconds > 0 for seconds in timing["windows"]
    )  # 22 of two steps, one of one
    assert (
        sum(2 * seconds for seconds in timing["windows"][:-1]) + timing["windows"][-1] <= timing["step_seconds"] * 1.001
    )
    assert timing["window_seconds"] >= 0
