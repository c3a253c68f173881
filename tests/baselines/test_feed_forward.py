"""The feed-forward baseline: it learns, is paired by seed, and answers any n."""

import torch
from matrix_energies import SEEDS
from tiny import frozen_inverse

from anm.baselines.feed_forward import feed_forward_errors, train_feed_forward
from anm.params import RunParams
from anm.records.feed_forward import read_feed_forward
from anm.study.feed_forward import main

PARAMS = RunParams(energy="bilinear", n=4, batch_size=32, learning_rate=1e-2, seeds="0,1", device="cpu")


def trained(steps, **other):
    return train_feed_forward(RunParams(**PARAMS.resolved() | {"train_steps": steps} | other), log=lambda line: None)


def test_training_brings_the_error_down():
    test = frozen_inverse(4, 0.5, 100)
    before, after = (feed_forward_errors(trained(steps), test) for steps in (1, 120))
    assert len(after) == SEEDS and all(later < sooner / 3 for sooner, later in zip(before, after))


def test_averages_keep_no_graph():
    assert not any(weight.requires_grad for weight in trained(2).model.parameters())


def test_a_seed_is_the_same_in_every_stack():
    A = frozen_inverse(4, 0.5, 3).problem
    torch.testing.assert_close(trained(5).solve(A)[1:], trained(5, seeds="1").solve(A), rtol=1e-3, atol=1e-4)


def test_answers_for_any_n_do_not_depend_on_the_batch():
    network, test = trained(2), frozen_inverse(7, 0.5, 5)
    assert network.solve(test.problem).shape == (2, 5, 7, 7)
    torch.testing.assert_close(
        torch.tensor(feed_forward_errors(network, test, batch=2)), torch.tensor(feed_forward_errors(network, test))
    )


def test_the_command_writes_what_the_report_reads(tmp_path, capsys):
    (tmp_path / "small.yaml").write_text("n: 4\ntrain_steps: 3\nbatch_size: 8\ntest_problems: 10\nseeds: 0-1\n")
    output = tmp_path / "direct.json"
    assert main(["-f", str(tmp_path / "small.yaml"), "-p", "train_steps", "2", str(output)]) == 0
    record = read_feed_forward(output)
    assert record["params"]["train_steps"] == 2 and len(record["results"]["harder"]["mse"]) == 2
    assert main([str(output)]) == 2 and "must be a new file" in capsys.readouterr().err
    assert (
        main(["-p", "energy", "residual", str(tmp_path / "other.json")]) == 2
        and "must be 'bilinear'" in capsys.readouterr().err
    )
    assert main(["-p", "n", "ten", str(tmp_path / "other.json")]) == 2 and "n = 'ten'" in capsys.readouterr().err
