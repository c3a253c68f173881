"""Every registered strategy: its definition, its settings, and a run through the notebook."""

import json
from collections import deque
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
import torch
from tiny import CPU, tiny

import anm
from anm.miners import mine_negative
from anm.miners.simple import other_answers
from anm.params import ParamError, RunParams
from anm.records.schema import check_record, clean
from anm.registry import CHOICES, COMMON_SETTINGS, STRATEGY_SETTINGS, resolve, unused_settings
from anm.training.state import TrainingState
from anm.training.step import draw_batch, training_step
from anm.utils.random_streams import RandomStreams
from anm.utils.rows import rms

TRAIN = Path(__file__).parents[2] / "notebooks" / "train.ipynb"
CATALOGUE = (
    "none random adversarial random_matched conditional_nce ascent in_batch hardest_of_k langevin replay pgd corrupted "
    "mixture calibrated one_step solver_path pool"
).split()
# For each setting that only some strategies use, a value different from that of the other tests
OTHER = {
    "mining_opt_steps": 5,
    "mining_noise_scale": 1.5,
    "target_hardness": 0.4,
    "candidates": 2,
    "ball_radius": 0.3,
    "langevin_noise": 0.2,
    "replay_size": 11,
    "replay_fresh": 0.9,
    "pool_size": 2,
    "corruption_share": 0.2,
    "mixture": "random:1.0",
}


def first_batch(folder, **settings):
    """The first batch of a run, as its strategy sees it."""
    usual = {"replay_size": 20, "batch_size": 40, "corruption_share": 0.8}
    return draw_batch(TrainingState(tiny(folder, **usual | settings)))[0]


def second_negatives(strategy, folder, **settings):
    """The negatives of a run's second batch, with the weights and the strategy's state after the first step."""
    training = TrainingState(tiny(folder, strategy=strategy, **settings))
    training_step(training)
    return negatives(strategy, draw_batch(training)[0])


def negatives(strategy, context):
    return mine_negative(resolve("strategy", strategy), context)


def test_the_catalogue_is_complete():
    assert set(CATALOGUE) == set(CHOICES["strategy"])
    assert all(
        "Source" in CHOICES["strategy"][name].__doc__
        for name in CATALOGUE
        if name not in ("none", "random", "random_matched", "ascent", "mixture")
    )


@pytest.mark.parametrize("strategy", [name for name in CATALOGUE if name != "none"])
def test_negatives_are_the_seed_s_own_and_differ_from_the_answers(strategy, tmp_path):
    alone, stack = (negatives(strategy, first_batch(tmp_path, seeds=seeds)) for seeds in ("2", "0-3"))
    torch.testing.assert_close(stack[2], alone[0], rtol=1e-4, atol=1e-4)
    context = first_batch(tmp_path)
    assert (rms(negatives(strategy, context) - context.x0) > 1e-3).all()


def test_random_matched_has_the_scale_of_the_answer(tmp_path):
    context = first_batch(tmp_path, batch_size=2000)
    x, plain = negatives("random_matched", context), RandomStreams((0, 1), CPU).normal("miner", 2000, 4, 4)
    inside = rms(context.x0) * plain.abs().amax((-2, -1), keepdim=True) < 2
    torch.testing.assert_close((x / rms(context.x0))[inside.expand_as(x)], plain[inside.expand_as(x)])


def test_conditional_nce_is_adversarial_without_steps(tmp_path):
    before, after = (
        negatives(name, first_batch(tmp_path, mining_opt_steps=0)) for name in ("conditional_nce", "adversarial")
    )
    assert torch.equal(before, after)
    assert torch.equal(negatives("conditional_nce", first_batch(tmp_path, mining_opt_steps=7)), before)
    assert not torch.allclose(negatives("adversarial", first_batch(tmp_path, mining_opt_steps=2)), before)


def energies_before_and_after(strategy, context):
    """The energy at x_t before and after the descent, before the negative is clipped."""
    end = CHOICES["strategy"][strategy](context) * context.schedule.at("sqrt_alpha_bar", context.t, context.x0)
    return context.landscape(context.start(), gradient=False)[0], context.landscape(end, gradient=False)[0]


@torch.no_grad()
def test_adversarial_lowers_the_energy_and_ascent_raises_it(tmp_path):
    settings = {"mining_noise_scale": 0.3, "mining_opt_steps": 3}
    start, down = energies_before_and_after("adversarial", first_batch(tmp_path, **settings))
    assert (down <= start * (1 + 1e-4)).all() and down.mean() < start.mean()
    start, up = energies_before_and_after("ascent", first_batch(tmp_path, **settings))
    assert (up >= start * (1 - 1e-4)).all() and up.mean() > start.mean()


