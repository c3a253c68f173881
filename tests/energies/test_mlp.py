"""IRED's energy: its published formula, its gradients against autograd and finite differences."""

import copy
import math

import pytest
import torch
from tiny import CPU, fresh_mlp, random_inputs, same_bits
from torch.nn import functional as F

from anm.energies import EnergyMLP
from anm.energies.mlp import EMBEDDING, WIDTH, SiluAndDerivative, sinusoidal
from anm.params import ParamError
from anm.registry import CHOICES
from anm.solvers.solver import Solver
from anm.utils.device import can_compile
from anm.utils.random_streams import RandomStreams

SIZES = [(1, 1, 3), (2, 3, 2), (4, 2, 8), (7, 1, 1), (4, 3, 5)]  # n, stack, batch
DOUBLE = torch.float64


def published_formula(model, seed, A, x, level):
    """E of one row from the weights of one seed."""
    half = EMBEDDING // 2
    angles = [level * math.exp(-math.log(10000) * k / (half - 1)) for k in range(half)]
    emb = torch.tensor([math.sin(a) for a in angles] + [math.cos(a) for a in angles], dtype=A.dtype)

    def linear(layer, h):
        return layer.weight[seed] @ h + layer.bias[seed]

    emb = linear(model.embed2, F.gelu(linear(model.embed1, emb)))
    fc1 = torch.cat([model.problem.weight[seed], model.answer[seed]], dim=1)
    u = fc1 @ torch.cat([A.flatten(), x.flatten()]) + model.problem.bias[seed]
    h = u * torch.sigmoid(u)
    for layer, by_level in ((model.layer2, model.level2), (model.layer3, model.level3)):
        gain, bias = linear(by_level, emb).chunk(2)
        u = linear(layer, h) * (gain + 1) + bias
        h = u * torch.sigmoid(u)
    return linear(model.output, h).square().sum()


@pytest.mark.parametrize("n, stack, batch", SIZES)
def test_the_energy_is_the_published_formula(n, stack, batch):
    model = fresh_mlp(n, 6, range(stack), DOUBLE)
    A, x_t, t = random_inputs(n, stack, batch, 6, dtype=DOUBLE)
    energy = model.energy(A, x_t, t)
    assert energy.shape == (stack, batch) and torch.all(energy > 0)
    for s in range(stack):
        for b in range(batch):
            # the embedding's frequencies are float32 constants
            torch.testing.assert_close(
                energy[s, b], published_formula(model, s, A[s, b], x_t[s, b], t[s, b].item()), rtol=1e-5, atol=0
            )


@pytest.mark.parametrize("n, stack, batch", SIZES)
def test_the_closed_form_gradient_equals_autograd(n, stack, batch):
    model = fresh_mlp(n, 6, range(stack), DOUBLE)
    A, x_t, t = random_inputs(n, stack, batch, 6, dtype=DOUBLE)
    x_t.requires_grad_(True)
    for gradient in (False, True):
        energy, _ = model.landscape(model.encode(A), t)(x_t, gradient=gradient)
        (expected,) = torch.autograd.grad(energy.sum(), x_t)
        with torch.no_grad():
            value, eps_hat = model.energy_and_grad(A, x_t, t)
        assert eps_hat.shape == x_t.shape
        assert (eps_hat - expected).abs().max() <= 1e-10 * expected.abs().max()
        assert (value - energy).abs().max() <= 1e-10 * energy.abs().max()


