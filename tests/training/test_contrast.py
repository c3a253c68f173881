"""The contrast of every strategy: its noise levels, the filter for correct negatives, its warm-up."""

import math

import pytest
import torch
from tiny import silent_train, tiny

from anm.params import RunParams
from anm.training.losses import clipped, contrast_mask, contrastive_weight, row_losses
from anm.training.state import TrainingState
from anm.training.step import draw_batch, with_negatives


def losses(folder, **settings):
    """The context and row losses of a step of `random`."""
    training = TrainingState(tiny(folder, strategy="random", batch_size=200, **settings))
    context, eps = draw_batch(training)
    return context, row_losses(context.landscape, context, eps, training.strategy)


def test_only_the_stated_noise_levels_are_contrasted(tmp_path):
    _, every = losses(tmp_path)
    context, rows = losses(tmp_path, mining_levels="1-2")
    within = (context.t == 1) | (context.t == 2)
    assert torch.equal(rows["contrast"][within], every["contrast"][within]) and not rows["contrast"][~within].any()
    assert every["contrast"].min() > 0
    history = silent_train(tiny(tmp_path, strategy="random", mining_levels="1-2")).history["by_level"]
    assert [math.isfinite(value) for value in history["distance"][-1]] == [False, True, True, False]


def test_correct_negatives_are_not_used(tmp_path):
    def nearly(context):
        right = torch.arange(200) % 2 == 0
        return torch.where(right[None, :, None, None], context.x0 * 1.001, context.x0 + 1)

    training = TrainingState(tiny(tmp_path, batch_size=200, answer_bound=100, false_negative_residual=0.01))
    context, eps = draw_batch(training)
    rows = row_losses(context.landscape, context, eps, nearly)
    assert not rows["contrast"][:, ::2].any() and (rows["contrast"][:, 1::2] > 0).all()
    assert torch.equal(rows["false"][0], (torch.arange(200) % 2 == 0).float())
    rows["contrast"].sum().backward()
    assert all(torch.isfinite(weight.grad).all() for weight in training.weights if weight.grad is not None)


def test_a_negative_that_is_not_finite_is_not_filtered_out(tmp_path):
    context, _ = draw_batch(TrainingState(tiny(tmp_path, false_negative_residual=1.0)))
    assert contrast_mask(context, torch.full_like(context.x0, math.nan)).all()


def test_correct_negatives_are_measured_with_the_filter_off(tmp_path):
    training = TrainingState(tiny(tmp_path, answer_bound=100))
    context, eps = draw_batch(training)
    rows = row_losses(
        context.landscape, context, eps, lambda context: context.x0 * torch.tensor([1.05, 1.2] * 4)[None, :, None, None]
    )
    # (1 + d) x0 has the residual d, since A x0 = I and ||I|| / sqrt(n) = 1
    torch.testing.assert_close(rows["residual"], torch.tensor([0.05, 0.2] * 4).expand(2, -1), rtol=1e-2, atol=1e-3)
    assert rows["false"].tolist() == [[1.0, 0.0] * 4] * 2 and rows["counts"].all()


def test_the_contrast_warms_up():
    params = RunParams(contrastive_weight=0.8, contrastive_warmup=4)
    assert [contrastive_weight(params, step) for step in range(6)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.8, 0.8])
    assert contrastive_weight(RunParams(contrastive_weight=0.8), 0) == 0.8


def test_a_warm_up_changes_the_run_and_ends(tmp_path):
    none, warm, at_once = (
        silent_train(tiny(tmp_path, strategy=strategy, train_steps=1, contrastive_warmup=warmup))
        for strategy, warmup in (("none", 0), ("random", 10**8), ("random", 1))
    )
    gap = [
        (a - b).abs().max().item() for a, b in zip(warm.model.state_dict().values(), none.model.state_dict().values())
    ]
    assert max(gap) < 1e-4
    loss, denoise, contrast = (at_once.history[name][0][0] for name in ("loss", "denoise", "contrast"))
    assert loss == pytest.approx(denoise + 0.5 * contrast, rel=1e-5)
    assert warm.history["loss"][0][0] == pytest.approx(warm.history["denoise"][0][0], rel=1e-5)


@pytest.mark.parametrize("contrast_noise", ["own", "denoising", "none"])
@pytest.mark.parametrize("share", [1.0, 0.5])
def test_answer_and_negative_share_the_noise_that_the_setting_names(contrast_noise, share, tmp_path):
    training = TrainingState(tiny(tmp_path, contrast_noise=contrast_noise, negative_share=share))
    context, eps = draw_batch(training)
    mined, evaluations = with_negatives(training, context), []
    whole, part = context.landscape, mined.landscape
    mined.landscape = lambda x_t, gradient=True: evaluations.append(gradient) or part(x_t, gradient=gradient)
    rows = row_losses(whole, context, eps, lambda context: context.x0 / 2, mined)
    count = round(8 * share)
    noise = {"own": mined.eps, "denoising": eps[:, :count], "none": 0 * mined.eps}[contrast_noise]
    alpha_bar = training.schedule.alpha_bar[mined.t][..., None, None]
    for name, x0 in (("energy_positive", mined.x0), ("energy_negative", mined.x0 / 2)):
        x_t = alpha_bar.sqrt() * x0 + (1 - alpha_bar).sqrt() * noise
        torch.testing.assert_close(rows[name][:, :count], training.model.energy(mined.problem, x_t, mined.t))
    assert evaluations == [False] * (1 if contrast_noise == "denoising" else 2)
    ours = torch.autograd.grad(rows["energy_positive"].sum(), training.model.output.weight)
    at = alpha_bar.sqrt() * mined.x0 + (1 - alpha_bar).sqrt() * noise
    energy = training.model.energy(mined.problem, at, mined.t)
    torch.testing.assert_close(ours, torch.autograd.grad(energy.sum(), training.model.output.weight))


def test_a_negative_is_clipped_where_it_reaches_the_bound_and_the_answer_does_not(tmp_path):
    training = TrainingState(tiny(tmp_path, strategy="random", batch_size=4, answer_bound=1.5))
    context, eps = draw_batch(training)
    context.x0 = torch.zeros_like(context.x0)
    context.x0[:, 2] = 1.5
    negative = torch.full_like(context.x0, 0.5)
    negative[:, 0, 3, 1], negative[:, 1], negative[:, 2] = -1.5, 1.49, 1.5
    assert clipped(context, negative).tolist() == [[1, 0, 0, 0]] * 2
    limit = training.schedule.sqrt_alpha_bar[context.t][..., None, None]
    descended = (1.5 * limit) / limit  # as a landscape step clips, with the rounding of both operations
    assert clipped(context, descended.expand_as(negative)).tolist() == [[1, 1, 0, 1]] * 2
    rows = row_losses(context.landscape, context, eps, lambda context: negative)
    assert rows["clipped"].tolist() == [[1, 0, 0, 0]] * 2
    level = silent_train(tiny(tmp_path, strategy="random", answer_bound=1)).history["by_level"]["clipped"][-1]
    assert all(0.9 < share <= 1 for share in level if not math.isnan(share))  # an entry of 16 normal ones: 0.998