def test_in_batch_gives_each_problem_the_answer_to_another(tmp_path):
    context = first_batch(tmp_path, answer_bound=100)
    x = negatives("in_batch", context)
    for seed in range(2):
        assert all(torch.equal(x[seed, row], context.x0[seed, row - 1]) for row in range(40))


@pytest.mark.parametrize("strategy", ["in_batch", "hardest_of_k"])
def test_a_batch_of_one_has_no_other_answers(strategy, tmp_path):
    with pytest.raises(ParamError, match="batch_size = 1: must be at least 2"):
        negatives(strategy, first_batch(tmp_path, batch_size=1))


@pytest.mark.parametrize("candidates, considered", [(1, 1), (5, 5), (100, 39)])
def test_hardest_of_k_takes_the_candidate_of_lowest_energy(candidates, considered, tmp_path):
    context = first_batch(tmp_path, candidates=candidates, answer_bound=100)
    x = negatives("hardest_of_k", context)
    with torch.no_grad():
        energy = torch.stack([context.energy(other_answers(context, shift)) for shift in range(1, 1 + considered)])
    lowest = energy.argmin(0)
    for seed in range(2):
        for row in range(40):
            assert torch.equal(x[seed, row], context.x0[seed, row - 1 - int(lowest[seed, row])])


def test_hardest_of_k_ignores_correct_candidates(tmp_path):
    context = first_batch(tmp_path, batch_size=3, candidates=2, answer_bound=100)
    lowest = negatives("hardest_of_k", context)
    residuals = context.task.violation(context.problem, lowest)
    filtered = first_batch(
        tmp_path, batch_size=3, candidates=2, answer_bound=100, false_negative_residual=float(residuals.max()) * 1.01
    )
    other = negatives("hardest_of_k", filtered)
    all_right = ~torch.stack([filtered.wrong(other_answers(filtered, shift)) for shift in (1, 2)]).any(0)
    changed = (other != lowest).flatten(2).any(-1)
    assert changed.any() and (changed | all_right | filtered.wrong(lowest)).all()


def test_a_langevin_step_without_noise_is_a_landscape_step_without_acceptance(tmp_path):
    context = first_batch(tmp_path, langevin_noise=0, mining_opt_steps=1)
    at, start = context.schedule.at, context.start()
    with torch.no_grad():
        _, eps_hat = context.landscape(start)
        scale = at("sqrt_alpha_bar", context.t, start)
        end = torch.clamp(start - at("step_size", context.t, start) * eps_hat, -2 * scale, 2 * scale) / scale
    torch.testing.assert_close(negatives("langevin", context), end, rtol=1e-4, atol=1e-4)


def test_langevin_samples_the_density_of_a_level(tmp_path):
    """On E = (x - m)^2 / (2 sigma), a step is x <- m + noise, since eta = beta / sigma and beta = sigma^2 at level 0.

    So one or more steps give variance 2 beta about m.
    """
    context = first_batch(tmp_path, batch_size=4000, noise_levels=10, mining_opt_steps=3)
    context.t = torch.zeros_like(context.t)
    sigma, m = context.schedule.at("sqrt_noise", context.t, context.x0), 0.1
    context.landscape = lambda x_t, gradient=True: (None, (x_t - m) / sigma)
    ended = negatives("langevin", context) * context.schedule.at("sqrt_alpha_bar", context.t, context.x0)
    assert ended.mean().item() == pytest.approx(m, abs=0.005)
    assert ended.var().item() == pytest.approx(2 * sigma[0, 0].item() ** 2, rel=0.03)


def test_pgd_stays_in_its_ball_and_lowers_the_energy(tmp_path):
    far, near, start = (
        first_batch(tmp_path, ball_radius=0.02, answer_bound=100, mining_opt_steps=steps) for steps in (1, 10, 0)
    )
    with torch.no_grad():
        reached = [context.energy(negatives("pgd", context)) for context in (start, far, near)]
        for context in (start, far, near):
            assert (rms(CHOICES["strategy"]["pgd"](context) - context.x0) <= 0.02 * (1 + 1e-4)).all()
    surface = rms(
        negatives("pgd", first_batch(tmp_path, ball_radius=0.02, answer_bound=100, mining_opt_steps=0)) - start.x0
    )
    torch.testing.assert_close(surface, torch.full_like(surface, 0.02), rtol=1e-3, atol=1e-6)
    assert (reached[1] < reached[0]).float().mean() > 0.95 and (reached[2] < reached[0]).float().mean() > 0.95


