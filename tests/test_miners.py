"""Strategies: what their negatives are, and what the registry promises to those who add one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny import CPU, narrow, silent_train, tiny  # noqa: F401

from anm.miners import mine_negative, miner
from anm.params import CHOICES, ParamError, RunParams, chosen
from anm.streams import Streams
from anm.trainer import Training

ROOT = Path(__file__).resolve().parents[1]


def drawn(folder, **settings):
    """The first batch of a run, as its strategy sees it."""
    return Training(tiny(folder, **settings)).draw()[0]


def negatives(strategy, mine):
    return mine_negative(chosen("strategy", strategy), mine)


def energy(mine, x0):
    """Of x0, at the level of its row and with the noise of the positive, as the contrastive loss sees it."""
    return mine.landscape(mine.schedule.noised(x0, mine.t, mine.eps), gradient=False)[0]


def test_the_three_strategies_of_the_study_are_there():
    assert {"none", "random", "adversarial"} <= set(CHOICES["strategy"])


def test_none_has_no_negatives_and_draws_nothing(tmp_path):
    mine = drawn(tmp_path)
    before = [g.get_state() for g in mine.streams.generators["miner"] + mine.streams.generators["noise"]]
    assert negatives("none", mine) is None
    after = [g.get_state() for g in mine.streams.generators["miner"] + mine.streams.generators["noise"]]
    assert all(torch.equal(a, b) for a, b in zip(before, after))


def test_random_is_standard_normal_clipped_to_the_answer_bound_whatever_the_problem(tmp_path):
    mine = drawn(tmp_path, batch_size=3000, answer_bound=1.5)
    x = negatives("random", mine)
    drawn_again = Streams((0, 1), CPU).normal("miner", 3000, 4, 4)
    assert torch.equal(x, drawn_again.clamp(-1.5, 1.5))
    inside = x[x.abs() < 1.5]
    # of a standard normal within +-1.5: mean 0, variance 1 - 3 phi(1.5) / 0.8664 = 0.5515; 13.36 % lie outside
    assert inside.mean().abs() < 0.02 and inside.var().item() == pytest.approx(0.5515, abs=0.01)
    assert (x.abs() == 1.5).float().mean().item() == pytest.approx(0.1336, abs=0.01)
    correlation = torch.corrcoef(torch.stack([x.flatten(), mine.x0.flatten()]))[0, 1]
    assert correlation.abs() < 0.02


def by_definition(mine, scale, steps, bound):
    """Hard negatives, one landscape step after the other: the start, the end, and the energies on the way, at x_t."""
    at, x = mine.schedule.at, mine.schedule.noised(mine.x0, mine.t, scale * mine.eps)
    start, energies = x, []
    for _ in range(steps):
        before, eps_hat = mine.landscape(x)
        limit = bound * at("sqrt_alpha_bar", mine.t)
        new = torch.maximum(torch.minimum(x - at("step_size", mine.t) * eps_hat, limit), -limit)
        after, _ = mine.landscape(new)
        x = torch.where((after <= before)[..., None, None], new, x)
        energies += [before, torch.minimum(before, after)]
    return start / at("sqrt_alpha_bar", mine.t), x / at("sqrt_alpha_bar", mine.t), energies


@pytest.mark.parametrize("scale, steps, bound", [(3.0, 2, 2.0), (1.0, 5, 0.3), (0.5, 1, 2.0), (3.0, 0, 2.0)])
def test_adversarial_is_a_descent_from_the_noised_answer(scale, steps, bound, tmp_path):
    mine = drawn(tmp_path, batch_size=200, mining_noise_scale=scale, mining_opt_steps=steps, answer_bound=bound)
    x = negatives("adversarial", mine)
    start, end, energies = by_definition(mine, scale, steps, bound)
    torch.testing.assert_close(x, end.clamp(-bound, bound), rtol=1e-4, atol=1e-5)
    assert x.abs().max() <= bound and not torch.allclose(x, mine.x0)
    if steps:
        assert torch.all(energies[-1] <= energies[0]) and energies[-1].mean() < energies[0].mean()
        assert 0.5 < mine.measured["accepted"].mean() <= 1 and mine.measured["accepted"].shape == mine.t.shape
    else:
        torch.testing.assert_close(x, start.clamp(-bound, bound))
        assert "accepted" not in mine.measured


def test_more_steps_make_harder_negatives(tmp_path):
    def mean(steps):
        mine = drawn(tmp_path, batch_size=300, mining_opt_steps=steps, mining_noise_scale=0.3)
        return energy(mine, negatives("adversarial", mine)).mean().item()

    assert mean(20) < mean(5) < mean(0)


def test_without_noise_and_steps_the_negative_is_the_answer_itself(tmp_path):
    mine = drawn(tmp_path, mining_noise_scale=0, mining_opt_steps=0)
    torch.testing.assert_close(negatives("adversarial", mine), mine.x0.clamp(-2, 2))


@pytest.mark.parametrize("strategy", ["random", "adversarial"])
def test_negatives_of_a_seed_do_not_depend_on_its_stack(strategy, tmp_path):
    alone, stack = (negatives(strategy, drawn(tmp_path, strategy=strategy, seeds=seeds)) for seeds in ("2", "0-3"))
    torch.testing.assert_close(stack[2], alone[0], rtol=1e-4, atol=1e-5)


def attached(mine):
    with torch.enable_grad():  # as a strategy does that takes gradients of its own
        return mine.x0 + mine.landscape(mine.x0)[1]


@pytest.mark.parametrize("strategy", ["random", "adversarial", attached])
def test_no_gradient_flows_into_a_negative(strategy, tmp_path):
    mine = drawn(tmp_path)
    x = negatives(strategy, mine) if isinstance(strategy, str) else mine_negative(strategy, mine)
    assert not x.requires_grad


@pytest.mark.parametrize(
    "wrong, found",
    [
        (lambda mine: mine.x0[..., :3], r"\(2, 8, 4, 3\)"),
        (lambda mine: mine.x0[0], r"\(8, 4, 4\)"),
        (lambda mine: mine.x0.flatten(2), r"\(2, 8, 16\)"),
        (lambda mine: 0.5, "float"),
        (lambda mine: mine.x0.numpy(), "ndarray"),
        (lambda mine: (mine.x0,), "tuple"),
        (lambda mine: mine.x0.double(), "float64"),
        (lambda mine: mine.t[..., None, None].expand_as(mine.x0), "int64"),
    ],
)
def test_negatives_of_another_shape_or_type_are_refused_naming_the_strategy(wrong, found, tmp_path):
    wrong.__name__ = "mine_own"
    with pytest.raises(ValueError, match=rf"strategy mine_own: negatives must be .*\(2, 8, 4, 4\).*, not .*{found}"):
        mine_negative(wrong, drawn(tmp_path))


def test_a_taken_name_is_refused(monkeypatch):
    monkeypatch.setitem(CHOICES, "strategy", dict(CHOICES["strategy"]))
    before = CHOICES["strategy"]["random"]

    def random(mine):
        return mine.x0

    with pytest.raises(ValueError, match="strategy 'random' is registered already"):
        miner(random)
    assert CHOICES["strategy"]["random"] is before and miner(before) is before
    assert before.uses == frozenset(), "to enter it once more has changed what it uses"


def test_a_registered_function_is_a_strategy_at_once(monkeypatch, tmp_path):
    monkeypatch.setitem(CHOICES, "strategy", dict(CHOICES["strategy"]))
    with pytest.raises(ParamError):
        RunParams(strategy="halfway")

    @miner
    def halfway(mine):
        return mine.x0 / 2

    solver = silent_train(tiny(tmp_path, strategy="halfway"))
    assert solver.step == 12 and solver.history["by_level"]["distance"][-1] and solver.params.strategy == "halfway"
    with pytest.raises(ParamError, match="halfway.*Did you mean 'halfway'"):
        RunParams(strategy="halfwy")


def test_a_strategy_from_a_file_in_the_user_s_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("user_strategies.py").write_text(
        "def shifted(mine):\n"
        "    mine.state['steps'] = mine.state.get('steps', 0 * mine.t[0, 0]) + 1\n"
        "    return mine.x0 + 0.1 * mine.normal()\n"
    )
    solver = silent_train(tiny("checkpoints", strategy="user_strategies:shifted"))
    distance = [value for value in solver.history["by_level"]["distance"][-1] if value == value]
    assert distance and all(0.05 < value < 0.2 for value in distance)
    assert [path.name.startswith("user_strategies.shifted-mlp-") for path in Path("checkpoints").iterdir()] == [True]


def test_an_edited_strategy_does_not_go_on_from_the_old_one_s_checkpoint(tmp_path):
    """In processes of their own, since a module once imported stays as it is."""
    code = (
        "import anm; from anm.trainer import train; from anm.params import RunParams; import sys\n"
        "train(RunParams(strategy='edited:mine', n=4, noise_levels=4, train_steps=int(sys.argv[1]), batch_size=8, seeds='0', test_problems=2, device='cpu'))"
    )

    def run(steps, text):
        (tmp_path / "edited.py").write_text(f"def mine(mine):\n    return {text}\n")
        return subprocess.run(
            [sys.executable, "-c", code, str(steps)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        )

    assert run(2, "mine.x0 / 2").returncode == 0
    assert "resumed at step 2 of 2" in run(2, "mine.x0 / 2").stdout
    edited = run(2, "mine.x0 / 3")
    assert edited.returncode != 0 and "edited:mine has been edited since; resume = false starts anew" in edited.stderr
