"""A training step: clipping by hand; the same weights, problems and noise for every strategy."""

import pytest
import torch
from tiny import narrow, same_bits, tiny  # noqa: F401
from torch.nn.functional import softplus

from anm.training import step
from anm.training.losses import row_losses
from anm.training.state import TrainingState
from anm.training.step import clip_per_seed, draw_batch, training_step, with_negatives
from anm.utils.random_streams import StreamDraws


def test_gradients_are_clipped_seed_by_seed_by_hand():
    # seed 0: norm sqrt(9 + 16) = 5; seed 1: norm 0.5, below the limit
    gradients = [torch.tensor([[[3.0], [0.0]], [[0.3], [0.0]]]), torch.tensor([[4.0], [0.4]])]
    norm = clip_per_seed(gradients, 1.0)
    torch.testing.assert_close(norm, torch.tensor([5.0, 0.5]))
    torch.testing.assert_close(gradients[0], torch.tensor([[[0.6], [0.0]], [[0.3], [0.0]]]))
    torch.testing.assert_close(gradients[1], torch.tensor([[0.8], [0.4]]))


def record_draws(params, steps=4):
    """The initial weights; per step (A, x0, t, eps) and the contrast's noise; the final weights."""
    training = TrainingState(params)
    start, seen, contexts = [weight.detach().clone() for weight in training.weights], [], []

    def watched(training):
        context, eps = draw_batch(training)
        seen.append([part.clone() for part in (context.problem, context.x0, context.t, eps)])
        contexts.append(context)
        return context, eps

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(step, "draw_batch", watched)
        for _ in range(steps):
            training_step(training)
    return start, seen, [context.eps for context in contexts], [weight.detach() for weight in training.weights]


def test_all_strategies_see_the_same_weights_problems_and_noise(tmp_path, greedy):
    start, seen, contrast, end = record_draws(tiny(tmp_path, strategy="adversarial"))
    for strategy in ("none", "random", "greedy"):
        other_start, other_seen, other_contrast, other_end = record_draws(tiny(tmp_path, strategy=strategy))
        assert same_bits(start, other_start) and same_bits(seen, other_seen)
        assert strategy == "none" or same_bits(contrast, other_contrast)
        assert not same_bits(end, other_end)  # so the strategies do differ
    assert len(seen) == 4 and not torch.equal(seen[0][0], seen[1][0])


def test_the_settings_of_a_strategy_do_not_change_what_it_sees(tmp_path):
    start, seen, contrast, end = record_draws(tiny(tmp_path))
    other = record_draws(tiny(tmp_path, mining_opt_steps=7, mining_noise_scale=0.1, contrastive_weight=3))
    assert same_bits([start, seen, contrast], list(other[:3])) and not same_bits(end, other[3])


def steps_by_hand(params, steps):
    """Steps of `random` written out, with the settings that came later at their defaults; the training state."""
    training = TrainingState(params)
    streams, schedule, model = training.streams, training.schedule, training.model
    for number in range(1, steps + 1):
        A, x0 = training.task.draw(StreamDraws(streams, "problems"), params.batch_size, params.n, 0.5)
        t = streams.integers("noise", params.noise_levels, params.batch_size)
        eps, shared = (streams.normal(name, *x0.shape[1:]) for name in ("noise", "contrast"))
        negative = streams.normal("miner", *x0.shape[1:]).clamp(-params.answer_bound, params.answer_bound)
        landscape = model.landscape(model.encode(A), t)
        _, eps_hat = landscape(schedule.noised(x0, t, eps))
        positive, other = (landscape(schedule.noised(x, t, shared), gradient=False)[0] for x in (x0, negative))
        denoising, contrast = (eps_hat - eps).square().mean((-2, -1)), softplus(positive - other)
        loss = denoising.mean(1) + params.contrastive_weight * contrast.mean(1)
        training.optimiser.zero_grad()
        loss.sum().backward()
        clip_per_seed([weight.grad for weight in training.weights], step.MAX_GRAD_NORM)
        training.optimiser.step()
        new_share = torch.tensor(1 - min(0.9995, (1 + number) / (10 + number)))
        with torch.no_grad():
            for average, weight in zip(training.average.parameters(), training.weights):
                average.lerp_(weight, new_share)
    return training


def test_at_the_defaults_a_step_is_what_it_always_was(tmp_path):
    """Bit for bit, so that recorded runs can be repeated: no draw, scale or loss of a later setting is in it."""
    params = tiny(tmp_path, strategy="random")
    by_hand, training = steps_by_hand(params, 4), TrainingState(params)
    for _ in range(4):
        training_step(training)
    ours, theirs = training.checkpoint(), by_hand.checkpoint()
    assert all(same_bits(ours[part], theirs[part]) for part in ("model", "average", "optimiser", "streams"))


@pytest.mark.parametrize("least", [0.0, 0.25])
def test_the_noise_of_a_row_is_scaled_by_a_number_uniform_from_the_least(least, tmp_path):
    usual, scaled = (TrainingState(tiny(tmp_path, batch_size=2000, least_noise=value)) for value in (1, least))
    (context, eps), (same, smaller) = draw_batch(usual), draw_batch(scaled)
    assert same_bits([context.problem, context.x0, context.t], [same.problem, same.x0, same.t])
    strength = (smaller * eps).sum((-2, -1)) / eps.square().sum((-2, -1))
    torch.testing.assert_close(smaller, strength[..., None, None] * eps, rtol=1e-4, atol=1e-6)
    assert strength.min() >= least and strength.max() <= 1 and strength.min() < least + 0.01 < 0.99 < strength.max()
    expected = (torch.arange(9) + 0.5) / 9 * (1 - least) + least  # the middles of nine ranges with equal chances
    found = torch.quantile(strength[0].double(), (torch.arange(9).double() + 0.5) / 9)
    torch.testing.assert_close(found, expected.double(), rtol=0, atol=0.04)
    assert not torch.equal(strength[0], strength[1])


def test_the_denoising_loss_asks_for_the_scaled_noise(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(step, "row_losses", lambda *given: seen.append((given, row_losses(*given))) or seen[-1][1])
    training = TrainingState(tiny(tmp_path, strategy="none", least_noise=0.0))
    before = [weight.detach().clone() for weight in training.weights]
    training_step(training)
    ((_, context, eps, *_), rows) = seen[0]
    for weight, old in zip(training.weights, before):
        weight.data.copy_(old)
    alpha_bar = training.schedule.alpha_bar[context.t][..., None, None]
    x_t = alpha_bar.sqrt() * context.x0 + (1 - alpha_bar).sqrt() * eps
    _, eps_hat = training.model.energy_and_grad(context.problem, x_t, context.t)
    torch.testing.assert_close(rows["denoise"], (eps_hat - eps).square().mean((-2, -1)), rtol=1e-4, atol=1e-6)
    assert eps.square().mean() < 0.6  # 1 without scaling, and 1 / 3 with it


def test_all_rows_get_a_negative_unless_a_share_is_given(tmp_path):
    training = TrainingState(tiny(tmp_path))
    context, _ = draw_batch(training)
    assert with_negatives(training, context) is context
