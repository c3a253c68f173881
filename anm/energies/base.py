"""Base classes of energies: E(problem, x_t, t) and its gradient in x_t."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from anm.params import ParamError, RunParams
from anm.registry import resolve
from anm.utils.affine import Affine

Shape = tuple[int, ...]
# (x_t (S, B, *answer shape), gradient=True) -> energy (S, B) and eps_hat like x_t, or None without `gradient`
Landscape = Callable[..., tuple[Tensor, Tensor | None]]


class Energy(nn.Module):
    """A stack of S energies, one per seed, over answers x_t to problems; low = preferred.

    A subclass defines three stages, so that each result is computed once and used again:
    `encode` uses the problem alone, once per training step or solution; `at_level` adds the noise level, once for all
    landscape steps there; `evaluate` gives the energy and its gradient at x_t.
    """

    tasks: tuple[str, ...] | None = None  # that the energy is for; None: every task
    compilable = True  # whether torch can compile `evaluate`
    any_n = False  # whether the energy takes problems of another n than that of its training
    compiles_at_level = False  # whether to compile `at_level` with `evaluate`: only if it has no matrix product

    def __init__(self, n: int, noise_levels: int, stack: int, shapes: tuple[Shape, Shape] | None = None):
        """`shapes`: of a problem and of an answer; by default two matrices of side n."""
        super().__init__()
        self.n, self.noise_levels, self.stack = n, noise_levels, stack
        self.problem_shape, self.answer_shape = shapes or ((n, n), (n, n))
        self._at_level, self._evaluate = self.at_level, self.evaluate

    def compile_evaluate(self, dynamic: bool | None = None) -> None:
        """Compile `evaluate` with torch, which takes up to a minute at the first call.

        With `compiles_at_level`, `at_level` is compiled with it, so that its result is never written to memory.
        `dynamic`: as in torch.compile; False if all batches have one size.
        """
        # Weights and their averages, with and without gradients, at several batch sizes: more than torch's limit of 8
        torch._dynamo.config.recompile_limit = 64
        function = self.evaluate
        if self.compiles_at_level:
            self._at_level = lambda encoded, t: (encoded, t)
            function = lambda encoded_and_t, *args, **kw: self.evaluate(self.at_level(*encoded_and_t), *args, **kw)
        self._evaluate = torch.compile(function, dynamic=dynamic)

    def reset(self, generators: list[torch.Generator]) -> "Energy":
        """Draw the initial weights of each seed from its own generator, on the CPU; returns self."""
        for module in self.modules():
            if isinstance(module, StackedLinear):
                module.reset(generators)
        return self

    def encode(self, problem: Tensor) -> Any:
        """The first stage: a representation of the problems (S, B, *problem shape)."""
        raise NotImplementedError

    def at_level(self, encoded: Any, t: Tensor) -> tuple[Tensor, ...]:
        """The second stage: the conditions of `evaluate`, from encoded problems and noise levels t (S, B)."""
        raise NotImplementedError

    def evaluate(self, conditions: tuple[Tensor, ...], x_t: Tensor, gradient: bool = True):
        """The third stage: energy (S, B), and eps_hat like x_t, or None without `gradient`."""
        raise NotImplementedError

    def landscape(self, encoded: Any, t: Tensor) -> Landscape:
        """The energy as a function of x_t, for encoded problems at noise levels t (S, B)."""
        return partial(self._evaluate, self._at_level(encoded, t))

    def energy_and_grad(self, problem: Tensor, x_t: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """energy (S, B) and its gradient in x_t, eps_hat (S, B, *answer shape), which predicts the noise."""
        return self.landscape(self.encode(problem), t)(x_t)

    def energy(self, problem: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """energy (S, B)."""
        return self.landscape(self.encode(problem), t)(x_t, gradient=False)[0]


class AutogradEnergy(Energy):
    """Base class for an energy of your own: write `energy`; autograd gives its gradient.

    `energy(problem, x_t, t)` returns (S, B), with S sets of weights in a leading axis (see `StackedLinear`), and
    must be twice differentiable. Training differentiates the gradient again, which takes about twice the time of
    a closed form. Weights in other modules than `StackedLinear` need a `reset` that draws them.
    """

    compilable = False  # torch cannot compile the gradient of a gradient

    def energy(self, problem: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """energy (S, B) of answers x_t (S, B, *answer shape) to problems (S, B, *problem shape) at levels t (S, B)."""
        raise NotImplementedError

    def encode(self, problem: Tensor) -> Tensor:
        return problem

    def at_level(self, encoded: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        return encoded, t

    def evaluate(self, conditions: tuple[Tensor, Tensor], x_t: Tensor, gradient: bool = True):
        problem, t = conditions
        if not gradient:
            return self.energy(problem, x_t, t), None
        training = torch.is_grad_enabled()
        with torch.enable_grad():  # the sampler runs without gradients
            x_t = x_t if x_t.requires_grad else x_t.detach().requires_grad_()
            energy = self.energy(problem, x_t, t)
            (eps_hat,) = torch.autograd.grad(energy.sum(), x_t, create_graph=training)
        return (energy, eps_hat) if training else (energy.detach(), eps_hat)


def draw_uniform(tensor: nn.Parameter, bound: float, generators: list[torch.Generator]) -> None:
    """Fill a parameter (S, ...) uniformly within +-bound; each seed draws from its own generator."""
    rows = [torch.empty(tensor.shape[1:]).uniform_(-bound, bound, generator=g) for g in generators]
    tensor.data.copy_(torch.stack(rows))


class StackedLinear(nn.Module):
    """S linear layers, one per seed: h (S, R, features_in) -> (S, R, features_out); weight (S, out, in)."""

    def __init__(self, stack: int, features_in: int, features_out: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(stack, features_out, features_in))
        self.bias = nn.Parameter(torch.empty(stack, features_out))

    def reset(self, generators: list[torch.Generator]) -> None:
        """Draw weights uniform within +-1/sqrt(features_in), as torch.nn.Linear does."""
        bound = self.weight.shape[-1] ** -0.5
        for tensor in (self.weight, self.bias):
            draw_uniform(tensor, bound, generators)

    def forward(self, h: Tensor) -> Tensor:
        return Affine.apply(self.bias[:, None], h, self.weight)


def build_energy(params: RunParams) -> Energy:
    """The energy of a run, with weights that are not drawn yet; a constructor gets `shapes` and `width` if it has them.

    Raises `ParamError` where the task's problems or answers are not n x n matrices and the energy takes no shapes.
    """
    energy, shapes = resolve("energy", params.energy), params.task_object().shapes(params.n)
    known = inspect.signature(energy).parameters
    options = {name: value for name, value in {"shapes": shapes, "width": params.width}.items() if name in known}
    square = ((params.n, params.n),) * 2
    if "shapes" not in options and shapes != square:
        reason = (
            f"takes no `shapes`, and task {params.task!r} has problems {shapes[0]} and answers {shapes[1]}; use mlp"
        )
        raise ParamError(f"energy = {params.energy!r}: {reason}")
    return energy(params.n, params.noise_levels, len(params.seed_list), **options)
