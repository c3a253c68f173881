"""What makes each strategy of the catalogue what it is."""

import json
from collections import deque
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
import torch
from tiny import CPU, silent_train, tiny

import anm
from anm import checkpoint
from anm.matrices import residual
from anm.miners import COMMON, OWN, mine_negative, unused
from anm.miners.searched import other_answers, rms
from anm.params import CHOICES, ParamError, RunParams, chosen
from anm.schema import check_record, clean
from anm.streams import Streams
from anm.trainer import Training

TRAIN = Path(__file__).parents[1] / "notebooks" / "train.ipynb"
CATALOGUE = [
    "none",
    "random",
    "adversarial",
    "random_matched",
    "conditional_nce",
    "ascent",
    "in_batch",
    "hardest_of_k",
    "langevin",
    "replay",
    "pgd",
    "mixture",
]
# For each setting that only some strategies use, a value that none of the tests' other settings has.
OTHER = {
    "mining_opt_steps": 5,
    "mining_noise_scale": 1.5,
    "candidates": 2,
    "ball_radius": 0.3,
    "langevin_noise": 0.2,
    "replay_size": 11,
    "replay_fresh": 0.9,
    "mixture": "random:1.0",
}


def drawn(folder, **settings):
    """The first batch of a run, as its strategy sees it."""
    return Training(tiny(folder, **{"replay_size": 20, "batch_size": 40} | settings)).draw()[0]


def negatives(strategy, mine):
    return mine_negative(chosen("strategy", strategy), mine)


def test_the_catalogue_is_all_there_is():
    assert set(CATALOGUE) == set(CHOICES["strategy"])
    assert all(
        "Source" in CHOICES["strategy"][name].__doc__
        for name in ("conditional_nce", "hardest_of_k", "langevin", "replay", "pgd")
    )


@pytest.mark.parametrize("strategy", [name for name in CATALOGUE if name != "none"])
def test_negatives_are_the_seed_s_own_and_differ_from_the_answers(strategy, tmp_path):
    alone, stack = (negatives(strategy, drawn(tmp_path, seeds=seeds)) for seeds in ("2", "0-3"))
    torch.testing.assert_close(stack[2], alone[0], rtol=1e-4, atol=1e-4)
    mine = drawn(tmp_path)
    assert (rms(negatives(strategy, mine) - mine.x0) > 1e-3).all()


def test_a_matched_random_matrix_has_the_answer_s_scale_and_nothing_else_of_it(tmp_path):
    mine = drawn(tmp_path, batch_size=2000)
    x, plain = negatives("random_matched", mine), Streams((0, 1), CPU).normal("miner", 2000, 4, 4)
    inside = rms(mine.x0) * plain.abs().amax((-2, -1), keepdim=True) < 2
    torch.testing.assert_close((x / rms(mine.x0))[inside.expand_as(x)], plain[inside.expand_as(x)])


def test_conditional_nce_is_adversarial_before_it_descends(tmp_path):
    before, after = (
        negatives(name, drawn(tmp_path, mining_opt_steps=0)) for name in ("conditional_nce", "adversarial")
    )
    assert torch.equal(before, after)
    assert torch.equal(negatives("conditional_nce", drawn(tmp_path, mining_opt_steps=7)), before)
    assert not torch.allclose(negatives("adversarial", drawn(tmp_path, mining_opt_steps=2)), before)


def energies_on_the_way(strategy, mine):
    """Energy at x_t where a walk starts and where it ends, before the negative is clipped."""
    end = CHOICES["strategy"][strategy](mine) * mine.schedule.at("sqrt_alpha_bar", mine.t)
    return mine.landscape(mine.start(), gradient=False)[0], mine.landscape(end, gradient=False)[0]


@torch.no_grad()
def test_descent_goes_down_and_ascent_goes_up(tmp_path):
    settings = {"mining_noise_scale": 0.3, "mining_opt_steps": 3}
    start, down = energies_on_the_way("adversarial", drawn(tmp_path, **settings))
    assert (down <= start * (1 + 1e-4)).all() and down.mean() < start.mean()
    start, up = energies_on_the_way("ascent", drawn(tmp_path, **settings))
    assert (up >= start * (1 - 1e-4)).all() and up.mean() > start.mean()


def test_in_batch_gives_each_problem_the_answer_to_another(tmp_path):
    mine = drawn(tmp_path, answer_bound=100)
    x = negatives("in_batch", mine)
    for seed in range(2):
        assert all(torch.equal(x[seed, row], mine.x0[seed, row - 1]) for row in range(40))


@pytest.mark.parametrize("strategy", ["in_batch", "hardest_of_k"])
def test_a_batch_of_one_has_no_other_answers(strategy, tmp_path):
    with pytest.raises(ParamError, match="batch_size = 1: must be at least 2"):
        negatives(strategy, drawn(tmp_path, batch_size=1))


