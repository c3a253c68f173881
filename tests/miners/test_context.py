"""The three strategies of the study, checks of negatives, and own strategies."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny import CPU, narrow, silent_train, tiny  # noqa: F401

from anm.miners import mine_negative
from anm.params import ParamError, RunParams
from anm.registry import CHOICES, miner, resolve
from anm.training.state import TrainingState
from anm.training.step import draw_batch
from anm.utils.random_streams import RandomStreams

ROOT = Path(__file__).resolve().parents[2]


def first_batch(folder, **settings):
    """The first batch of a run, as its strategy sees it."""
    return draw_batch(TrainingState(tiny(folder, **settings)))[0]


def negatives(strategy, context):
    return mine_negative(resolve("strategy", strategy), context)


def energy(context, x0):
    """The energy of x0 in the contrastive loss: at the level of its row, with the noise of the positive."""
    return context.landscape(context.schedule.noised(x0, context.t, context.eps), gradient=False)[0]


def test_the_three_strategies_of_the_study_are_registered():
    assert {"none", "random", "adversarial"} <= set(CHOICES["strategy"])


def test_none_has_no_negatives_and_draws_nothing(tmp_path):
    context = first_batch(tmp_path)
    before = [g.get_state() for g in context.streams.generators["miner"] + context.streams.generators["noise"]]
    assert negatives("none", context) is None
    after = [g.get_state() for g in context.streams.generators["miner"] + context.streams.generators["noise"]]
    assert all(torch.equal(a, b) for a, b in zip(before, after))


def test_random_is_standard_normal_clipped_to_the_answer_bound(tmp_path):
    context = first_batch(tmp_path, batch_size=3000, answer_bound=1.5)
    x = negatives("random", context)
    same_draw = RandomStreams((0, 1), CPU).normal("miner", 3000, 4, 4)
    assert torch.equal(x, same_draw.clamp(-1.5, 1.5))
    inside = x[x.abs() < 1.5]
    # of a standard normal within +-1.5: mean 0, variance 1 - 3 phi(1.5) / 0.8664 = 0.5515; 13.36 % lie outside
    assert inside.mean().abs() < 0.02 and inside.var().item() == pytest.approx(0.5515, abs=0.01)
    assert (x.abs() == 1.5).float().mean().item() == pytest.approx(0.1336, abs=0.01)
    correlation = torch.corrcoef(torch.stack([x.flatten(), context.x0.flatten()]))[0, 1]
    assert correlation.abs() < 0.02


def by_definition(context, scale, steps, bound):
    """Hard negatives by definition: start, end, and the energies at x_t before and after each step."""
    at, x = context.schedule.at, context.schedule.noised(context.x0, context.t, scale * context.eps)
    start, energies = x, []
    for _ in range(steps):
        before, eps_hat = context.landscape(x)
        limit = bound * at("sqrt_alpha_bar", context.t, x)
        new = torch.maximum(torch.minimum(x - at("step_size", context.t, x) * eps_hat, limit), -limit)
        after, _ = context.landscape(new)
        x = torch.where((after <= before)[..., None, None], new, x)
        energies += [before, torch.minimum(before, after)]
    return start / at("sqrt_alpha_bar", context.t, x), x / at("sqrt_alpha_bar", context.t, x), energies


@pytest.mark.parametrize("scale, steps, bound", [(3.0, 2, 2.0), (1.0, 5, 0.3), (0.5, 1, 2.0), (3.0, 0, 2.0)])
def test_adversarial_is_a_descent_from_the_noised_answer(scale, steps, bound, tmp_path):
    context = first_batch(
        tmp_path, batch_size=200, mining_noise_scale=scale, mining_opt_steps=steps, answer_bound=bound
    )
    x = negatives("adversarial", context)
    start, end, energies = by_definition(context, scale, steps, bound)
    torch.testing.assert_close(x, end.clamp(-bound, bound), rtol=1e-4, atol=1e-5)
    assert x.abs().max() <= bound and not torch.allclose(x, context.x0)
    if steps:
        assert torch.all(energies[-1] <= energies[0]) and energies[-1].mean() < energies[0].mean()
        assert 0.5 < context.measured["accepted"].mean() <= 1 and context.measured["accepted"].shape == context.t.shape
    else:
        torch.testing.assert_close(x, start.clamp(-bound, bound))
        assert "accepted" not in context.measured


def test_more_steps_make_harder_negatives(tmp_path):
    def mean(steps):
        context = first_batch(tmp_path, batch_size=300, mining_opt_steps=steps, mining_noise_scale=0.3)
        return energy(context, negatives("adversarial", context)).mean().item()

    assert mean(20) < mean(5) < mean(0)


def test_without_noise_and_steps_the_negative_is_the_answer(tmp_path):
    context = first_batch(tmp_path, mining_noise_scale=0, mining_opt_steps=0)
    torch.testing.assert_close(negatives("adversarial", context), context.x0.clamp(-2, 2))


@pytest.mark.parametrize("strategy", ["random", "adversarial"])
def test_negatives_of_a_seed_do_not_depend_on_its_stack(strategy, tmp_path):
    alone, stack = (
        negatives(strategy, first_batch(tmp_path, strategy=strategy, seeds=seeds)) for seeds in ("2", "0-3")
    )
    torch.testing.assert_close(stack[2], alone[0], rtol=1e-4, atol=1e-5)


def attached(context):
    with torch.enable_grad():  # as in a strategy that computes its own gradients
        return context.x0 + context.landscape(context.x0)[1]


@pytest.mark.parametrize("strategy", ["random", "adversarial", attached])
def test_no_gradient_flows_into_a_negative(strategy, tmp_path):
    context = first_batch(tmp_path)
    x = negatives(strategy, context) if isinstance(strategy, str) else mine_negative(strategy, context)
    assert not x.requires_grad


@pytest.mark.parametrize(
    "strategy, found",
    [
        (lambda context: context.x0[..., :3], r"\(2, 8, 4, 3\)"),
        (lambda context: context.x0[0], r"\(8, 4, 4\)"),
        (lambda context: context.x0.flatten(2), r"\(2, 8, 16\)"),
        (lambda context: 0.5, "float"),
        (lambda context: context.x0.numpy(), "ndarray"),
        (lambda context: (context.x0,), "tuple"),
        (lambda context: context.x0.double(), "float64"),
        (lambda context: context.t[..., None, None].expand_as(context.x0), "int64"),
    ],
)
def test_negatives_of_another_shape_or_type_are_rejected(strategy, found, tmp_path):
    strategy.__name__ = "own"
    with pytest.raises(ValueError, match=rf"strategy own: negatives must be .*\(2, 8, 4, 4\).*, not .*{found}"):
        mine_negative(strategy, first_batch(tmp_path))


def test_a_taken_name_is_rejected(monkeypatch):
    monkeypatch.setitem(CHOICES, "strategy", dict(CHOICES["strategy"]))
    before = CHOICES["strategy"]["random"]

    def random(context):
        return context.x0

    with pytest.raises(ValueError, match="strategy 'random' is registered already"):
        miner(random)
    assert CHOICES["strategy"]["random"] is before and miner(before) is before
    assert before.uses == frozenset(), "a second registration changed its settings"


def test_a_registered_function_is_a_strategy(monkeypatch, tmp_path):
    monkeypatch.setitem(CHOICES, "strategy", dict(CHOICES["strategy"]))
    with pytest.raises(ParamError):
        RunParams(strategy="halfway")

    @miner
    def halfway(context):
        return context.x0 / 2

    solver = silent_train(tiny(tmp_path, strategy="halfway"))
    assert solver.step == 12 and solver.history["by_level"]["distance"][-1] and solver.params.strategy == "halfway"
    with pytest.raises(ParamError, match="halfway.*Did you mean 'halfway'"):
        RunParams(strategy="halfwy")


def test_a_strategy_from_a_file_in_the_user_s_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("user_strategies.py").write_text(
        "def shifted(context):\n"
        "    context.state['steps'] = context.state.get('steps', 0 * context.t[0, 0]) + 1\n"
        "    return context.x0 + 0.1 * context.normal()\n"
    )
    solver = silent_train(tiny("checkpoints", strategy="user_strategies:shifted"))
    distance = [value for value in solver.history["by_level"]["distance"][-1] if value == value]
    assert distance and all(0.05 < value < 0.2 for value in distance)
    assert [path.name.startswith("user_strategies.shifted-mlp-") for path in Path("checkpoints").iterdir()] == [True]


def test_an_edited_strategy_does_not_resume_from_an_old_checkpoint(tmp_path):
    """In new processes, because a process imports a module once."""
    code = (
        "import anm; from anm.training.loop import train; from anm.params import RunParams; import sys\n"
        "settings = dict(n=4, noise_levels=4, batch_size=8, seeds='0', test_problems=2, device='cpu')\n"
        "train(RunParams(strategy='edited:mine', train_steps=int(sys.argv[1]), **settings))"
    )

    def run(steps, text):
        (tmp_path / "edited.py").write_text(f"def mine(context):\n    return {text}\n")
        return subprocess.run(
            [sys.executable, "-c", code, str(steps)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        )

    assert run(2, "context.x0 / 2").returncode == 0
    assert "resumed at step 2 of 2" in run(2, "context.x0 / 2").stdout
    edited = run(2, "context.x0 / 3")
    message = "edited:mine has been edited since; undo the edit to continue, or set resume = false"
    assert edited.returncode != 0 and message in edited.stderr
