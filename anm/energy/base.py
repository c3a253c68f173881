"""What every energy offers: E(A, x_t, t), and with it its gradient in x_t, from one forward computation."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

# (x_t (S, B, n, n), gradient) -> energy (S, B) and, where the gradient is asked for, eps_hat (S, B, n, n), else None
Landscape = Callable[..., tuple[Tensor, Tensor | None]]


class Energy(nn.Module):
    """A stack of S energies, one per seed, over answers x_t to problems A; low = preferred.

    An energy defines three stages, so that what does not change is computed once: `encode`, what it draws from A
    alone, for a whole training step or solution; `at_level`, what the noise level adds, for all landscape steps
    at it; `evaluate`, the energy and its gradient at x_t.
    """

    any_n = False  # whether problems of another n than that of the training can be answered
    level_is_free = False  # whether `at_level` takes no product, so that a compiler may do it within every `evaluate`

    def __init__(self, n: int, noise_levels: int, stack: int):
        super().__init__()
        self.n, self.noise_levels, self.stack = n, noise_levels, stack
        self._at_level, self._evaluate = self.at_level, self.evaluate

    def compile_evaluate(self, dynamic: bool | None = None) -> None:
        """Have torch compile `evaluate`: fewer passes over memory, at the price of up to a minute at first use.

        With it `at_level` where that is free, so that what it adds to each row is never written out. `dynamic`: as for
        torch.compile; False where all batches are of one size, for whose code a size seen elsewhere then changes nothing.
        """
        # Weights of the run and their averages, with and without gradients, for batches of several sizes: torch gives up after eight.
        torch._dynamo.config.recompile_limit = 64
        if self.level_is_free:
            self._at_level, self._evaluate = later, torch.compile(self.at_level_and_evaluate, dynamic=dynamic)
        else:
            self._evaluate = torch.compile(self.evaluate, dynamic=dynamic)

    def reset(self, generators: list[torch.Generator]) -> "Energy":
        """Draw each seed's initial weights from its own generator (on the CPU)."""
        for module in self.modules():
            if isinstance(module, StackedLinear):
                module.reset(generators)
        return self

    def encode(self, A: Tensor) -> Any:
        """What the energy needs of the problems A (S, B, n, n)."""
        raise NotImplementedError

    def at_level(self, encoded: Any, t: Tensor) -> tuple[Tensor, ...]:
        """What the energy needs of encoded problems at noise levels t (S, B)."""
        raise NotImplementedError

    def evaluate(self, known: tuple[Tensor, ...], x_t: Tensor, gradient: bool = True) -> tuple[Tensor, Tensor | None]:
        """energy (S, B) and, where the gradient is asked for, eps_hat (S, B, n, n); `known` is from `at_level`."""
        raise NotImplementedError

    def at_level_and_evaluate(
        self, encoded_and_t: tuple, x_t: Tensor, gradient: bool = True
    ) -> tuple[Tensor, Tensor | None]:
        """`evaluate` at what `at_level` gives."""
        return self.evaluate(self.at_level(*encoded_and_t), x_t, gradient)

    def landscape(self, encoded: Any, t: Tensor) -> Landscape:
        """The energy over x_t for encoded problems at noise levels t (S, B)."""
        return partial(self._evaluate, self._at_level(encoded, t))

    def energy_and_grad(self, A: Tensor, x_t: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """energy (S, B) and its gradient in x_t, eps_hat (S, B, n, n), the prediction of the noise."""
        return self.landscape(self.encode(A), t)(x_t)

    def energy(self, A: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """energy (S, B)."""
        return self.landscape(self.encode(A), t)(x_t, gradient=False)[0]


def later(*arguments: Any) -> tuple:
    """The arguments of a function that is called elsewhere."""
    return arguments


class StackedLinear(nn.Module):
    """S linear layers side by side: h (S, R, features_in) -> (S, R, features_out); weight as in torch, (S, out, in)."""

    def __init__(self, stack: int, features_in: int, features_out: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(stack, features_out, features_in))
        self.bias = nn.Parameter(torch.empty(stack, features_out))

    def reset(self, generators: list[torch.Generator]) -> None:
        """Uniform within +-1/sqrt(features_in), as torch.nn.Linear."""
        bound = self.weight.shape[-1] ** -0.5
        for tensor in (self.weight, self.bias):
            rows = [torch.empty(tensor.shape[1:]).uniform_(-bound, bound, generator=g) for g in generators]
            tensor.data.copy_(torch.stack(rows))

    def forward(self, h: Tensor) -> Tensor:
        return torch.baddbmm(self.bias[:, None], h, self.weight.mT)
