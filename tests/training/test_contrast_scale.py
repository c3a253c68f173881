"""The mean energy gap of each level against plain loops, and the contrast that is divided by it."""

import pytest
import torch
from tiny import tiny

from anm.training.contrast_scale import DECAY, mean_gap
from anm.training.losses import row_losses
from anm.training.state import TrainingState
from anm.training.step import draw_batch, training_step


def contexts(folder, count, **settings):
    training = TrainingState(tiny(folder, strategy="adversarial", batch_size=30, **settings))
    return [draw_batch(training) for _ in range(count)]


def test_it_is_the_decayed_mean_of_each_seed_and_level(tmp_path):
    generator, sums = torch.Generator().manual_seed(1), {}
    for context, _ in contexts(tmp_path, 3):
        gap = 20 * torch.randn(2, 30, generator=generator)
        found = mean_gap(context, gap)
        for seed in range(2):
            for level in range(4):
                old, rows = sums.get((seed, level), (0.0, 0.0))
                here = gap[seed, context.t[seed] == level].abs()
                sums[seed, level] = (DECAY * old + here.sum().item(), DECAY * rows + len(here))
            means = [max(1.0, sums[seed, level][0] / sums[seed, level][1]) for level in context.t[seed].tolist()]
            torch.testing.assert_close(found[seed], torch.tensor(means), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("scale", [1.0, 7.0, 1000.0])
def test_large_gaps_are_free_of_the_energy_s_scale_and_small_ones_stay(scale, tmp_path):
    gap = 10 + 20 * torch.rand(2, 30, generator=torch.Generator().manual_seed(2))
    once, again, small = (contexts(tmp_path, 1)[0][0] for _ in range(3))
    torch.testing.assert_close(scale * gap / mean_gap(again, scale * gap), gap / mean_gap(once, gap))
    assert torch.equal(mean_gap(small, gap / 1000), torch.ones(2, 30))


def test_the_contrast_is_divided_by_it_and_no_gradient_flows_through_it(tmp_path):
    plain, eps = contexts(tmp_path, 1)[0]
    scaled, _ = contexts(tmp_path, 1, contrast_scale="gap")[0]
    for context in (plain, scaled):
        with torch.no_grad():
            context.model.output.weight.mul_(20)  # so that gaps are large
    before, after = (row_losses(context.landscape, context, eps, lambda own: own.x0 + 3) for context in (plain, scaled))
    gap = before["energy_positive"] - before["energy_negative"]
    torch.testing.assert_close(after["energy_positive"], before["energy_positive"])
    scale = torch.empty_like(gap)
    for seed in range(2):
        for level in range(4):
            here = plain.t[seed] == level
            scale[seed, here] = gap[seed, here].detach().abs().mean().clamp(min=1)
    assert (scale > 1).any()
    expected = torch.log1p((gap / scale).exp())
    torch.testing.assert_close(after["contrast"], expected, rtol=1e-4, atol=1e-5)
    theirs = torch.autograd.grad(expected.sum(), list(plain.model.parameters()), allow_unused=True)
    ours = torch.autograd.grad(after["contrast"].sum(), list(scaled.model.parameters()), allow_unused=True)
    for a, b in zip(ours, theirs):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


def test_its_sums_are_written_in_place_and_only_with_the_setting(tmp_path):
    training = TrainingState(tiny(tmp_path, strategy="random", contrast_scale="gap"))
    training_step(training)
    first = dict(training.miner_state)
    assert set(first) == {"contrast/gap", "contrast/rows"}
    training_step(training)
    assert all(training.miner_state[name] is tensor for name, tensor in first.items())
    without = TrainingState(tiny(tmp_path, strategy="random"))
    training_step(without)
    assert not without.miner_state
