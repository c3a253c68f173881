"""What shapes the contrast of any strategy: its noise levels, the filter for negatives that are right, its warm-up."""

import math

import pytest
import torch
from tiny import silent_train, tiny

from anm.losses import contrastive_weight, counted, row_losses
from anm.params import RunParams
from anm.trainer import Training


def losses(folder, **settings):
    """What a step of `random` measures, per row."""
    training = Training(tiny(folder, strategy="random", batch_size=200, **settings))
    mine, eps = training.draw()
    return mine, row_losses(mine.landscape, mine, eps, training.strategy)


def test_only_the_stated_noise_levels_are_contrasted(tmp_path):
    _, every = losses(tmp_path)
    mine, rows = losses(tmp_path, mining_levels="1-2")
    within = (mine.t == 1) | (mine.t == 2)
    assert torch.equal(rows["contrast"][within], every["contrast"][within]) and not rows["contrast"][~within].any()
    assert every["contrast"].min() > 0
    history = silent_train(tiny(tmp_path, strategy="random", mining_levels="1-2")).history["by_level"]
    assert [math.isfinite(value) for value in history["distance"][-1]] == [False, True, True, False]


def test_negatives_that_are_right_do_not_count(tmp_path):
    def nearly(mine):
        right = torch.arange(200) % 2 == 0
        return torch.where(right[None, :, None, None], mine.x0 * 1.001, mine.x0 + 1)

    training = Training(tiny(tmp_path, batch_size=200, answer_bound=100, false_negative_residual=0.01))
    mine, eps = training.draw()
    rows = row_losses(mine.landscape, mine, eps, nearly)
    assert not rows["contrast"][:, ::2].any() and (rows["contrast"][:, 1::2] > 0).all()
    assert torch.equal(rows["false"][0], (torch.arange(200) % 2 == 0).float())
    rows["contrast"].sum().backward()
    assert all(torch.isfinite(weight.grad).all() for weight in training.weights if weight.grad is not None)


def test_a_negative_without_a_number_is_no_false_one(tmp_path):
    mine, _ = Training(tiny(tmp_path, false_negative_residual=1.0)).draw()
    assert counted(mine, torch.full_like(mine.t, math.nan, dtype=torch.float32)).all()


def test_the_log_says_how_many_are_right_with_the_filter_off(tmp_path):
    training = Training(tiny(tmp_path, answer_bound=100))
    mine, eps = training.draw()
    rows = row_losses(
        mine.landscape, mine, eps, lambda mine: mine.x0 * torch.tensor([1.05, 1.2] * 4)[None, :, None, None]
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
