"""A training step: clipping by hand; the same weights, problems and noise for every strategy."""

import pytest
import torch
from tiny import narrow, same_bits, tiny  # noqa: F401

from anm.training import step
from anm.training.state import TrainingState
from anm.training.step import clip_per_seed, draw_batch, training_step


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
