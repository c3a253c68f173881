"""Negatives that the model itself answers: by definition, and against the sampler."""

import pytest
import torch
from tiny import tiny

from anm.miners import mine_negative
from anm.registry import resolve
from anm.solvers.sampler import sample
from anm.training.losses import row_losses
from anm.training.state import TrainingState
from anm.training.step import draw_batch
from anm.utils.random_streams import RandomStreams

TOP = 3  # the highest of four noise levels


def drawn(folder, **settings):
    """A training with its first batch and the noise of the denoising loss."""
    training = TrainingState(tiny(folder, batch_size=40, **settings))
    return training, *draw_batch(training)


def answered(model, schedule, problem, x_t, t):
    """x0 = (x_t - sqrt(1 - alpha_bar) eps_hat) / sqrt(alpha_bar), clipped to +-2."""
    _, eps_hat = model.energy_and_grad(problem, x_t, t)
    alpha_bar = schedule.alpha_bar[t][..., None, None]
    return ((x_t - (1 - alpha_bar).sqrt() * eps_hat) / alpha_bar.sqrt()).clamp(-2, 2)


def noised(schedule, x0, t, eps):
    alpha_bar = schedule.alpha_bar[t][..., None, None]
    return alpha_bar.sqrt() * x0 + (1 - alpha_bar).sqrt() * eps


@pytest.mark.parametrize("contrast_noise, evaluations", [("own", 3), ("denoising", 2), ("none", 3)])
def test_one_step_takes_the_answer_and_energy_of_the_denoising_loss(contrast_noise, evaluations, tmp_path):
    training, context, eps = drawn(tmp_path, contrast_noise=contrast_noise)
    model, schedule, points, seen = training.model, training.schedule, [], []

    def landscape(x_t, gradient=True, plain=context.landscape):
        points.append(x_t)
        return plain(x_t, gradient=gradient)

    context.landscape = landscape
    strategy = resolve("strategy", "one_step")
    rows = row_losses(landscape, context, eps, lambda context: seen.append(strategy(context)) or seen[0])
    assert len(points) == evaluations
    expected = answered(model, schedule, context.problem, noised(schedule, context.x0, context.t, eps), context.t)
    torch.testing.assert_close(seen[0].clamp(-2, 2), expected, rtol=1e-3, atol=1e-4)
    noise = {"own": context.eps, "denoising": eps, "none": 0 * eps}[contrast_noise]
    for name, x0 in (("energy_positive", context.x0), ("energy_negative", expected)):
        energy = model.energy(context.problem, noised(schedule, x0, context.t, noise), context.t)
        torch.testing.assert_close(rows[name], energy, rtol=1e-3, atol=1e-4)
        assert rows[name].requires_grad


def test_one_step_outside_a_training_step_uses_the_noise_of_the_contrast(tmp_path):
    training, context, _ = drawn(tmp_path)
    negative = mine_negative(resolve("strategy", "one_step"), context)
    x_t = noised(training.schedule, context.x0, context.t, context.eps)
    expected = answered(training.model, training.schedule, context.problem, x_t, context.t)
    torch.testing.assert_close(negative, expected, rtol=1e-3, atol=1e-4)


@torch.no_grad()
def test_solver_path_is_where_the_sampler_comes_to_a_level(tmp_path):
    training, context, _ = drawn(tmp_path, contrast_noise="none")
    model, schedule, arrivals, levels = training.model, training.schedule, [], []
    context.t = torch.full_like(context.t, TOP - 1)
    negative = mine_negative(resolve("strategy", "solver_path"), context)

    start = noised(schedule, context.x0, torch.full_like(context.t, TOP), RandomStreams((0, 1), negative.device)
                   .normal("miner", 40, 4, 4))  # fmt: skip
    landscape = model.landscape

    def watched(encoded, t):
        plain = landscape(encoded, t)
        levels.append(int(t[0, 0]))

        def evaluate(x_t, gradient=True):
            arrivals.append(x_t)
            return plain(x_t, gradient=gradient)

        return evaluate

    model.landscape = watched
    sample(model, context.problem, start, schedule, landscape_steps=0, bound=2.0)
    assert levels == [3, 2, 1, 0]
    torch.testing.assert_close(context.noised(negative), arrivals[1], rtol=1e-3, atol=1e-5)


def test_at_the_highest_level_solver_path_answers_from_that_level_s_noise(tmp_path):
    training, context, _ = drawn(tmp_path)
    negative = mine_negative(resolve("strategy", "solver_path"), context)
    above = (context.t + 1).clamp(max=TOP)
    noise = RandomStreams((0, 1), negative.device).normal("miner", 40, 4, 4)
    x_t = noised(training.schedule, context.x0, above, noise)
    expected = answered(training.model, training.schedule, context.problem, x_t, above)
    assert (context.t == TOP).any() and (context.t < TOP).any()
    torch.testing.assert_close(negative, expected, rtol=1e-3, atol=1e-4)
