"""IRED's energy: E = ||output||^2 of a network over problem and answer, flattened."""

from collections.abc import Mapping
from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anm.energies.base import Energy, Shape, StackedLinear, draw_uniform
from anm.registry import CHOICES
from anm.utils.affine import Affine
from anm.utils.lookup import LevelLookup

WIDTH = 512
EMBEDDING = 128
# Layers of the code released with IRED -> layers here. Its fc1 is split into `problem` and `answer`.
IRED_LAYERS = {
    "time_mlp.1": "embed1",
    "time_mlp.3": "embed2",
    "fc2": "layer2",
    "fc3": "layer3",
    "fc4": "output",
    "t_map_fc2": "level2",
    "t_map_fc3": "level3",
}


def sinusoidal(noise_levels: int) -> Tensor:
    """Embeddings of the noise levels, (T, EMBEDDING). Source: Vaswani et al. 2017 (arXiv 1706.03762), section 3.5."""
    half = EMBEDDING // 2
    frequency = torch.exp(torch.arange(half) * (-torch.log(torch.tensor(10000.0)) / (half - 1)))
    angle = torch.arange(noise_levels)[:, None] * frequency
    return torch.cat([angle.sin(), angle.cos()], dim=-1)


class SiluAndDerivative(torch.autograd.Function):
    """silu(u) = u sigmoid(u) and its derivative, with one backward pass for both.

    It passes over memory few times. Beside matrix products, such passes take most of a step on a CPU.
    """

    @staticmethod
    def forward(ctx, u: Tensor) -> tuple[Tensor, Tensor]:
        gate = torch.sigmoid(u)
        value = u * gate
        derivative = torch.addcmul(value, value, gate, value=-1).add_(gate)
        ctx.save_for_backward(u, gate)
        return value, derivative

    @staticmethod
    def backward(ctx, grad_value: Tensor, grad_derivative: Tensor) -> Tensor:
        u, gate = ctx.saved_tensors
        # silu'' = gate (1 - gate) (2 + u - 2 u gate)
        grad = torch.addcmul(u, u, gate, value=-2).add_(2)
        grad.mul_(torch.ops.aten.sigmoid_backward(grad_derivative, gate))
        return grad.add_(torch.ops.aten.silu_backward(grad_value, u))


def silu_and_derivative(u: Tensor) -> tuple[Tensor, Tensor]:
    """silu(u) and its derivative; a compiler gets the plain formula, which it fuses better."""
    if not torch.compiler.is_compiling():
        return SiluAndDerivative.apply(u)
    gate = torch.sigmoid(u)
    value = u * gate
    return value, gate + value * (1 - gate)


