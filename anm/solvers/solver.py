"""The `Solver`: a trained stack of energies that solves problems."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import Tensor

from anm.energies import Energy
from anm.energies.schedule import Schedule
from anm.params import RunParams
from anm.registry import CHOICES
from anm.solvers.sampler import sample

# Rows (S x B) of n = 20 in one batch: enough to keep the device busy, few enough for its memory
ROWS_AT_ONCE, ROWS_N = {"cpu": 1024, "mps": 16_384, "cuda": 131_072}, 20


@dataclass
class Solver:
    """A trained stack of energies that solves problems; the result of `anm.train` and `anm.load`.

    params: the settings of the run. model: the energy with averaged (EMA) weights. step: the number of training steps.
    history: the training curves under the names of the record. timing: seconds of training and its interruptions.
    """

    params: RunParams
    model: Energy
    schedule: Schedule
    step: int = 0
    history: dict[str, Any] = field(default_factory=dict)
    timing: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_energy(cls, model: Energy, **settings) -> "Solver":
        """A solver with an energy that was trained elsewhere.

        `settings` are those of `RunParams`; n, noise_levels and seeds follow from the energy.
        """
        known = {"n": model.n, "noise_levels": model.noise_levels, "seeds": f"0-{model.stack - 1}"}
        registered = [name for name, energy in CHOICES["energy"].items() if type(model) is energy]
        params = RunParams(**known | ({"energy": registered[0]} if registered else {}) | settings)
        device = params.torch_device()
        return cls(params, model.to(device).requires_grad_(False), Schedule(model.noise_levels).to(device))

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self.schedule.alpha_bar.device

    def solve(self, A: Tensor, landscape_steps: int | None = None, seed: int = 0, refine_steps: int = 0) -> Tensor:
        """Answers X (S, B, n, n), on the CPU, one per seed of the stack, to problems A (B, n, n).

        landscape_steps: steps per noise level (default: those of the run). refine_steps: at most so many steps of
        conjugate gradients at the end. seed: fixes the noise that sampling starts from; row i of a longer
        batch starts from the same noise. An energy whose weights do not depend on n solves problems of any n.
        Raises `ValueError` on other shapes, on entries that are not finite, and on invalid numbers of steps.
        """
        steps = self.params.landscape_steps if landscape_steps is None else landscape_steps
        for name, count in {"landscape_steps": steps, "refine_steps": refine_steps}.items():
            if isinstance(count, bool) or not isinstance(count, Integral) or count < 0:
                raise ValueError(f"{name}: must be a whole number from 0, not {count!r}")
        A = torch.as_tensor(A, dtype=torch.float32, device="cpu")
        n = A.shape[-1] if self.model.any_n and A.ndim == 3 and A.shape[-1] else self.params.n
        if A.ndim != 3 or A.shape[1:] != (n, n):
            reason = "" if self.model.any_n else f"; energy {self.params.energy} solves only the n of its training"
            raise ValueError(f"A: must be (B, {n}, {n}), not {tuple(A.shape)}{reason}")
        if not torch.isfinite(A).all():
            raise ValueError("A: every entry must be finite")
        start = torch.from_numpy(np.random.default_rng(seed).standard_normal(A.shape, dtype=np.float32))
        empty = A.new_empty(self.model.stack, 0, n, n)  # so that no problems give no answers
        batches = self.answers(A, start, steps, refine_steps=refine_steps)
        return torch.cat([empty, *(x0.cpu() for _, x0 in batches)], dim=1)

    def problems_at_once(self, n: int) -> int:
        """The number of problems of side n that are solved in one batch."""
        rows = ROWS_AT_ONCE[self.device.type] * min(1.0, (ROWS_N / n) ** 2)
        return max(1, int(rows) // self.model.stack)

    @torch.no_grad()
    def answers(
        self, A: Tensor, start: Tensor, landscape_steps: int | None = None, batch: int | None = None, **options
    ) -> Iterator[tuple[slice, Tensor]]:
        """Yields (rows, x0) for each batch: a slice of the problems, and x0 (S, rows, n, n) on the device.

        A: problems (N, n, n). start: x_T (N, n, n), the same for all seeds. batch: problems per batch; by default as
        many as fit, so that memory does not grow with N. options: `watch`, `refine_steps` and others of `sample`.
        """
        steps = self.params.landscape_steps if landscape_steps is None else landscape_steps
        batch, bound = batch or self.problems_at_once(A.shape[-1]), self.params.answer_bound
        for first in range(0, len(A), batch):
            rows = slice(first, first + batch)
            problems, x_T = (part[rows].to(self.device).expand(self.model.stack, -1, -1, -1) for part in (A, start))
            yield rows, sample(self.model, problems, x_T, self.schedule, steps, bound, **options)