@pytest.mark.parametrize("problem_shape, answer_shape", [((2, 3, 3), (3, 3)), ((3, 3), (3,)), ((5,), (2, 1, 2))])
def test_problems_and_answers_of_other_shapes(problem_shape, answer_shape):
    model = EnergyMLP(3, 6, 2, (problem_shape, answer_shape), width=24).to(DOUBLE)
    model.reset(RandomStreams((0, 1), CPU).generators["weights"])
    g = torch.Generator().manual_seed(0)
    problem = torch.randn(2, 4, *problem_shape, generator=g, dtype=DOUBLE)
    x_t = torch.randn(2, 4, *answer_shape, generator=g, dtype=DOUBLE, requires_grad=True)
    t = torch.randint(6, (2, 4), generator=g)
    energy, eps_hat = model.energy_and_grad(problem, x_t, t)
    for s, b in ((0, 0), (1, 3)):
        expected = published_formula(model, s, problem[s, b], x_t[s, b], t[s, b].item())
        torch.testing.assert_close(energy[s, b], expected, rtol=1e-5, atol=0)
    (expected,) = torch.autograd.grad(model.energy(problem, x_t, t).sum(), x_t)
    assert eps_hat.shape == x_t.shape and (eps_hat - expected).abs().max() <= 1e-10 * expected.abs().max()
    # the range of a layer's first weights follows from the number of all of its inputs
    inputs = math.prod(problem_shape) + math.prod(answer_shape)
    for part in (model.problem.weight, model.answer, model.problem.bias):
        assert 0.8 * inputs**-0.5 < part.abs().max() <= inputs**-0.5


def test_the_width_is_that_of_every_hidden_layer():
    model = EnergyMLP(3, 4, 1, width=10)
    shapes = {name: tuple(weight.shape[1:]) for name, weight in model.named_parameters() if "weight" in name}
    assert shapes["problem.weight"] == (10, 9) and shapes["layer2.weight"] == shapes["layer3.weight"] == (10, 10)
    assert shapes["level2.weight"] == shapes["level3.weight"] == (20, EMBEDDING) and shapes["output.weight"] == (9, 10)
    assert model.answer.shape == (1, 10, 9) and EnergyMLP(3, 4, 1).layer2.weight.shape == (1, WIDTH, WIDTH)


