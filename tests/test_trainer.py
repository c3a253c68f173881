"""The training loop: paired seeds, ends that do not depend on breaks, and errors that say what went wrong."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from tiny import narrow, same_bits, silent_train, tiny  # noqa: F401

import anm
from anm import checkpoint, trainer
from anm.interrupt import Interrupted, StopSignal
from anm.miners import miner
from anm.params import CHOICES, RunParams
from anm.trainer import Training, TrainingError, clip_per_seed, train, untrained

nan = float("nan")


@pytest.fixture
def register(monkeypatch):
    """Enters a strategy for the time of a test."""
    monkeypatch.setitem(CHOICES, "strategy", dict(CHOICES["strategy"]))
    return miner


def weights(solver):
    return list(solver.model.state_dict().values())


def test_gradients_are_clipped_seed_by_seed_by_hand():
    # seed 0: norm sqrt(9 + 16) = 5; seed 1: norm 0.5, below the limit
    gradients = [torch.tensor([[[3.0], [0.0]], [[0.3], [0.0]]]), torch.tensor([[4.0], [0.4]])]
    norm = clip_per_seed(gradients, 1.0)
    torch.testing.assert_close(norm, torch.tensor([5.0, 0.5]))
    torch.testing.assert_close(gradients[0], torch.tensor([[[0.6], [0.0]], [[0.3], [0.0]]]))
    torch.testing.assert_close(gradients[1], torch.tensor([[0.8], [0.4]]))


def record_draws(params, steps=4):
    """The initial weights, and what every step got to see: problems, answers, levels and noise; the contrast's noise apart."""
    training = Training(params)
    start, seen, contrast = [weight.detach().clone() for weight in training.weights], [], []
    draw = training.draw

    def watched():
        mine, eps = draw()
        seen.append([part.clone() for part in (mine.A, mine.x0, mine.t, eps)])
        contrast.append(mine)
        return mine, eps

    training.draw = watched
    for _ in range(steps):
        training.update()
    return start, seen, [mine.eps for mine in contrast], [weight.detach() for weight in training.weights]


def greedy(mine):
    """Draws much from its own stream, and differently at every step."""
    count = mine.state["count"] = mine.state.get("count", torch.zeros((), dtype=torch.int64)) + 1
    for _ in range(int(count)):
        mine.streams.normal("miner", 1000)
        mine.streams.integers("miner", 7, 13)
    torch.randn(5)
    return mine.normal() + mine.streams.uniform("miner", *mine.x0.shape[1:])


def test_all_strategies_see_the_same_weights_problems_and_noise(tmp_path, register):
    register(greedy)
    start, seen, contrast, end = record_draws(tiny(tmp_path, strategy="adversarial"))
    for strategy in ("none", "random", "greedy"):
        other_start, other_seen, other_contrast, other_end = record_draws(tiny(tmp_path, strategy=strategy))
        assert same_bits(start, other_start) and same_bits(seen, other_seen)
        assert strategy == "none" or same_bits(contrast, other_contrast)
        assert not same_bits(end, other_end)  # and yet they are not one strategy
    assert len(seen) == 4 and not torch.equal(seen[0][0], seen[1][0])


def test_the_settings_of_a_strategy_do_not_change_what_it_sees(tmp_path):
    start, seen, contrast, end = record_draws(tiny(tmp_path))
    other = record_draws(tiny(tmp_path, mining_opt_steps=7, mining_noise_scale=0.1, contrastive_weight=3))
    assert same_bits([start, seen, contrast], list(other[:3])) and not same_bits(end, other[3])


def test_an_evaluation_on_the_way_takes_nothing_from_the_run_s_streams(tmp_path, monkeypatch):
    often = silent_train(tiny(tmp_path / "often"))
    monkeypatch.setattr(trainer, "VALIDATIONS", 1)
    assert same_bits(weights(often), weights(silent_train(tiny(tmp_path / "once"))))