def test_a_replay_buffer_holds_the_newest_negatives_in_order(tmp_path):
    training = TrainingState(tiny(tmp_path, strategy="replay", replay_size=10, batch_size=4))
    expected = None
    for _ in range(4):
        context, _ = draw_batch(training)
        x = negatives("replay", context)
        if expected is None:
            first = RandomStreams((0, 1), CPU).normal("miner", 10, 4, 4).clamp(-2, 2)
            expected = [deque(first[seed], maxlen=10) for seed in range(2)]
        for seed in range(2):
            expected[seed].extend(x[seed])
        turned = context.state["replay/buffer"].roll(-int(context.state["replay/next"]), dims=1)
        assert all(torch.equal(torch.stack(list(expected[seed])), turned[seed]) for seed in range(2))


@pytest.mark.parametrize("fresh", [0, 1])
def test_replay_starts_from_the_buffer_or_from_the_noised_answer(fresh, tmp_path):
    context = first_batch(tmp_path, replay_fresh=fresh, mining_opt_steps=0)
    x = negatives("replay", context)
    first = RandomStreams((0, 1), CPU).normal("miner", 20, 4, 4).clamp(-2, 2)
    fresh_start = negatives("conditional_nce", context)
    for seed in range(2):
        for row in range(40):
            from_buffer = torch.isclose(first[seed], x[seed, row], rtol=1e-4, atol=1e-5).flatten(1).all(1).any()
            assert torch.allclose(x[seed, row], fresh_start[seed, row]) if fresh else from_buffer


def test_a_buffer_smaller_than_the_batch_holds_its_last_rows(tmp_path):
    context = first_batch(tmp_path, replay_size=7)
    x = negatives("replay", context)
    assert torch.equal(context.state["replay/buffer"], x[:, -7:])


def test_a_mixture_takes_its_share_from_each_strategy(tmp_path):
    context = first_batch(tmp_path, mixture="in_batch:0.5,random:0.25,conditional_nce:0.25")
    x = negatives("mixture", context)
    assert torch.equal(x[:, :20], negatives("in_batch", context)[:, :20])
    assert torch.equal(x[:, 20:30], negatives("random", first_batch(tmp_path))[:, 20:30])
    assert torch.equal(x[:, 30:], negatives("conditional_nce", context)[:, 30:])


def test_a_mixture_logs_the_values_that_all_its_strategies_measure(tmp_path):
    context = first_batch(tmp_path, mixture="adversarial:0.3,ascent:0.7")
    negatives("mixture", context)
    apart = {}
    for name in ("adversarial", "ascent"):
        negatives(name, one := first_batch(tmp_path))
        apart[name] = one.measured["accepted"]
    assert torch.equal(
        context.measured["accepted"], torch.cat([apart["adversarial"][:, :12], apart["ascent"][:, 12:]], dim=1)
    )
    context = first_batch(tmp_path, mixture="adversarial:0.3,random:0.7")
    negatives("mixture", context)
    assert not context.measured


@pytest.mark.parametrize("strategy", [name for name in CATALOGUE if name not in ("none", "mixture")])
@pytest.mark.parametrize("setting", sorted(STRATEGY_SETTINGS - {"mixture"}))
def test_a_strategy_uses_exactly_its_declared_settings(strategy, setting, tmp_path):
    usual = {"replay_size": 20, "pool_size": 3, "corruption_share": 0.8}
    first, other = (
        second_negatives(strategy, tmp_path, **usual | settings) for settings in ({}, {setting: OTHER[setting]})
    )
    assert torch.equal(first, other) == (setting in unused_settings(strategy))


def test_unused_settings():
    assert (
        unused_settings("none") == STRATEGY_SETTINGS | COMMON_SETTINGS
        and unused_settings("random") == STRATEGY_SETTINGS
    )
    assert unused_settings("mixture") == unused_settings("module:function") == frozenset()
    assert STRATEGY_SETTINGS | COMMON_SETTINGS <= set(RunParams.model_fields)


@pytest.mark.parametrize("strategy", CATALOGUE)
def test_every_strategy_runs_through_the_real_notebook(strategy, tmp_path, monkeypatch):
    """Its cells run in this process, because a kernel per strategy would take minutes."""
    records = []
    monkeypatch.setattr(anm, "emit_record", lambda record: records.append(clean(record)))
    cells = [cell for cell in json.loads(TRAIN.read_text())["cells"] if cell["cell_type"] == "code"]
    settings = tiny(tmp_path, strategy=strategy, replay_size=20, train_steps=4, test_problems=4).resolved()
    namespace: dict = {}
    for cell in cells:
        exec("".join(cell["source"]), namespace)  # the project's notebook
        if "parameters" in cell["metadata"].get("tags", ()):
            namespace.update(settings)
    plt.close("all")
    (record,) = records
    check_record(record)
    assert record["params"] == settings
    for name in ("energy_positive", "energy_negative", "distance", "clipped", "residual", "false"):
        known = [value for value in record["curves"]["by_level"][name][-1] if value is not None]
        assert bool(known) == (strategy != "none")
    assert record["provenance"]["seconds_per_step"] > 0