@pytest.mark.parametrize("candidates, considered", [(1, 1), (5, 5), (100, 39)])
def test_batch_hard_picks_the_lowest_energy_among_the_candidates(candidates, considered, tmp_path):
    mine = drawn(tmp_path, candidates=candidates, answer_bound=100)
    x = negatives("hardest_of_k", mine)
    with torch.no_grad():
        energy = torch.stack([mine.energy(other_answers(mine, shift)) for shift in range(1, 1 + considered)])
    lowest = energy.argmin(0)
    for seed in range(2):
        for row in range(40):
            assert torch.equal(x[seed, row], mine.x0[seed, row - 1 - int(lowest[seed, row])])


def test_batch_hard_passes_over_candidates_that_are_right(tmp_path):
    mine = drawn(tmp_path, batch_size=3, candidates=2, answer_bound=100)
    lowest = negatives("hardest_of_k", mine)
    wrongness = residual(mine.A, lowest)
    filtered = drawn(
        tmp_path, batch_size=3, candidates=2, answer_bound=100, false_negative_residual=float(wrongness.max()) * 1.01
    )
    other = negatives("hardest_of_k", filtered)
    all_right = ~torch.stack([filtered.wrong(other_answers(filtered, shift)) for shift in (1, 2)]).any(0)
    changed = (other != lowest).flatten(2).any(-1)
    assert changed.any() and (changed | all_right | filtered.wrong(lowest)).all()


def test_a_langevin_step_without_noise_is_a_landscape_step_that_is_always_kept(tmp_path):
    mine = drawn(tmp_path, langevin_noise=0, mining_opt_steps=1)
    at, start = mine.schedule.at, mine.start()
    with torch.no_grad():
        _, eps_hat = mine.landscape(start)
        limit = 2 * at("sqrt_alpha_bar", mine.t)
        end = torch.clamp(start - at("step_size", mine.t) * eps_hat, -limit, limit) / at("sqrt_alpha_bar", mine.t)
    torch.testing.assert_close(negatives("langevin", mine), end, rtol=1e-4, atol=1e-4)


def test_langevin_walks_sample_the_density_of_a_level(tmp_path):
    """On E = (x - m)^2 / (2 sigma), whose steps have a closed form: x <- m + noise, as eta = beta / sigma and beta = sigma^2
    at level 0, so that every walk of one step or more ends with variance 2 beta about m."""
    mine = drawn(tmp_path, batch_size=4000, noise_levels=10, mining_opt_steps=3)
    mine.t = torch.zeros_like(mine.t)
    sigma, m = mine.schedule.at("sqrt_noise", mine.t), 0.1
    mine.landscape = lambda x_t, gradient=True: (None, (x_t - m) / sigma)
    ended = negatives("langevin", mine) * mine.schedule.at("sqrt_alpha_bar", mine.t)
    assert ended.mean().item() == pytest.approx(m, abs=0.005)
    assert ended.var().item() == pytest.approx(2 * sigma[0, 0].item() ** 2, rel=0.03)


def test_a_pgd_negative_stays_inside_its_ball_and_seeks_low_energy(tmp_path):
    far, near, start = (
        drawn(tmp_path, ball_radius=0.02, answer_bound=100, mining_opt_steps=steps) for steps in (1, 10, 0)
    )
    with torch.no_grad():
        reached = [mine.energy(negatives("pgd", mine)) for mine in (start, far, near)]
        for mine in (start, far, near):
            assert (rms(CHOICES["strategy"]["pgd"](mine) - mine.x0) <= 0.02 * (1 + 1e-4)).all()
    surface = rms(negatives("pgd", drawn(tmp_path, ball_radius=0.02, answer_bound=100, mining_opt_steps=0)) - start.x0)
    torch.testing.assert_close(surface, torch.full_like(surface, 0.02), rtol=1e-3, atol=1e-6)
    assert (reached[1] < reached[0]).float().mean() > 0.95 and (reached[2] < reached[0]).float().mean() > 0.95


def test_a_replay_buffer_holds_the_newest_negatives_in_order(tmp_path):
    training = Training(tiny(tmp_path, strategy="replay", replay_size=10, batch_size=4))
    expected = None
    for _ in range(4):
        mine, _ = training.draw()
        x = negatives("replay", mine)
        if expected is None:
            first = Streams((0, 1), CPU).normal("miner", 10, 4, 4).clamp(-2, 2)
            expected = [deque(first[seed], maxlen=10) for seed in range(2)]
        for seed in range(2):
            expected[seed].extend(x[seed])
        turned = mine.state["replay/buffer"].roll(-int(mine.state["replay/next"]), dims=1)
        assert all(torch.equal(torch.stack(list(expected[seed])), turned[seed]) for seed in range(2))


