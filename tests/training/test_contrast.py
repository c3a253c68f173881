"""The contrast of every strategy: its noise levels, the filter for correct negatives, its warm-up."""

import math

import pytest
import torch
from tiny import silent_train, tiny

from anm.params import RunParams
from anm.training.losses import contrast_mask, contrastive_weight, row_losses
from anm.training.state import TrainingState
from anm.training.step import draw_batch


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
