"""The start of `calibrated`, its adaptation by hand, and the hardness that it reaches."""

import math
from functools import partial

import pytest
import torch
from tiny import tiny

from anm.miners import mine_negative
from anm.miners.calibration import LIMITS, RATE, adapt, noise_scales
from anm.registry import resolve
from anm.training.losses import row_losses
from anm.training.state import TrainingState
from anm.training.step import draw_batch

CALIBRATED = resolve("strategy", "calibrated")


def drawn(folder, **settings):
    training = TrainingState(tiny(folder, strategy="calibrated", batch_size=40, **settings))
    return draw_batch(training)


def by_hand(log_scale, target, t, hardness, counts):
    """The same in plain loops: log_scale (T,) of one seed."""
    after = list(log_scale)
    for level in range(len(after)):
        excess = [h - target for h, at, used in zip(hardness, t, counts) if at == level and used]
        if excess:
            changed = after[level] + RATE * sum(excess) / len(excess)
            after[level] = min(max(changed, math.log(LIMITS[0])), math.log(LIMITS[1]))
    return after


def test_the_first_negatives_are_those_of_adversarial(tmp_path):
    first, plain = (
        mine_negative(resolve("strategy", name), drawn(tmp_path, mining_noise_scale=2)[0])
        for name in ("calibrated", "adversarial")
    )
    torch.testing.assert_close(first, plain, rtol=1e-4, atol=1e-4)


def test_each_seed_and_level_has_a_noise_of_its_own(tmp_path):
    context, _ = drawn(tmp_path, mining_opt_steps=0)
    scale = torch.tensor([[0.1, 0.5, 1.0, 0.01], [2.0, 0.3, 0.7, 0.02]])
    noise_scales(context).copy_(scale.log())
    negative = mine_negative(CALIBRATED, context)
    for seed in range(2):
        for row in range(40):
            alpha_bar = context.schedule.alpha_bar[context.t[seed, row]]
            noise = scale[seed, context.t[seed, row]] * (1 - alpha_bar).sqrt() / alpha_bar.sqrt()
            expected = (context.x0[seed, row] + noise * context.eps[seed, row]).clamp(-2, 2)
            torch.testing.assert_close(negative[seed, row], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("settings", [{}, {"mining_levels": "1-2"}, {"contrast_scale": "gap"}])
def test_a_step_adapts_each_level_by_the_hardness_of_its_used_negatives(settings, tmp_path):
    context, eps = drawn(tmp_path, target_hardness=0.3, **settings)
    before = noise_scales(context).clone()
    rows = row_losses(context.landscape, context, eps, CALIBRATED)
    after = context.state["calibrated/log_scale"]
    gap = rows["energy_negative"] - rows["energy_positive"]
    if "contrast_scale" in settings:  # the first batch's mean gap of the level, at least 1
        for seed in range(2):
            for level in range(4):
                here = context.t[seed] == level
                gap[seed, here] = gap[seed, here] / gap[seed, here].abs().mean().clamp(min=1)
    hardness = 1 / (1 + gap.exp())
    for seed in range(2):
        columns = (context.t[seed], hardness[seed], rows["counts"][seed])
        expected = by_hand(before[seed].tolist(), 0.3, *(column.tolist() for column in columns))
        torch.testing.assert_close(after[seed], torch.tensor(expected), rtol=1e-4, atol=1e-5)
    changed = (after != before).all(0).tolist()
    assert changed == ([False, True, True, False] if "mining_levels" in settings else [True] * 4)
    assert context.state["calibrated/log_scale"] is noise_scales(context), "a CUDA graph needs it in place"


def test_the_noise_stays_within_its_limits():
    t, ones = torch.tensor([[0, 1, 2]]), torch.ones(1, 3)
    log_scale = torch.tensor([[math.log(LIMITS[1]), math.log(LIMITS[0]), 0.0, 0.5]])
    rows = {"t": t, "contrast": torch.tensor([[5.0, 0.0, math.log(2)]]), "counts": ones}
    adapt(log_scale, 0.5, rows)
    expected = torch.tensor([[math.log(LIMITS[1]), math.log(LIMITS[0]), 0.0, 0.5]])
    torch.testing.assert_close(log_scale, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("target", [0.1, 0.25, 0.4])
def test_the_adaptation_reaches_the_target(target):
    """Where a negative at noise k has the energy gap log(k): its hardness is 1 / (1 + k)."""
    log_scale, t = torch.full((1, 2), math.log(3.0)), torch.tensor([[0, 1, 1]])
    for _ in range(2000):
        scale = log_scale.gather(1, t).exp()
        adapt(log_scale, target, {"t": t, "contrast": torch.log1p(1 / scale), "counts": torch.ones(1, 3)})
    torch.testing.assert_close(1 / (1 + log_scale.exp()), torch.full((1, 2), target), rtol=1e-3, atol=1e-4)


def test_without_a_contrastive_loss_nothing_is_adapted(tmp_path):
    context, eps = drawn(tmp_path, negative_loss="denoising")
    before = noise_scales(context).clone()
    row_losses(context.landscape, context, eps, CALIBRATED)
    assert torch.equal(noise_scales(context), before)


def test_in_a_mixture_only_its_own_rows_adapt_it(tmp_path):
    context, eps = drawn(tmp_path, mixture="random:0.25,calibrated:0.75")
    rows = row_losses(context.landscape, context, eps, resolve("strategy", "mixture"))
    own = {name: value[:, 10:].detach() for name, value in (rows | {"t": context.t}).items()}
    expected = torch.full((2, 4), math.log(3.0))
    partial(adapt, expected, 0.25)(own)
    torch.testing.assert_close(context.state["calibrated/log_scale"], expected)
    everything = torch.full((2, 4), math.log(3.0))
    adapt(everything, 0.25, {name: value.detach() for name, value in rows.items()} | {"t": context.t})
    assert not torch.allclose(everything, expected)