@pytest.mark.parametrize("strategy", ["none", "adversarial"])
def test_a_seed_alone_trains_as_it_does_in_a_stack(strategy, tmp_path):
    stack = silent_train(tiny(tmp_path, strategy=strategy, seeds="0-3"))
    alone = silent_train(tiny(tmp_path, strategy=strategy, seeds="2"))
    reversed_ = silent_train(tiny(tmp_path, strategy=strategy, seeds="3,2"))
    start = weights(untrained(tiny(tmp_path, seeds="2")))
    for before, a, b, c in zip(start, weights(alone), weights(stack), weights(reversed_)):
        moved = (a - before).abs().max()
        assert (b[2] - a[0]).abs().max() <= 0.02 * moved and (c[1] - a[0]).abs().max() <= 0.02 * moved
    for name in ("loss", "grad_norm", "mse_same"):
        for together, single in zip(stack.history[name], alone.history[name]):
            assert together[2] == pytest.approx(single[0], rel=1e-4)
            assert together[1] != pytest.approx(single[0], rel=1e-4)


def test_the_same_run_twice_is_the_same_bit_for_bit(tmp_path):
    torch.manual_seed(0)
    first = silent_train(tiny(tmp_path / "1"))
    torch.manual_seed(1)
    second = silent_train(tiny(tmp_path / "2"))
    assert same_bits(weights(first), weights(second)) and str(first.history) == str(second.history)


def test_the_averaged_weights_by_definition(tmp_path):
    training = Training(tiny(tmp_path))
    average = [weight.detach().double() for weight in training.weights]
    for step in range(1, 6):
        training.update()
        keep = min(0.9995, (1 + step) / (10 + step))
        average = [keep * a + (1 - keep) * weight.detach().double() for a, weight in zip(average, training.weights)]
    for a, b in zip(average, training.average.parameters()):
        torch.testing.assert_close(b.double(), a, rtol=1e-5, atol=1e-7)
    assert not any(parameter.requires_grad for parameter in training.average.parameters())
    solver = training.solver()
    A, x_t, t = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4), torch.zeros(2, 3, dtype=torch.int64)
    assert not torch.allclose(solver.model.energy(A, x_t, t), training.model.energy(A, x_t, t))
    copy = Training(tiny(tmp_path)).average
    copy.load_state_dict(training.average.state_dict())
    assert torch.equal(solver.model.energy(A, x_t, t), copy.energy(A, x_t, t))


def test_training_learns(tmp_path):
    solver = silent_train(tiny(tmp_path, strategy="none", train_steps=150, batch_size=32))
    loss, mse = solver.history["loss"], solver.history["mse_same"]
    assert all(end < 0.8 * start for start, end in zip(loss[0], loss[-1]))
    assert all(end < 0.9 * start for start, end in zip(mse[0], mse[-1]))


CHANGES = {
    "strategy": "random",
    "noise_levels": 5,
    "batch_size": 9,
    "learning_rate": 2e-3,
    "seeds": "1-2",
    "mining_opt_steps": 3,
    "mining_noise_scale": 2.0,
    "contrastive_weight": 0.4,
    "answer_bound": 0.2,
}


@pytest.mark.parametrize("name", CHANGES)
def test_every_setting_reaches_the_training(name, tmp_path):
    """In the prior study most settings were never passed on."""
    as_usual, changed = (
        silent_train(tiny(tmp_path, train_steps=3, **change)) for change in ({}, {name: CHANGES[name]})
    )
    assert not same_bits(weights(as_usual), weights(changed))


def test_settings_of_the_answer_reach_the_learning_curve(tmp_path):
    as_usual, changed = (silent_train(tiny(tmp_path, train_steps=3, landscape_steps=steps)) for steps in (2, 4))
    assert (
        same_bits(weights(as_usual), weights(changed)) and as_usual.history["mse_same"] != changed.history["mse_same"]
    )


def test_a_run_says_what_it_does(tmp_path):
    lines = []
    solver = train(tiny(tmp_path, train_steps=100), say=lines.append)
    assert (
        "strategy adversarial" in lines[0]
        and "seeds 0,1" in lines[0]
        and tiny(tmp_path, train_steps=100).identity() in lines[0]
    )
    assert len(lines) == 1 + len(solver.history["step"]) <= 41
    for said in ("100/100", "denoise", "contrast", "E+", "E-", "distance", "kept", "ms/step"):
        assert said in lines[-1]
    history = solver.history
    assert history["step"][-1] == history["mse_step"][-1] == 100 and all(
        len(row) == 2 for row in history["loss"] + history["mse_same"]
    )
    assert all(len(rows) == len(history["step"]) and len(rows[0]) == 4 for rows in history["by_level"].values())


