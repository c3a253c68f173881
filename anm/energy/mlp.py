"""The energy of the prior work: a network over two flattened matrices, E = ||output||^2."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anm.energy.base import Energy, StackedLinear
from anm.params import CHOICES
from anm.schedule import Pick

HIDDEN = 512
EMBEDDING = 128
# Names in the code released with IRED -> names here; fc1 is split into the problem's and the answer's share.
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
    """The embedding of each level, (T, EMBEDDING). Source: Vaswani et al. 2017 (arXiv 1706.03762), section 3.5."""
    half = EMBEDDING // 2
    frequency = torch.exp(torch.arange(half) * (-torch.log(torch.tensor(10000.0)) / (half - 1)))
    angle = torch.arange(noise_levels)[:, None] * frequency
    return torch.cat([angle.sin(), angle.cos()], dim=-1)


class SiluAndSlope(torch.autograd.Function):
    """silu(u) = u sigmoid(u) and its derivative, with one backward pass for both.

    Written for few passes over memory: beside the matrix products, these are what a step on a CPU consists of.
    """

    @staticmethod
    def forward(ctx, u: Tensor) -> tuple[Tensor, Tensor]:
        gate = torch.sigmoid(u)
        value = u * gate
        slope = torch.addcmul(value, value, gate, value=-1).add_(gate)
        ctx.save_for_backward(u, gate)
        return value, slope

    @staticmethod
    def backward(ctx, grad_value: Tensor, grad_slope: Tensor) -> Tensor:
        u, gate = ctx.saved_tensors
        # slope' = gate (1 - gate) (2 + u - 2 u gate)
        bend = torch.addcmul(u, u, gate, value=-2).add_(2)
        bend.mul_(torch.ops.aten.sigmoid_backward(grad_slope, gate))
        return bend.add_(torch.ops.aten.silu_backward(grad_value, u))


def silu_and_slope(u: Tensor) -> tuple[Tensor, Tensor]:
    """silu(u) and its derivative; a compiler gets the plain formula, which it fuses better than ours is written."""
    if not torch.compiler.is_compiling():
        return SiluAndSlope.apply(u)
    gate = torch.sigmoid(u)
    value = u * gate
    return value, gate + value * (1 - gate)


class EnergyMLP(Energy):
    """E(A, x_t, t) = ||f(A, x_t, t)||^2 with f a four-layer network of width 512 over the flattened matrices.

    Noise levels act through a gain and a bias in layers 2 and 3. It does not see the equation A x = I.
    Source: Du, Mao, Tenenbaum 2024 (arXiv 2406.11179), appendix A, and the code released with it.
    """

    level_is_free = True

    def __init__(self, n: int, noise_levels: int, stack: int):
        super().__init__(n, noise_levels, stack)
        self.problem = StackedLinear(stack, n * n, HIDDEN)
        self.answer = nn.Parameter(torch.empty(stack, HIDDEN, n * n))
        self.layer2 = StackedLinear(stack, HIDDEN, HIDDEN)
        self.layer3 = StackedLinear(stack, HIDDEN, HIDDEN)
        self.output = StackedLinear(stack, HIDDEN, n * n)
        self.embed1 = StackedLinear(stack, EMBEDDING, EMBEDDING)
        self.embed2 = StackedLinear(stack, EMBEDDING, EMBEDDING)
        self.level2 = StackedLinear(stack, EMBEDDING, 2 * HIDDEN)
        self.level3 = StackedLinear(stack, EMBEDDING, 2 * HIDDEN)
        self.register_buffer("sinusoids", sinusoidal(noise_levels), persistent=False)

    def reset(self, generators: list[torch.Generator]) -> "EnergyMLP":
        super().reset(generators)
        # Problem and answer share one layer of 2 n^2 inputs, which sets the range of both.
        bound = (2 * self.n**2) ** -0.5
        rows = [torch.empty(self.answer.shape[1:]).uniform_(-bound, bound, generator=g) for g in generators]
        self.answer.data.copy_(torch.stack(rows))
        self.problem.weight.data.mul_(0.5**0.5)
        self.problem.bias.data.mul_(0.5**0.5)
        return self

    @classmethod
    def from_ired(cls, weights: Mapping[str, Tensor], noise_levels: int = 10) -> "EnergyMLP":
        """A stack of one from the released code's weights, a dict of tensors under the names used there.

        `weights` may carry prefixes before the names ("model.ebm.fc1.weight"). Raises `ValueError` naming
        what is missing or of the wrong shape.
        """
        weights = strip_prefix(weights)
        inputs = sum(weights["fc1.weight"].shape[-1:])
        n = max(1, round((inputs / 2) ** 0.5))
        model = cls(n, noise_levels, stack=1)
        fc1 = fitting(weights, "fc1.weight", (HIDDEN, 2 * n * n))
        model.answer.data.copy_(fc1[:, n * n :])
        model.problem.weight.data.copy_(fc1[:, : n * n])
        model.problem.bias.data.copy_(fitting(weights, "fc1.bias", (HIDDEN,)))
        for theirs, ours in IRED_LAYERS.items():
            for kind in ("weight", "bias"):
                target = getattr(getattr(model, ours), kind)
                target.data.copy_(fitting(weights, f"{theirs}.{kind}", target.shape[1:]))
        return model

    def encode(self, A: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The problems' share of layer 1, (S, B, HIDDEN), and gain and bias of every level, each (S, T, 2 HIDDEN)."""
        embedding = self.embed2(F.gelu(self.embed1(self.sinusoids.expand(self.stack, -1, -1))))
        return self.problem(A.flatten(2)), self.level2(embedding), self.level3(embedding)

    def at_level(self, encoded: tuple[Tensor, ...], t: Tensor) -> tuple[Tensor, ...]:
        of_problem, *by_level = encoded
        (gain2, bias2), (gain3, bias3) = (
            [Pick.apply(half, t) for half in table.chunk(2, dim=-1)] for table in by_level
        )
        return of_problem, gain2 + 1, bias2, gain3 + 1, bias3

    def evaluate(self, known: tuple[Tensor, ...], x_t: Tensor, gradient: bool = True) -> tuple[Tensor, Tensor | None]:
        of_problem, gain2, bias2, gain3, bias3 = known
        u1 = torch.baddbmm(of_problem, x_t.flatten(2), self.answer.mT)
        if not gradient:
            h2 = F.silu(torch.addcmul(bias2, self.layer2(F.silu(u1)), gain2))
            h3 = F.silu(torch.addcmul(bias3, self.layer3(h2), gain3))
            return self.output(h3).square().sum(-1), None
        h1, slope1 = silu_and_slope(u1)
        h2, slope2 = silu_and_slope(torch.addcmul(bias2, self.layer2(h1), gain2))
        h3, slope3 = silu_and_slope(torch.addcmul(bias3, self.layer3(h2), gain3))
        out = self.output(h3)
        back = (out @ self.output.weight) * (slope3 * gain3)
        back = (back @ self.layer3.weight) * (slope2 * gain2)
        back = (back @ self.layer2.weight) * slope1
        return out.square().sum(-1), (2 * back @ self.answer).view_as(x_t)


def strip_prefix(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights under their bare names. Raises `ValueError` naming the first one missing."""
    found = {}
    for name in ["fc1", *IRED_LAYERS]:
        for kind in ("weight", "bias"):
            bare = f"{name}.{kind}"
            keys = [key for key in weights if key == bare or key.endswith("." + bare)]
            if len(keys) != 1:
                raise ValueError(f"{bare}: {'missing' if not keys else 'named more than once: ' + ', '.join(keys)}")
            found[bare] = torch.as_tensor(weights[keys[0]])
    return found


def fitting(weights: Mapping[str, Tensor], name: str, shape: tuple[int, ...]) -> Tensor:
    """The weight of this name. Raises `ValueError` where it has another shape."""
    if weights[name].shape != shape:
        raise ValueError(f"{name}: must be {tuple(shape)}, not {tuple(weights[name].shape)}")
    return weights[name]


CHOICES["energy"]["mlp"] = EnergyMLP
