"""The pool against a plain simulation, its restarts, and the contrast with its problems."""

import pytest
import torch
from tiny import CPU, tiny

from anm.miners import mine_negative
from anm.params import ParamError
from anm.registry import resolve
from anm.training.losses import row_losses
from anm.training.state import TrainingState
from anm.training.step import draw_batch
from anm.utils.random_streams import RandomStreams

POOL = resolve("strategy", "pool")


def training_with(folder, **settings):
    return TrainingState(tiny(folder, **{"strategy": "pool", "batch_size": 12, "pool_size": 4} | settings))


class PlainPool:
    """One seed's pool in lists, without the filter of right answers."""

    def __init__(self, size, levels, fresh):
        self.size, self.fresh = size, fresh
        self.kept, self.next = {}, [0] * levels

    def rows(self, context, seed, draws):
        """(problem, x0, x_t) of each row before its landscape step, and the place to keep it, or None."""
        seen, found = [0] * len(self.next), []
        for row, level in enumerate(context.t[seed].tolist()):
            place = (level, (self.next[level] + seen[level]) % self.size) if seen[level] < self.size else None
            seen[level] += 1
            alpha_bar = context.schedule.alpha_bar[level]
            x_t = alpha_bar.sqrt() * context.x0[seed, row] + 3 * (1 - alpha_bar).sqrt() * context.eps[seed, row]
            own = (context.problem[seed, row], context.x0[seed, row], x_t)
            goes_on = place in self.kept and draws[row] >= 2 * self.fresh - 1
            found.append((self.kept[place] if goes_on else own, place))
        self.next = [(start + count) % self.size for start, count in zip(self.next, seen)]
        return found

    def keep(self, found, x_t):
        for (problem, x0, _), place, after in zip(*zip(*found), x_t):
            if place is not None:
                self.kept[place] = (problem, x0, after)


def landscape_step(training, problem, x_t, t):
    """One step down the energy, kept where it does not raise it; one seed."""
    model, schedule = training.model, training.schedule
    energy, eps_hat = model.energy_and_grad(problem, x_t, t)
    limit = 2 * schedule.sqrt_alpha_bar[t][..., None, None]
    proposal = torch.maximum(torch.minimum(x_t - schedule.step_size[t][..., None, None] * eps_hat, limit), -limit)
    lower = model.energy(problem, proposal, t) <= energy
    return torch.where(lower[..., None, None], proposal, x_t)


@torch.no_grad()
@pytest.mark.parametrize("size, fresh", [(4, 0.0), (4, 0.3), (2, 0.3), (20, 0.05), (1, 1.0)])
def test_the_pool_is_that_of_a_plain_simulation(size, fresh, tmp_path):
    training = training_with(tmp_path, pool_size=size, replay_fresh=fresh, task="completion", completion_rank=2)
    pools, draws = [PlainPool(size, 4, fresh) for _ in range(2)], RandomStreams((0, 1), CPU)
    went_on = 0
    for _ in range(6):
        context, _ = draw_batch(training)
        own_problems = context.problem
        context.eps  # noqa: B018  drawn before the strategy replaces the answers
        uniform = draws.uniform("miner", 12)
        found = [pool.rows(context, seed, uniform[seed]) for seed, pool in enumerate(pools)]
        problem, x0, x_t = (torch.stack([torch.stack([row[0][part] for row in f]) for f in found]) for part in range(3))
        negative = mine_negative(POOL, context)
        x_t = landscape_step(training, problem, x_t, context.t)
        for pool, rows, after in zip(pools, found, x_t):
            pool.keep(rows, after)
        assert torch.equal(context.problem, problem) and torch.equal(context.x0, x0)
        answer = x_t / training.schedule.sqrt_alpha_bar[context.t][..., None, None]
        torch.testing.assert_close(negative, answer.clamp(-2, 2), rtol=1e-3, atol=1e-4)
        went_on += int((problem != own_problems).flatten(2).any(-1).sum())
    assert (went_on > 0) == (fresh < 1)


def test_a_descent_goes_on_until_the_answer_is_right(tmp_path):
    training = training_with(tmp_path, replay_fresh=0, pool_size=12)
    mine_negative(POOL, draw_batch(training)[0])
    state = training.miner_state
    right = torch.rand(state["pool/known"].shape, generator=torch.Generator().manual_seed(0)) < 0.5
    levels = torch.arange(4).repeat_interleave(12)
    exact = training.schedule.sqrt_alpha_bar[levels][:, None, None] * state["pool/x0"][:, :-1]
    state["pool/x_t"][:, :-1] = torch.where(right[:, :-1, None, None], exact, state["pool/x_t"][:, :-1])
    before, known = state["pool/problem"].clone(), state["pool/known"].clone()
    state["pool/next"].zero_()
    context, _ = draw_batch(training)
    fresh = context.problem
    mine_negative(POOL, context)
    rank = torch.stack([(context.t[:, :row] == context.t[:, row : row + 1]).sum(1) for row in range(12)], 1)
    for seed in range(2):
        for row in range(12):
            place = context.t[seed, row] * 12 + rank[seed, row]
            anew = right[seed, place] or not known[seed, place]
            expected = fresh[seed, row] if anew else before[seed, place]
            assert torch.equal(context.problem[seed, row], expected)
            assert torch.equal(state["pool/problem"][seed, place], expected)
    assert (known & right).any() and (known & ~right).any()


def test_the_contrast_is_that_of_the_pool_s_problems_with_all_gradients(tmp_path):
    training = training_with(tmp_path, replay_fresh=0, pool_size=2, contrast_noise="denoising")
    for _ in range(3):
        context, eps = draw_batch(training)
        own = context.problem
        rows = row_losses(context.landscape, context, eps, POOL)
    assert (context.problem != own).any(), "the batch still has its own problems"
    model, schedule, weights = training.model, training.schedule, training.weights
    at = schedule.sqrt_alpha_bar[context.t][..., None, None], schedule.sqrt_noise[context.t][..., None, None]
    energy = model.energy(context.problem, at[0] * context.x0 + at[1] * eps, context.t)
    torch.testing.assert_close(rows["energy_positive"], energy, rtol=1e-4, atol=1e-5)
    ours = torch.autograd.grad(rows["energy_positive"].sum(), weights, allow_unused=True)
    theirs = torch.autograd.grad(energy.sum(), weights, allow_unused=True)
    for a, b in zip(ours, theirs):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)


def test_a_mixture_refuses_a_strategy_with_problems_of_its_own(tmp_path):
    training = training_with(tmp_path, strategy="mixture", mixture="random:0.5,pool:0.5")
    context, _ = draw_batch(training)
    with pytest.raises(ParamError, match="mixture = 'random:0.5,pool:0.5': pool contrasts problems of its own"):
        mine_negative(training.strategy, context)


def test_one_more_landscape_step_at_each_visit(tmp_path):
    """With the same weights, visit after visit of the same problems lowers their energy."""
    training = training_with(tmp_path, replay_fresh=0, pool_size=1, batch_size=40, mining_noise_scale=0.5)
    energies = []
    for _ in range(4):
        context, _ = draw_batch(training)
        mine_negative(POOL, context)
        state = training.miner_state
        t = torch.arange(4).expand(2, 4)
        with torch.no_grad():
            energies.append(training.model.energy(state["pool/problem"][:, :-1], state["pool/x_t"][:, :-1], t))
        assert 0 < context.measured["accepted"].mean() <= 1
    assert all((after <= before * (1 + 1e-5)).all() for before, after in zip(energies, energies[1:]))
    assert (energies[-1] < energies[0]).any()