def test_without_contrast_there_is_none_in_the_log(tmp_path):
    lines = []
    history = train(tiny(tmp_path, strategy="none"), say=lines.append).history
    assert history["contrast"] == [[None, None]] * len(history["step"]) and "contrast" not in lines[-1]
    assert history["by_level"]["energy_negative"][0] == [None] * 4


class Break(Exception):
    """Power goes."""


def broken_at(steps, params, monkeypatch, **options):
    """Train, with a break after each of these steps, to the end."""
    update = Training.update
    for step in steps:

        def until(self, last=step):
            if self.step == last:
                raise Break
            update(self)

        with monkeypatch.context() as patch, pytest.raises(Break):
            patch.setattr(Training, "update", until)
            silent_train(params, **options)
    return silent_train(params, **options)


@pytest.mark.parametrize("strategy", ["none", "adversarial", "replay", "greedy"])
def test_a_run_with_breaks_ends_as_one_without(strategy, tmp_path, monkeypatch, register):
    register(greedy)
    settings = {"strategy": strategy, "train_steps": 45, "replay_size": 30, "batch_size": 4}
    whole = silent_train(tiny(tmp_path / "whole", **settings))
    broken = broken_at((1, 2, 15, 16, 38, 44), tiny(tmp_path / "broken", **settings), monkeypatch, checkpoint_seconds=0)
    assert same_bits(weights(whole), weights(broken)) and str(whole.history) == str(broken.history)
    assert broken.timing["resumed"] == 6 and whole.timing["resumed"] == 0


def test_the_code_on_record_is_that_of_the_start_and_of_every_leg(tmp_path, monkeypatch):
    states = iter([("first", False), ("second", False), ("second", False)])
    monkeypatch.setattr(trainer, "git_state", lambda: next(states))
    broken = broken_at((5,), tiny(tmp_path / "broken"), monkeypatch, checkpoint_seconds=0)
    assert broken.timing["code"] == ("second", True), "no commit holds the code of both legs"
    assert silent_train(tiny(tmp_path / "whole")).timing["code"] == ("second", False)


def test_without_resume_a_run_starts_anew(tmp_path, monkeypatch):
    params = tiny(tmp_path, resume=False)
    solver = broken_at((5,), params, monkeypatch, checkpoint_seconds=0)
    assert solver.timing["resumed"] == 0
    assert same_bits(weights(solver), weights(silent_train(tiny(tmp_path / "other"))))


def test_a_finished_run_is_not_trained_again(tmp_path, monkeypatch):
    params = tiny(tmp_path)
    first = silent_train(params)
    monkeypatch.setattr(Training, "update", None)
    again = silent_train(params)
    assert again.step == 12 and same_bits(weights(first), weights(again)) and str(again.history) == str(first.history)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks its runs")
