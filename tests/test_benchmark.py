"""The benchmark: its floor is the products that a step needs, its yardstick the same mathematics."""

import json

import pytest
import torch

import anm
from anm import benchmark
from anm.benchmark import Floor, SeenProducts, turns
from anm.energy.mlp import HIDDEN
from anm.textbook import TextbookTraining
from anm.trainer import Training


def tiny(tmp_path, **settings):
    return anm.RunParams(
        **{"n": 16, "batch_size": 16, "seeds": 0, "device": "cpu", "checkpoint_dir": str(tmp_path)} | settings
    )


@pytest.mark.parametrize("strategy", ["none", "random", "adversarial"])
def test_the_textbook_step_is_the_same_mathematics(tmp_path, strategy):
    params = tiny(tmp_path, n=4, strategy=strategy, seeds="3,5", learning_rate=1e-3)
    ours, textbook = Training(params), TextbookTraining(params)
    for _ in range(3):
        ours.update()
        textbook.update()
    for s, seed in enumerate(textbook.seeds):
        for weight, theirs in zip(ours.weights, seed.model.parameters()):
            # Adam's first steps have the size of the learning rate wherever a gradient is not zero: compare on that scale.
            torch.testing.assert_close(weight[s : s + 1], theirs, rtol=0, atol=1e-4)


def test_the_floor_of_a_denoising_step_is_six_times_a_forward_pass(tmp_path):
    params = tiny(tmp_path, strategy="none")
    floor = Floor(Training(params).update, torch.device("cpu"))
    inputs, rows = params.n**2, params.batch_size
    problem, others = inputs * HIDDEN, 2 * inputs * HIDDEN + 2 * HIDDEN**2
    # Forward: all. The gradient: the others once more. Backward: twice what they were, but nothing asks for the
    # gradient in A or x_t. Products that pick levels or embed them are small or left out by their short side.
    expected = 2 * rows * (2 * problem + 6 * others - inputs * HIDDEN) + 2 * params.n**3 * rows
    assert expected <= floor.flop < 1.02 * expected


def test_seen_products_counts_backward_passes_and_skips_picking():
    left, right = torch.randn(1, 32, 32, requires_grad=True), torch.randn(1, 32, 32)
    with SeenProducts() as seen:
        torch.bmm(left, right).sum().backward()
        torch.bmm(torch.randn(1, 32, 3), torch.randn(1, 3, 32))
    assert len(seen.operands) == 2


def test_turns_alternate_and_leave_the_first_out():
    order = []
    seconds = turns({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, torch.device("cpu"), 3)
    assert order == ["a", "b"] * 4
    assert len(seconds["a"]) == len(seconds["b"]) == 3


def test_the_command_writes_table_json_and_picture(tmp_path, capsys):
    arguments = ["--n", "4", "--batch", "8", "--rounds", "1", "--strategies", "none", "--no-growth", "--device", "cpu"]
    assert benchmark.main([*arguments, "--output", str(tmp_path / "out")]) == 0
    found = json.loads((tmp_path / "out" / "benchmark.json").read_text())
    assert found["steps"][0]["step_ms"] > 0 and found["machine"]["threads"] >= 1
    assert (tmp_path / "out" / "roofline.png").stat().st_size > 1000
    assert "| mlp | none | 1 | 8 | 4 |" in capsys.readouterr().out


def test_a_bad_argument_is_refused_before_anything_is_measured(tmp_path, capsys):
    assert benchmark.main(["--strategies", "adversrial", "--output", str(tmp_path / "out")]) == 2
    assert "Did you mean 'adversarial'?" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