class EnergyMLP(Energy):
    """E(problem, x_t, t) = ||f(problem, x_t, t)||^2 with f a network of four layers over flattened problem and answer.

    The noise level sets a gain and a bias in layers 2 and 3. `width`: of the hidden layers, 512 there.
    The network contains no equation of the task. Output and answer have equally many entries.
    Source: Du, Mao, Tenenbaum 2024 (arXiv 2406.11179), appendix A, and the code released with it.
    """

    compiles_at_level = True

    def __init__(
        self,
        n: int,
        noise_levels: int,
        stack: int,
        shapes: tuple[Shape, Shape] | None = None,
        width: int | None = None,
    ):
        super().__init__(n, noise_levels, stack, shapes)
        inputs, outputs = prod(self.problem_shape), prod(self.answer_shape)
        self.width = width = width or WIDTH
        self.problem = StackedLinear(stack, inputs, width)
        self.answer = nn.Parameter(torch.empty(stack, width, outputs))
        self.layer2 = StackedLinear(stack, width, width)
        self.layer3 = StackedLinear(stack, width, width)
        self.output = StackedLinear(stack, width, outputs)
        self.embed1 = StackedLinear(stack, EMBEDDING, EMBEDDING)
        self.embed2 = StackedLinear(stack, EMBEDDING, EMBEDDING)
        self.level2 = StackedLinear(stack, EMBEDDING, 2 * width)
        self.level3 = StackedLinear(stack, EMBEDDING, 2 * width)
        self.register_buffer("sinusoids", sinusoidal(noise_levels), persistent=False)

    def reset(self, generators: list[torch.Generator]) -> "EnergyMLP":
        super().reset(generators)
        # `problem` and `answer` are one layer; the number of its inputs sets the range of both.
        inputs, outputs = prod(self.problem_shape), prod(self.answer_shape)
        draw_uniform(self.answer, (inputs + outputs) ** -0.5, generators)
        for tensor in (self.problem.weight, self.problem.bias):
            tensor.data.mul_((inputs / (inputs + outputs)) ** 0.5)
        return self

    @classmethod
    def from_ired(cls, weights: Mapping[str, Tensor], noise_levels: int = 10) -> "EnergyMLP":
        """A stack of one with weights of the released code, a dict of tensors under its names.

        A prefix before the names is accepted ("model.ebm.fc1.weight"). Raises `ValueError` naming a weight that is
        missing, given twice, or of the wrong shape.
        """
        weights = strip_prefix(weights)
        width, outputs = len(weights["fc2.bias"]), len(weights["fc4.bias"])
        n = max(1, round(outputs**0.5))
        matrices = max(1, round(sum(weights["fc1.weight"].shape[-1:]) / n**2) - 1)  # in a problem: 2 for addition
        problem_shape = (n, n) if matrices == 1 else (matrices, n, n)
        model = cls(n, noise_levels, 1, (problem_shape, (n, n)), width)
        fc1 = check_shape(weights, "fc1.weight", (width, (matrices + 1) * n * n))
        problem, answer = fc1.split([matrices * n * n, n * n], dim=1)
        model.problem.weight.data.copy_(problem)
        model.answer.data.copy_(answer)
        model.problem.bias.data.copy_(check_shape(weights, "fc1.bias", (width,)))
        for released, layer in IRED_LAYERS.items():
            for kind in ("weight", "bias"):
                target = getattr(getattr(model, layer), kind)
                target.data.copy_(check_shape(weights, f"{released}.{kind}", target.shape[1:]))
        return model

    def encode(self, problem: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The problems' part of layer 1, (S, B, width); gains and biases of all levels, each (S, T, 2 width)."""
        embedding = self.embed2(F.gelu(self.embed1(self.sinusoids.expand(self.stack, -1, -1))))
        return self.problem(problem.flatten(2)), self.level2(embedding), self.level3(embedding)

    def at_level(self, encoded: tuple[Tensor, ...], t: Tensor) -> tuple[Tensor, ...]:
        """The problems' part of layer 1; gain and bias of layers 2 and 3 for each row, (S, B, width)."""
        from_problem, *by_level = encoded
        (gain2, bias2), (gain3, bias3) = (
            [LevelLookup.apply(half, t) for half in table.chunk(2, dim=-1)] for table in by_level
        )
        return from_problem, gain2 + 1, bias2, gain3 + 1, bias3

    def evaluate(self, conditions: tuple[Tensor, ...], x_t: Tensor, gradient: bool = True):
        from_problem, gain2, bias2, gain3, bias3 = conditions
        u1 = Affine.apply(from_problem, x_t.flatten(2), self.answer)
        if not gradient:
            h2 = F.silu(torch.addcmul(bias2, self.layer2(F.silu(u1)), gain2))
            h3 = F.silu(torch.addcmul(bias3, self.layer3(h2), gain3))
            return self.output(h3).square().sum(-1), None
        h1, derivative1 = silu_and_derivative(u1)
        h2, derivative2 = silu_and_derivative(torch.addcmul(bias2, self.layer2(h1), gain2))
        h3, derivative3 = silu_and_derivative(torch.addcmul(bias3, self.layer3(h2), gain3))
        out = self.output(h3)
        # The chain rule from the output back to x_t. `bmm`, because the gradients of `@` cannot be added to in place
        back = torch.bmm(out, self.output.weight) * (derivative3 * gain3)
        back = torch.bmm(back, self.layer3.weight) * (derivative2 * gain2)
        back = torch.bmm(back, self.layer2.weight) * derivative1
        return out.square().sum(-1), torch.bmm(2 * back, self.answer).view_as(x_t)


def strip_prefix(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights without a prefix before their names. Raises `ValueError` if one is missing or given twice."""
    found = {}
    for name in [f"{layer}.{kind}" for layer in ("fc1", *IRED_LAYERS) for kind in ("weight", "bias")]:
        keys = [key for key in weights if key == name or key.endswith("." + name)]
        if len(keys) != 1:
            raise ValueError(f"{name}: {'given more than once: ' + ', '.join(keys) if keys else 'missing'}")
        found[name] = torch.as_tensor(weights[keys[0]])
    return found


def check_shape(weights: Mapping[str, Tensor], name: str, shape: tuple[int, ...]) -> Tensor:
    """The weight of this name. Raises `ValueError` if its shape is another one."""
    if weights[name].shape != shape:
        raise ValueError(f"{name}: must be {tuple(shape)}, not {tuple(weights[name].shape)}")
    return weights[name]


CHOICES["energy"]["mlp"] = EnergyMLP