def test_a_run_killed_at_twenty_random_moments_ends_as_one_that_was_not(tmp_path):
    here = Path(__file__).parent
    paths = os.pathsep.join([str(here.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, here / "killed_runs.py", tmp_path, "adversarial", "1"],
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert len(found["reached"]) == 20 and len(set(found["reached"])) > 5, found["reached"]
    assert set(found["whole"]["record"]) >= {"results", "curves", "landscape"} and found["whole"]["weights"]
    assert found["ends"] and all(end == found["whole"] for end in found["ends"])


STOPS = [name for name in ("SIGINT", "SIGTERM", "SIGUSR2") if hasattr(signal, name)]


def sending(name, at, strategy=None):
    """A strategy that is hit by a signal at a step."""

    def struck(mine):
        count = mine.state["count"] = mine.state.get("count", torch.zeros((), dtype=torch.int64)) + 1
        if int(count) == at[0]:
            at[0] = None
            signal.raise_signal(getattr(signal, name))
        return mine.x0 / 2

    return struck


@pytest.mark.parametrize("name", STOPS)
def test_a_signal_stops_the_run_with_a_checkpoint_that_it_goes_on_from(name, tmp_path, register):
    at = [5]
    register(sending(name, at))
    handlers = [signal.getsignal(getattr(signal, stop)) for stop in STOPS]
    params = tiny(tmp_path / "stopped", strategy="struck")
    with pytest.raises(Interrupted, match=f"stopped at step 5 of 12 by {name}; a checkpoint is written"):
        silent_train(params)
    assert [path.name for path in checkpoint.checkpoints(checkpoint.run_folder(params))] == ["step-000000005.pt"]
    assert [signal.getsignal(getattr(signal, stop)) for stop in STOPS] == handlers
    lines = []
    solver = train(params, say=lines.append)
    assert "resumed at step 5 of 12" in lines[1] and solver.timing["resumed"] == 1
    whole = silent_train(tiny(tmp_path / "whole", strategy="struck"))
    assert same_bits(weights(whole), weights(solver)) and str(whole.history) == str(solver.history)


def test_a_signal_at_the_last_step_stops_nothing(tmp_path, register):
    register(sending("SIGTERM", [12]))
    assert silent_train(tiny(tmp_path, strategy="struck")).step == 12


def test_training_in_a_thread_leaves_signals_alone(tmp_path):
    found = []
    thread = threading.Thread(target=lambda: found.append(silent_train(tiny(tmp_path)).step))
    thread.start()
    thread.join()
    assert found == [12]


def test_a_handler_that_is_not_python_s_is_given_back_without_an_error(monkeypatch):
    before = signal.getsignal(signal.SIGTERM)
    real = signal.signal
    monkeypatch.setattr(signal, "signal", lambda number, handler: real(number, handler) and None)
    with StopSignal():
        pass
    monkeypatch.undo()
    signal.signal(signal.SIGTERM, before)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def poisoned(at, seed, value=nan):
    """A strategy whose negatives for one seed of the stack are spoilt at a step."""

    def spoilt(mine):
        count = mine.state["count"] = mine.state.get("count", torch.zeros((), dtype=torch.int64)) + 1
        x = mine.normal()
        if int(count) == at:
            x[seed, 0, 0, 0] = value
        return x

    return spoilt


@pytest.fixture
def steps_taken(monkeypatch):
    """Counts the steps of all trainings in a test."""
    taken, update = [], Training.update

    def counted(self):
        taken.append(self.step + 1)
        update(self)

    monkeypatch.setattr(Training, "update", counted)
    return taken


@pytest.mark.parametrize("at, row", [(1, 0), (7, 1), (12, 0)])
def test_a_negative_that_is_not_a_number_stops_the_run_at_that_step_as_contrast(
    at, row, tmp_path, register, steps_taken
):
    register(poisoned(at, row))
    params = tiny(tmp_path, strategy="spoilt", seeds="3,8")
    with pytest.raises(
        TrainingError,
        match=rf"step {at}: contrast of seed {(3, 8)[row]} is not finite \(strategy spoilt, learning_rate 0.001\)",
    ):
        silent_train(params, checkpoint_seconds=0)
    assert steps_taken == list(range(1, at + 1))
    saved = checkpoint.latest(params)
    assert (saved["step"] if saved else 0) == at - 1
    if saved:
        assert all(part.isfinite().all() for part in list(saved["model"].values()) + list(saved["average"].values()))
    with pytest.raises(TrainingError, match=f"step {at}: contrast"):  # and no other way when it goes on
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
        (lambda training, mine, eps: eps[1, 0].fill_(nan), "denoise"),
        (lambda training, mine, eps: eps[1, 0].fill_(float("inf")), "denoise"),
        (lambda training, mine, eps: training.model.output.weight.data[1].fill_(nan), "denoise"),
        (
            lambda training, mine, eps: training.model.answer.register_hook(
                lambda g: g.index_fill(0, torch.tensor(1), nan)
            ),
            "grad_norm",
        ),
    ],
)
def test_the_term_that_went_first_is_named(spoil, term, tmp_path, monkeypatch):
    draw = Training.draw

    def spoilt(self):
        mine, eps = draw(self)
        if self.step == 3:
            spoil(self, mine, eps)
        return mine, eps

    monkeypatch.setattr(Training, "draw", spoilt)
    with pytest.raises(TrainingError, match=f"step 4: {term} of seed 1 is not finite"):
        silent_train(tiny(tmp_path))


def test_errors_and_the_loop_are_part_of_the_package_s_face():
    assert (
        anm.train is train
        and anm.TrainingError is TrainingError
        and anm.Interrupted is Interrupted
        and anm.RunParams is RunParams
    )
