"""Training metrics: means over windows against values computed by hand."""

import json
import math

import pytest
import torch
from tiny import CPU

from anm.training.metrics import WINDOWS, TrainingMetrics


def per_seed(*values):
    return {"loss": torch.tensor(values), "denoise": torch.tensor(values) / 2, "grad_norm": torch.tensor(values) * 10}


def windows(train_steps):
    metrics, at = TrainingMetrics(train_steps, 2), []
    for step in range(1, train_steps + 1):
        if metrics.window_ends(step):
            at.append(step)
    return at


@pytest.mark.parametrize("train_steps", [1, 2, 39, 40, 41, 100, 1001])
def test_windows_are_few_of_equal_length_and_end_with_the_run(train_steps):
    ends = windows(train_steps)
    assert ends[-1] == train_steps and len(ends) <= WINDOWS and len(ends) >= min(train_steps, WINDOWS // 2)
    lengths = [b - a for a, b in zip([0] + ends, ends)]
    assert len(set(lengths[:-1])) <= 1 and lengths[-1] <= lengths[0]


def test_means_over_a_window_by_hand():
    metrics = TrainingMetrics(4, 3)
    metrics.add({"denoise": torch.tensor([[1.0, 2.0], [3.0, 4.0]])}, torch.tensor([[0, 2], [0, 0]]), per_seed(1.0, 3.0))
    metrics.add({"denoise": torch.tensor([[5.0, 6.0], [7.0, 8.0]])}, torch.tensor([[0, 0], [2, 0]]), per_seed(2.0, 5.0))
    line = metrics.close_window(2)
    history = metrics.history
    assert history["step"] == [2] and history["loss"] == [[1.5, 4.0]] and history["denoise"] == [[0.75, 2.0]]
    assert history["grad_norm"] == [[15.0, 40.0]] and history["contrast"] == [[None, None]]
    # level 0: 1, 3, 4, 5, 6, 8; level 1: none; level 2: 2, 7
    zero, one, two = history["by_level"]["denoise"][0]
    assert (zero, two) == (27 / 6, 4.5) and math.isnan(one)
    assert history["by_level"]["contrast"] == history["by_level"]["accepted"] == [[None] * 3]
    assert line == {"denoise": 36 / 8}


def test_a_window_starts_from_zero():
    metrics, t = TrainingMetrics(4, 2), torch.tensor([[0, 1]])
    for step, value in enumerate((100.0, 1.0), start=1):
        metrics.add({"denoise": torch.tensor([[value, value]])}, t, per_seed(value))
        metrics.close_window(step)
    assert metrics.history["loss"] == [[100.0], [1.0]] and metrics.history["by_level"]["denoise"] == [
        [100.0] * 2,
        [1.0] * 2,
    ]


def test_a_strategy_that_does_not_contrast_at_every_step():
    """Per seed: the mean over all steps. Per level: the mean over rows with a negative."""
    metrics, t = TrainingMetrics(3, 2), torch.tensor([[0, 1]])
    ones = torch.ones(1, 2)
    metrics.add({"denoise": ones}, t, per_seed(1.0))
    contrasting = {"denoise": ones, "contrast": 0.6 * ones, "distance": 0.2 * ones, "counts": ones}
    metrics.add(contrasting, t, per_seed(1.0) | {"contrast": torch.tensor([0.6])})
    metrics.add({"denoise": ones}, t, per_seed(1.0))
    line = metrics.close_window(3)
    assert metrics.history["contrast"] == [[pytest.approx(0.2)]] and line["contrast"] == pytest.approx(0.6)
    assert metrics.history["by_level"]["distance"] == [[pytest.approx(0.2)] * 2] and line["denoise"] == 1


def test_sums_keep_no_autograd_graph():
    metrics = TrainingMetrics(2, 2)
    metrics.add({"denoise": torch.ones(1, 2, requires_grad=True) * 2}, torch.tensor([[0, 1]]), per_seed(1.0))
    assert not any(value.requires_grad for value in metrics.sums.values())


def test_half_a_window_survives_a_checkpoint():
    def rows(k):
        g = torch.Generator().manual_seed(k)
        return (
            {"denoise": torch.rand(2, 5, generator=g), "contrast": torch.rand(2, 5, generator=g)},
            torch.randint(3, (2, 5), generator=g),
            per_seed(k, 2.0 * k),
        )

    whole, first = TrainingMetrics(6, 3), TrainingMetrics(6, 3)
    for k in range(3):
        whole.add(*rows(k))
        first.add(*rows(k))
    second = TrainingMetrics(6, 3)
    second.restore(first.state(), CPU)
    for k in range(3, 6):
        whole.add(*rows(k))
        second.add(*rows(k))
    assert whole.close_window(6) == second.close_window(6) and json.dumps(whole.history) == json.dumps(second.history)


def test_over_which_rows_each_mean_is_by_hand():
    """Four rows, three with a negative, two whose negative is used: all rows, negatives, or used negatives count."""
    metrics = TrainingMetrics(1, 1)
    values = {name: torch.tensor([[1.0, 2.0, 4.0, 0.0]]) for name in ("denoise", "distance", "clipped", "false")}
    rows = values | {"mined": torch.tensor([[1.0, 1.0, 1.0, 0.0]]), "counts": torch.tensor([[1.0, 0.0, 1.0, 0.0]])}
    metrics.add(rows, torch.zeros(1, 4, dtype=torch.int64), per_seed(1.0))
    line = metrics.close_window(1)
    expected = {"denoise": 7 / 4, "clipped": 7 / 3, "false": 7 / 3, "distance": 5 / 2}
    assert {name: line[name] for name in expected} == pytest.approx(expected)
    assert {name: metrics.history["by_level"][name][0][0] for name in expected} == pytest.approx(expected)
