"""The losses against values computed by hand, and the scale of their gradient."""

import math
from dataclasses import replace

import pytest
import torch
from tiny import fresh_mlp, narrow, tiny  # noqa: F401

from anm.miners import MiningContext
from anm.training import step
from anm.training.losses import contrastive_loss, denoising_loss, row_losses
from anm.training.state import TrainingState
from anm.training.step import draw_batch, training_step


def test_denoising_by_hand():
    eps_hat = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]], [[0.0, 0.0], [0.0, 2.0]]]])
    eps = torch.tensor([[[[1.0, 0.0], [3.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]]])
    assert denoising_loss(eps_hat, eps).tolist() == [[(4 + 9) / 4, 1.0]]


@pytest.mark.parametrize("positive, negative", [(0.0, 0.0), (1.0, 3.0), (3.0, 1.0), (0.5, 0.2), (12.0, 2.0)])
def test_contrast_by_hand(positive, negative):
    # cross-entropy of (-E+, -E-): -log(exp(-E+) / (exp(-E+) + exp(-E-)))
    expected = -math.log(math.exp(-positive) / (math.exp(-positive) + math.exp(-negative)))
    assert contrastive_loss(torch.tensor([[positive]]), torch.tensor([[negative]])).item() == pytest.approx(
        expected, rel=1e-5
    )


def test_contrast_at_extreme_energies():
    far, near = torch.tensor([[1e4]]), torch.tensor([[0.0]])
    assert contrastive_loss(far, near).item() == 1e4 and contrastive_loss(near, far).item() == 0
    assert contrastive_loss(far, torch.tensor([[float("nan")]])).isnan().all()


def test_contrast_pushes_the_answer_down_and_the_negative_up():
    positive, negative = torch.tensor([[1.0]], requires_grad=True), torch.tensor([[1.5]], requires_grad=True)
    contrastive_loss(positive, negative).sum().backward()
    share = 1 / (1 + math.exp(0.5))  # of the negative, by the cross-entropy
    assert positive.grad.item() == pytest.approx(share) and negative.grad.item() == pytest.approx(-share)


def drawn(folder, **settings):
    """A training, and its first batch: (training, context, eps)."""
    training = TrainingState(tiny(folder, **settings))
    return training, *draw_batch(training)


def halves(context):
    """A known negative: half of the answer."""
    return context.x0 / 2


def test_every_row_by_definition(tmp_path):
    training, context, eps = drawn(tmp_path, batch_size=6)
    rows = row_losses(context.landscape, context, eps, halves)
    model, at = training.model, training.schedule.at
    assert not torch.equal(context.eps, eps)  # the contrast has noise of its own

    def x_t(x0, noise):
        return at("sqrt_alpha_bar", context.t, x0) * x0 + at("sqrt_noise", context.t, noise) * noise

    _, eps_hat = model.energy_and_grad(context.problem, x_t(context.x0, eps), context.t)
    torch.testing.assert_close(rows["denoise"], (eps_hat - eps).square().mean((-2, -1)))
    positive, negative = (
        model.energy(context.problem, x_t(x0, context.eps), context.t) for x0 in (context.x0, context.x0 / 2)
    )
    torch.testing.assert_close(rows["energy_positive"], positive)
    torch.testing.assert_close(rows["energy_negative"], negative)
    torch.testing.assert_close(rows["contrast"], torch.log1p(torch.exp(positive - negative)))
    torch.testing.assert_close(rows["distance"], context.x0.square().mean((-2, -1)).sqrt() / 2)
    assert all(value.shape == (2, 6) for value in rows.values())
    assert not rows["distance"].requires_grad and rows["contrast"].requires_grad


def test_without_negatives_there_is_the_denoising_loss_alone(tmp_path):
    _, context, eps = drawn(tmp_path)
    stood = [g.get_state() for g in context.streams.generators["miner"]]
    assert set(row_losses(context.landscape, context, eps, lambda context: None)) == {"denoise"}
    assert all(torch.equal(g.get_state(), state) for g, state in zip(context.streams.generators["miner"], stood))


def test_what_a_strategy_measures_cannot_replace_a_loss(tmp_path):
    def meddling(context):
        context.measured |= {
            "denoise": torch.zeros_like(context.t, dtype=torch.float32),
            "accepted": torch.ones(context.t.shape),
        }
        return context.x0

    _, context, eps = drawn(tmp_path)
    rows = row_losses(context.landscape, context, eps, meddling)
    assert torch.all(rows["denoise"] > 0) and torch.all(rows["accepted"] == 1)


def gradients(training, batches, monkeypatch):
    """Each weight's gradient after a step on these rows of the first batch, before any clipping."""
    context, eps = draw_batch(training)
    noise = context.eps
    A, x0, t = (torch.cat([part] * batches, dim=1) for part in (context.problem, context.x0, context.t))
    landscape = training.model.landscape(training.model.encode(A), t)
    repeated = MiningContext(
        training.task,
        A,
        x0,
        t,
        landscape=landscape,
        schedule=context.schedule,
        params=context.params,
        streams=context.streams,
        state={},
    )
    repeated.eps = torch.cat([noise] * batches, dim=1)
    monkeypatch.setattr(step, "draw_batch", lambda state: (repeated, torch.cat([eps] * batches, dim=1)))
    monkeypatch.setattr(step, "MAX_GRAD_NORM", math.inf)
    training_step(training)
    return [weight.grad for weight in training.weights]


@pytest.mark.parametrize("strategy", ["none", "adversarial"])
def test_a_batch_of_the_same_rows_twice_has_the_same_gradient(strategy, tmp_path, monkeypatch):
    """The prior study divided its gradients by the batch size."""
    once, thrice = (gradients(TrainingState(tiny(tmp_path, strategy=strategy)), k, monkeypatch) for k in (1, 3))
    for a, b in zip(once, thrice):
        assert (a - b).abs().max() <= 1e-4 * a.abs().max()


def test_a_seed_s_gradient_does_not_depend_on_how_many_train_beside_it(tmp_path, monkeypatch):
    stack, alone = (gradients(TrainingState(tiny(tmp_path, seeds=seeds)), 1, monkeypatch) for seeds in ("0-3", "2"))
    for a, b in zip(stack, alone):
        assert (a[2] - b[0]).abs().max() <= 1e-4 * b.abs().max()


@pytest.mark.parametrize("weight", [0.0, 0.5, 2.0])
def test_the_loss_is_denoising_plus_weighted_contrast(weight, tmp_path, monkeypatch):
    training = TrainingState(tiny(tmp_path, strategy="random", contrastive_weight=weight))
    model = fresh_mlp()
    context, eps = draw_batch(training)
    landscape = model.landscape(model.encode(context.problem), context.t)
    copied = replace(context, landscape=landscape)
    copied.eps = context.eps
    rows = row_losses(landscape, copied, eps, halves)
    loss = (rows["denoise"].mean(1) + weight * rows["contrast"].mean(1)).sum()
    expected = torch.autograd.grad(loss, list(model.parameters()))
    monkeypatch.setattr(step, "draw_batch", lambda state: (context, eps))
    monkeypatch.setattr(training, "strategy", halves)
    monkeypatch.setattr(step, "MAX_GRAD_NORM", math.inf)
    training_step(training)
    for w, g in zip(training.weights, expected):
        assert (w.grad - g).abs().max() <= 1e-5 * g.abs().max()


def test_the_denoising_loss_of_negatives_by_definition(tmp_path):
    """At x_t = sqrt(alpha_bar) x_neg, eps_hat must be the noise that leads to the answer: `denoised` gives x0 then."""
    training, context, eps = drawn(tmp_path, batch_size=6, negative_loss="denoising")
    rows = row_losses(context.landscape, context, eps, halves)
    schedule, t = training.schedule, context.t
    x_t = (schedule.at("sqrt_alpha_bar", t, context.x0) * context.x0 / 2).requires_grad_()
    energy = training.model.energy(context.problem, x_t, t)
    (eps_hat,) = torch.autograd.grad(energy.sum(), x_t)
    scale = schedule.alpha_bar[t][..., None, None]
    target = (x_t - scale.sqrt() * context.x0) / (1 - scale).sqrt()
    torch.testing.assert_close(schedule.denoised(x_t, t, target), context.x0, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(rows["contrast"], (eps_hat - target).square().mean((-2, -1)), rtol=1e-4, atol=1e-6)
    assert rows["contrast"].requires_grad and rows["counts"].all() and "energy_positive" not in rows
    usual = row_losses(context.landscape, context, eps, lambda context: None)
    assert torch.equal(rows["denoise"], usual["denoise"])


def test_a_strategy_that_watches_energies_is_not_called_without_them(tmp_path):
    seen = []

    def watched(context):
        context.observers.append(lambda rows: seen.append(set(rows)))
        return context.x0 / 2

    for negative_loss, calls in (("denoising", 0), ("contrastive", 1)):
        _, context, eps = drawn(tmp_path, negative_loss=negative_loss)
        row_losses(context.landscape, context, eps, watched)
        assert len(seen) == calls
    assert {"energy_positive", "energy_negative", "counts", "t"} <= seen[0]


@pytest.mark.parametrize("negative_loss", ["contrastive", "denoising"])
@pytest.mark.parametrize("share, count", [(0.01, 1), (0.25, 2), (0.5, 4), (0.95, 8)])
def test_the_first_rows_alone_have_negatives(share, count, negative_loss, tmp_path):
    training, context, eps = drawn(tmp_path, negative_share=share, negative_loss=negative_loss)
    mined = step.with_negatives(training, context)
    for part in ("problem", "x0", "t"):
        assert torch.equal(getattr(mined, part), getattr(context, part)[:, :count])
    rows = row_losses(context.landscape, context, eps, halves, mined)
    alone = row_losses(mined.landscape, mined, eps[:, :count], halves)
    without = row_losses(context.landscape, context, eps, lambda context: None)
    assert torch.equal(rows["denoise"], without["denoise"])
    for name in ("contrast", "distance", "counts", "mined"):
        assert rows[name].shape == (2, 8) and not rows[name][:, count:].any() and rows[name][:, :count].all()
        torch.testing.assert_close(rows[name][:, :count], alone[name])


def test_a_loss_of_fewer_negatives_is_a_mean_over_all_rows(tmp_path, monkeypatch):
    """So that half of the negatives have half of the weight: the loss of a row does not depend on the share."""
    training, context, eps = drawn(tmp_path, negative_share=0.5, contrastive_weight=2.0)
    mined = step.with_negatives(training, context)
    rows = row_losses(context.landscape, context, eps, halves, mined)
    loss = (rows["denoise"].sum(1) + 2.0 * rows["contrast"][:, :4].sum(1)) / 8
    expected = torch.autograd.grad(loss.sum(), training.weights, retain_graph=True)
    monkeypatch.setattr(step, "draw_batch", lambda state: (context, eps))
    monkeypatch.setattr(step, "with_negatives", lambda state, whole: mined)
    monkeypatch.setattr(training, "strategy", halves)
    monkeypatch.setattr(step, "MAX_GRAD_NORM", math.inf)
    training_step(training)
    for w, g in zip(training.weights, expected):
        assert (w.grad - g).abs().max() <= 1e-5 * g.abs().max()