@pytest.mark.parametrize("fresh", [0, 1])
def test_replay_starts_from_the_buffer_or_anew(fresh, tmp_path):
    mine = drawn(tmp_path, replay_fresh=fresh, mining_opt_steps=0)
    x = negatives("replay", mine)
    first = Streams((0, 1), CPU).normal("miner", 20, 4, 4).clamp(-2, 2)
    anew = negatives("conditional_nce", mine)
    for seed in range(2):
        for row in range(40):
            from_buffer = torch.isclose(first[seed], x[seed, row], rtol=1e-4, atol=1e-5).flatten(1).all(1).any()
            assert torch.allclose(x[seed, row], anew[seed, row]) if fresh else from_buffer


def test_a_batch_larger_than_the_buffer_leaves_its_last_rows(tmp_path):
    mine = drawn(tmp_path, replay_size=7)
    x = negatives("replay", mine)
    assert torch.equal(mine.state["replay/buffer"], x[:, -7:])


def test_a_replay_buffer_survives_a_checkpoint(tmp_path):
    params = tiny(tmp_path / "broken", strategy="replay", replay_size=30, train_steps=12)
    whole = silent_train(tiny(tmp_path / "whole", strategy="replay", replay_size=30, train_steps=12))
    training = Training(params)
    for _ in range(5):
        training.update()
    checkpoint.save(params, training.step, training.state())
    resumed = silent_train(params)
    assert resumed.timing["resumed"] == 1
    for a, b in zip(whole.model.state_dict().values(), resumed.model.state_dict().values()):
        assert torch.equal(a, b)
    state = checkpoint.latest(params)["miner"]
    assert state["replay/buffer"].shape == (2, 30, 4, 4) and int(state["replay/next"]) == 12 * 8 % 30


def test_a_mixture_takes_the_stated_share_from_each(tmp_path):
    mine = drawn(tmp_path, mixture="in_batch:0.5,random:0.25,conditional_nce:0.25")
    x = negatives("mixture", mine)
    assert torch.equal(x[:, :20], negatives("in_batch", mine)[:, :20])
    assert torch.equal(x[:, 20:30], negatives("random", drawn(tmp_path))[:, 20:30])
    assert torch.equal(x[:, 30:], negatives("conditional_nce", mine)[:, 30:])


def test_a_mixture_logs_what_all_its_parts_measure(tmp_path):
    mine = drawn(tmp_path, mixture="adversarial:0.3,ascent:0.7")
    negatives("mixture", mine)
    apart = {}
    for name in ("adversarial", "ascent"):
        negatives(name, one := drawn(tmp_path))
        apart[name] = one.measured["accepted"]
    assert torch.equal(
        mine.measured["accepted"], torch.cat([apart["adversarial"][:, :12], apart["ascent"][:, 12:]], dim=1)
    )
    mine = drawn(tmp_path, mixture="adversarial:0.3,random:0.7")
    negatives("mixture", mine)
    assert not mine.measured


@pytest.mark.parametrize("strategy", [name for name in CATALOGUE if name not in ("none", "mixture")])
@pytest.mark.parametrize("setting", sorted(OWN - {"mixture"}))
def test_a_strategy_uses_the_settings_that_it_says_and_no_others(strategy, setting, tmp_path):
    usual, other = (negatives(strategy, drawn(tmp_path, **settings)) for settings in ({}, {setting: OTHER[setting]}))
    assert torch.equal(usual, other) == (setting in unused(strategy))


def test_what_strategies_do_not_use():
    assert unused("none") == OWN | COMMON and unused("random") == OWN
    assert unused("mixture") == unused("module:function") == frozenset()
    assert OWN | COMMON <= set(RunParams.model_fields)


@pytest.mark.parametrize("strategy", CATALOGUE)
def test_every_strategy_runs_through_the_real_notebook(strategy, tmp_path, monkeypatch):
    """The notebook's own cells, one after the other, in this process: a kernel for each would take minutes."""
    records = []
    monkeypatch.setattr(anm, "emit_record", lambda record: records.append(clean(record)))
    cells = [cell for cell in json.loads(TRAIN.read_text())["cells"] if cell["cell_type"] == "code"]
    settings = tiny(tmp_path, strategy=strategy, replay_size=20, train_steps=4, test_problems=4).resolved()
    namespace: dict = {}
    for cell in cells:
        exec("".join(cell["source"]), namespace)  # the project's own notebook
        if "parameters" in cell["metadata"].get("tags", ()):
            namespace.update(settings)
    plt.close("all")
    (record,) = records
    check_record(record)
    assert record["params"] == settings
    for name in ("energy_positive", "energy_negative", "distance", "residual", "false"):
        known = [value for value in record["curves"]["by_level"][name][-1] if value is not None]
        assert bool(known) == (strategy != "none")
    assert record["provenance"]["seconds_per_step"] > 0
