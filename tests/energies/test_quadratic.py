"""Properties of both quadratic energies for any weights."""

import pytest
import torch
from matrix_energies import LEVELS, SEEDS, orthogonal, problems, seeded, shaken, untrained

from anm.energies import EnergyBilinear, EnergyResidual
from anm.energies.layers import LIMIT, frobenius, spectral_scale
from anm.energies.schedule import Schedule
from anm.params import RunParams
from anm.training.loop import train

both = pytest.mark.parametrize("energy", [EnergyBilinear, EnergyResidual])


@both
@pytest.mark.parametrize("n", [1, 3, 10])
def test_the_gradient_equals_autograd(energy, n):
    model, (A, _, x_t, t) = shaken(energy, n), problems(n)
    x_t.requires_grad_()
    value, eps_hat = model.energy_and_grad(A, x_t, t)
    (expected,) = torch.autograd.grad(value.sum(), x_t)
    torch.testing.assert_close(eps_hat, expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(model.energy(A, x_t, t), value)


@both
def test_the_gradient_equals_finite_differences(energy):
    model, (A, _, x_t, t) = shaken(energy, 4), problems(4)
    direction = torch.randn(x_t.shape, dtype=x_t.dtype, generator=seeded(1))
    ahead, behind = (model.energy(A, x_t + way * 1e-4 * direction, t) for way in (1, -1))
    slope = (model.energy_and_grad(A, x_t, t)[1] * direction).sum((-2, -1))
    torch.testing.assert_close((ahead - behind) / 2e-4, slope, rtol=1e-7, atol=1e-7)


@both
def test_parameter_gradients_equal_finite_differences(energy):
    """Of one ordinary backward pass through the closed-form gradient."""
    model, (A, x0, eps, t) = shaken(energy, 3), problems(3)
    x_t = Schedule(LEVELS).double().noised(x0, t, eps)

    def loss():
        return (model.energy_and_grad(A, x_t, t)[1] - eps).square().mean()

    loss().backward()
    for weights in model.parameters():
        direction = torch.randn(weights.shape, dtype=weights.dtype, generator=seeded(2))
        slope = (weights.grad * direction).sum()
        with torch.no_grad():
            weights += 1e-6 * direction
            ahead = loss()
            weights -= 2e-6 * direction
            behind = loss()
            weights += 1e-6 * direction
        torch.testing.assert_close((ahead - behind) / 2e-6, slope, rtol=1e-5, atol=1e-7)


@both
@pytest.mark.parametrize("kind", ["rotation", "permutation"])
def test_a_rotated_problem_gives_a_rotated_gradient(energy, kind):
    model, (A, _, x_t, t), Q = shaken(energy, 5), problems(5), orthogonal(5, kind)
    value, eps_hat = model.energy_and_grad(A, x_t, t)
    rotated_value, rotated = model.energy_and_grad(Q @ A @ Q.T, Q @ x_t @ Q.T, t)
    torch.testing.assert_close(rotated_value, value, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(rotated, Q @ eps_hat @ Q.T, rtol=1e-8, atol=1e-8)


@both
def test_a_scaled_problem_gives_a_scaled_answer(energy):
    model, (A, _, _, t) = shaken(energy, 5), problems(5)
    (U, V, _), (U_larger, V_larger, _) = (model.at_level(model.encode(unit * A), t) for unit in (1, 1000))
    torch.testing.assert_close(U_larger, U)
    torch.testing.assert_close(V_larger * 1000, V)


@both
@pytest.mark.parametrize("n", [2, 20])
def test_layers_are_bounded_for_any_problem(energy, n):
    """LIMIT bounds the factor of a layer, and so its gain, for any size of the weights."""
    model = shaken(energy, n, torch.float32)
    for weights in model.layers.parameters():
        weights.data *= 100
    largest = model.layers.first.abs().max() * n**0.5 * (1 + LIMIT * n**0.5) ** model.layers.weight.shape[1]
    random = torch.randn(SEEDS, 5, n, n, generator=seeded(1))
    for A in (random, 1e6 * random, 1e-6 * random, torch.ones_like(random), -torch.eye(n).expand_as(random)):
        channels = model.layers(A / spectral_scale(A))
        assert torch.isfinite(channels).all() and frobenius(channels).max() <= largest


def test_the_scale_is_just_above_the_largest_eigenvalue():
    A, *_ = problems(12)
    ratio = spectral_scale(A)[..., 0, 0] / torch.linalg.eigvalsh(A)[..., -1]
    assert ratio.min() >= 1 and ratio.max() <= 12 ** (1 / 8)
    torch.testing.assert_close(spectral_scale(A), torch.linalg.matrix_norm(A @ A @ A @ A)[..., None, None] ** 0.25)


@both
def test_the_same_weights_work_for_every_n(energy):
    """A block-diagonal problem of two equal blocks has the channels of the blocks, up to the scale."""
    model, (A, *_) = shaken(energy, 3), problems(3)
    double = torch.zeros(*A.shape[:2], 6, 6, dtype=A.dtype)
    double[..., :3, :3] = double[..., 3:, 3:] = A
    unit = spectral_scale(double) / spectral_scale(A)
    for small, large in zip(
        model.layers(A / spectral_scale(A) / unit).unbind(1), model.layers(double / spectral_scale(double)).unbind(1)
    ):
        torch.testing.assert_close(large[..., :3, :3], small)
        torch.testing.assert_close(large[..., :3, 3:], torch.zeros_like(small), rtol=0, atol=1e-12)


@both
def test_a_seed_does_not_depend_on_its_stack(energy):
    alone = energy(5, LEVELS, 1).reset([seeded(1)]).double()
    stack = untrained(energy, 5)
    A, _, x_t, t = problems(5)
    for ours, theirs in zip(alone.energy_and_grad(A[1:], x_t[1:], t[1:]), stack.energy_and_grad(A, x_t, t)):
        torch.testing.assert_close(ours[0], theirs[1])


@both
@pytest.mark.parametrize("strategy", ["none", "random", "adversarial"])
def test_the_loss_falls_with_every_strategy(energy, strategy, tmp_path):
    """It is finite, and falls for every seed."""
    name = energy.__name__.removeprefix("Energy").lower()
    params = RunParams(
        energy=name,
        strategy=strategy,
        n=4,
        train_steps=16,
        batch_size=32,
        learning_rate=1e-2,
        seeds="0,1",
        answer_bound=50,
        checkpoint_dir=tmp_path,
        device="cpu",
    )
    solver = train(params, log=lambda line: None)
    loss = torch.tensor(solver.history["denoise"])
    assert torch.isfinite(loss).all() and (loss[-4:].mean(0) < loss[:4].mean(0)).all()