@pytest.mark.parametrize("n, stack, batch", SIZES)
def test_the_gradient_equals_finite_differences(n, stack, batch):
    model = fresh_mlp(n, 6, range(stack), DOUBLE)
    A, x_t, t = random_inputs(n, stack, batch, 6, dtype=DOUBLE)
    _, eps_hat = model.energy_and_grad(A, x_t, t)
    step = torch.randn(x_t.shape, generator=torch.Generator().manual_seed(1), dtype=DOUBLE)
    h = 1e-5
    slope = (model.energy(A, x_t + h * step, t) - model.energy(A, x_t - h * step, t)) / (2 * h)
    torch.testing.assert_close(slope, (eps_hat * step).sum((-2, -1)), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("n, stack, batch", [(2, 1, 2), (4, 2, 8)])
def test_parameter_gradients_equal_a_second_autograd_pass(n, stack, batch):
    model = fresh_mlp(n, 6, range(stack), DOUBLE)
    A, x_t, t = random_inputs(n, stack, batch, 6, dtype=DOUBLE)
    target = torch.randn(x_t.shape, generator=torch.Generator().manual_seed(2), dtype=DOUBLE)

    def gradients(energy, eps_hat):
        return torch.autograd.grad((eps_hat - target).square().sum() + 0.3 * energy.sum(), list(model.parameters()))

    closed = gradients(*model.energy_and_grad(A, x_t, t))
    x_t = x_t.clone().requires_grad_(True)
    energy = model.energy(A, x_t, t)
    second = gradients(energy, torch.autograd.grad(energy.sum(), x_t, create_graph=True)[0])
    for ours, theirs in zip(closed, second):
        assert (ours - theirs).abs().max() <= 1e-10 * theirs.abs().max()


@pytest.mark.filterwarnings("ignore")  # of torch's compiler
@pytest.mark.skipif(not can_compile(CPU), reason="needs a C++ compiler")
@pytest.mark.parametrize("name", ["mlp", "residual"])
def test_a_compiled_energy_has_the_same_values_and_gradients(name):
    plain = CHOICES["energy"][name](3, 4, 2).reset(RandomStreams((0, 1), CPU).generators["weights"])
    compiled = copy.deepcopy(plain)
    compiled.compile_evaluate()
    A, x_t, t = random_inputs(3, 2, 5, 4)
    A = A @ A.mT + torch.eye(3)
    found = []
    for model in (plain, compiled):
        landscape = model.landscape(model.encode(A), t)
        energy, eps_hat = landscape(x_t)
        (eps_hat - x_t).square().mean().backward()
        found.append([energy, eps_hat, landscape(x_t, gradient=False)[0], *(w.grad for w in model.parameters())])
    assert compiled._evaluate != compiled.evaluate
    for eager, ours in zip(*found, strict=True):
        torch.testing.assert_close(ours, eager, rtol=1e-4, atol=1e-6)


def test_silu_and_its_derivative():
    u = torch.linspace(-30, 30, 61, dtype=DOUBLE, requires_grad=True)
    value, derivative = SiluAndDerivative.apply(u)
    torch.testing.assert_close(value, F.silu(u), rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(derivative, torch.autograd.grad(F.silu(u).sum(), u)[0], rtol=1e-12, atol=1e-14)
    assert torch.autograd.gradcheck(SiluAndDerivative.apply, (u,))


@pytest.mark.parametrize("u", [1e4, -1e4])
def test_silu_of_very_large_inputs(u):
    value, derivative = SiluAndDerivative.apply(torch.tensor([u]))
    assert (value.item(), derivative.item()) == ((u, 1.0) if u > 0 else (0.0, 0.0))


@pytest.mark.parametrize("seed, stack", [(0, (0, 1, 2)), (2, (0, 1, 2)), (5, (9, 5))])
def test_a_seed_s_energy_does_not_depend_on_its_stack(seed, stack):
    alone, together, at = fresh_mlp(4, 4, (seed,)), fresh_mlp(4, 4, stack), stack.index(seed)
    for name, weight in together.state_dict().items():
        assert torch.equal(weight[at], alone.state_dict()[name][0])
    A, x_t, t = random_inputs(4, len(stack), 8, 4)
    for ours, theirs in zip(
        together.energy_and_grad(A, x_t, t), alone.energy_and_grad(A[at : at + 1], x_t[at : at + 1], t[at : at + 1])
    ):
        torch.testing.assert_close(ours[at], theirs[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("parts", [1, 3, 8])
def test_a_row_s_energy_does_not_depend_on_other_rows(parts):
    model = fresh_mlp()
    inputs = random_inputs(4, 2, 24, 4)
    whole = model.energy_and_grad(*inputs)
    order = torch.randperm(24, generator=torch.Generator().manual_seed(0))
    pieces = zip(
        *(model.energy_and_grad(*chunk) for chunk in zip(*(part[:, order].chunk(parts, dim=1) for part in inputs)))
    )
    for together, piece in zip(whole, pieces):
        torch.testing.assert_close(torch.cat(piece, dim=1), together[:, order], rtol=1e-5, atol=1e-6)


def test_every_level_has_its_own_energy():
    model = fresh_mlp(4, 5, (0,))
    A, x_t, _ = random_inputs(4, 1, 1, 5)
    energies = model.energy(A.expand(1, 5, 4, 4), x_t.expand(1, 5, 4, 4), torch.arange(5)[None])
    assert len(torch.unique(energies)) == 5
    assert sinusoidal(5).shape == (5, EMBEDDING) and sinusoidal(5).dtype == torch.float32


def test_problem_and_answer_start_as_one_layer():
    n, model = 5, fresh_mlp(5, 4, (0, 1))
    first = torch.cat([model.problem.weight, model.answer], dim=2)
    for weight, bias, inputs in [
        (first, model.problem.bias, 2 * n * n),
        (model.layer2.weight, model.layer2.bias, WIDTH),
        (model.output.weight, model.output.bias, WIDTH),
        (model.level3.weight, model.level3.bias, EMBEDDING),
    ]:
        bound = inputs**-0.5
        for part in (weight[..., :, : n * n], weight[..., :, -n * n :], bias):
            assert 0.95 * bound < part.abs().max() <= bound or part.numel() < 100
            assert part.square().mean().item() == pytest.approx(bound**2 / 3, rel=0.2)
    assert not any(torch.equal(weight[0], weight[1]) for weight in model.parameters())
    assert same_bits(list(model.parameters()), list(fresh_mlp(5, 4, (0, 1)).parameters()))


def test_initial_weights_do_not_use_torch_s_global_generator():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    EnergyMLP(3, 4, 1).reset(RandomStreams((0,), CPU).generators["weights"])
    assert torch.equal(torch.rand(3), expected)


def ired_weights(n=3, seed=0, matrices=1, width=WIDTH):
    """Weights under the names and in the shapes of the released code; `matrices` in a problem."""
    g = torch.Generator().manual_seed(seed)
    shapes = {
        "time_mlp.1": (EMBEDDING, EMBEDDING),
        "time_mlp.3": (EMBEDDING, EMBEDDING),
        "fc1": (width, (matrices + 1) * n * n),
        "fc2": (width, width),
        "fc3": (width, width),
        "fc4": (n * n, width),
        "t_map_fc2": (2 * width, EMBEDDING),
        "t_map_fc3": (2 * width, EMBEDDING),
    }
    weights = {}
    for name, shape in shapes.items():
        weights[f"{name}.weight"] = torch.randn(shape, generator=g) / shape[1] ** 0.5
        weights[f"{name}.bias"] = torch.randn(shape[0], generator=g) / shape[1] ** 0.5
    return weights


def test_released_weights_give_the_same_energy():
    weights = ired_weights()
    model = EnergyMLP.from_ired(weights, noise_levels=7)
    assert (model.n, model.noise_levels, model.stack) == (3, 7, 1)
    A, x_t, t = random_inputs(3, 1, 4, 7)
    fc1 = torch.cat([model.problem.weight, model.answer], dim=2)[0]  # the released layer takes A first, then x
    assert torch.equal(fc1, weights["fc1.weight"]) and torch.equal(model.level3.bias[0], weights["t_map_fc3.bias"])
    prefixed = EnergyMLP.from_ired(
        {f"model.ebm.{name}": w.numpy() for name, w in weights.items()} | {"betas": torch.zeros(7)}, 7
    )
    assert same_bits(model.energy_and_grad(A, x_t, t), prefixed.energy_and_grad(A, x_t, t))


def test_released_weights_of_addition_take_two_matrices():
    weights = ired_weights(3, matrices=2, width=48)
    model = EnergyMLP.from_ired(weights, noise_levels=7)
    assert (model.problem_shape, model.answer_shape, model.n, model.width) == ((2, 3, 3), (3, 3), 3, 48)
    assert torch.equal(torch.cat([model.problem.weight, model.answer], dim=2)[0], weights["fc1.weight"])
    solver = Solver.from_energy(model, task="addition", device="cpu", landscape_steps=1)
    assert solver.params.width == 48 and solver.solve(torch.ones(5, 2, 3, 3)).shape == (1, 5, 3, 3)
    with pytest.raises(ParamError, match="task = 'inverse': has problems and answers .* the task that it was trained"):
        Solver.from_energy(model, device="cpu")


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda w: w.pop("fc3.bias"), "fc3.bias: missing"),
        (lambda w: w.pop("fc1.weight"), "fc1.weight: missing"),
        (
            lambda w: w.update({"fc2.weight": torch.zeros(WIDTH, 4)}),
            r"fc2.weight: must be \(512, 512\), not \(512, 4\)",
        ),
        (
            lambda w: w.update({"fc4.weight": torch.zeros(25, WIDTH)}),
            r"fc4.weight: must be \(9, 512\), not \(25, 512\)",
        ),
        (lambda w: w.update({"fc1.weight": torch.zeros(WIDTH, 33)}), "fc1.weight: must be"),
        (lambda w: w.update({"fc1.weight": torch.zeros(WIDTH)}), "fc1.weight: must be"),
        (lambda w: w.update({"fc1.weight": torch.zeros(64, 18)}), "fc1.weight: must be"),
        (lambda w: w.update({"fc1.bias": torch.zeros(64)}), "fc1.bias: must be"),
        (lambda w: w.update({"ema.fc2.bias": torch.zeros(WIDTH)}), "fc2.bias: given more than once"),
    ],
)
def test_wrong_weights_are_rejected_by_name(change, message):
    weights = copy.copy(ired_weights())
    change(weights)
    with pytest.raises(ValueError, match=message):
        EnergyMLP.from_ired(weights)
