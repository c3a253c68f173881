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
from anm.params import ParamError, RunParams
from anm.registry import CHOICES
from anm.solvers.sampler import sample

# Rows (S x B) in one batch, of answers with 400 entries: enough to keep the device busy, few enough for its memory
ROWS_AT_ONCE, ENTRIES = {"cpu": 1024, "mps": 16_384, "cuda": 131_072}, 20**2


@dataclass
class Solver:
    """A trained stack of energies that solves problems; the result of `anm.train` and `anm.load`.

    params: the settings of the run. model: the energy with averaged (EMA) weights. step: the number of training steps.
    history: the training curves under the names of the record. timing: seconds of training and its interruptions.
    annealed: steps -> the averaged weights of a training of so many steps, for the budget points before the last.
    """

    params: RunParams
    model: Energy
    schedule: Schedule
    step: int = 0
    history: dict[str, Any] = field(default_factory=dict)
    timing: dict[str, Any] = field(default_factory=dict)
    annealed: dict[int, dict[str, Tensor]] = field(default_factory=dict)

    @classmethod
    def from_energy(cls, model: Energy, **settings) -> "Solver":
        """A solver with an energy that was trained elsewhere.

        `settings` are those of `RunParams`; n, noise_levels, seeds and width follow from the energy.
        Raises `ParamError` where the energy does not take the problems and answers of the task.
        """
        known = {"n": model.n, "noise_levels": model.noise_levels, "seeds": f"0-{model.stack - 1}"}
        known |= {"width": model.width} if hasattr(model, "width") else {}
        registered = [name for name, energy in CHOICES["energy"].items() if type(model) is energy]
        params = RunParams(**known | ({"energy": registered[0]} if registered else {}) | settings)
        shapes = params.task_object().shapes(params.n)
        if shapes != (model.problem_shape, model.answer_shape):
            reason = f"has problems and answers {shapes}, the energy {(model.problem_shape, model.answer_shape)}"
            raise ParamError(f"task = {params.task!r}: {reason}; give the task that it was trained for")
        device = params.torch_device()
        return cls(params, model.to(device).requires_grad_(False), Schedule(model.noise_levels).to(device))

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self.schedule.alpha_bar.device

    def solve(
        self, problem: Tensor, landscape_steps: int | None = None, seed: int = 0, refine_steps: int = 0
    ) -> Tensor:
        """Answers (S, B, *answer shape), on the CPU, one per seed of the stack, to problems (B, *problem shape).

        landscape_steps: steps per noise level (default: those of the run). refine_steps: at most so many steps of
        conjugate gradients at the end. seed: fixes the noise that sampling starts from; row i of a longer
        batch starts from the same noise. An energy whose weights do not depend on n solves problems of any n.
        Raises `ValueError` on other shapes, on entries that are not finite, and on invalid numbers of steps.
        """
        steps = self.params.landscape_steps if landscape_steps is None else landscape_steps
        for name, count in {"landscape_steps": steps, "refine_steps": refine_steps}.items():
            if isinstance(count, bool) or not isinstance(count, Integral) or count < 0:
                raise ValueError(f"{name}: must be a whole number from 0, not {count!r}")
        problem = torch.as_tensor(problem, dtype=torch.float32, device="cpu")
        n = problem.shape[-1] if self.model.any_n and problem.ndim == 3 and problem.shape[-1] else self.params.n
        problem_shape, answer_shape = self.params.task_object().shapes(n)
        if problem.shape[1:] != problem_shape or not problem.ndim:
            reason = "" if self.model.any_n else f"; energy {self.params.energy} solves only the n of its training"
            expected = ", ".join(map(str, ("B", *problem_shape)))
            raise ValueError(f"problem: must be ({expected}), not {tuple(problem.shape)}{reason}")
        if not torch.isfinite(problem).all():
            raise ValueError("problem: every entry must be finite")
        shape = (len(problem), *answer_shape)
        start = torch.from_numpy(np.random.default_rng(seed).standard_normal(shape, dtype=np.float32))
        empty = start.new_empty(self.model.stack, 0, *answer_shape)  # so that no problems give no answers
        batches = self.answers(problem, start, steps, refine_steps=refine_steps)
        return torch.cat([empty, *(x0.cpu() for _, x0 in batches)], dim=1)

    def problems_at_once(self, entries: int) -> int:
        """The number of problems that are solved in one batch, where an answer has so many entries."""
        rows = ROWS_AT_ONCE[self.device.type] * min(1.0, ENTRIES / entries)
        return max(1, int(rows) // self.model.stack)

    @torch.no_grad()
    def answers(
        self, problem: Tensor, start: Tensor, landscape_steps: int | None = None, batch: int | None = None, **options
    ) -> Iterator[tuple[slice, Tensor]]:
        """Yields (rows, x0) for each batch: a slice of the problems, and x0 (S, rows, *answer shape) on the device.

        problem: (N, *problem shape). start: x_T (N, *answer shape), the same for all seeds. batch: problems per batch;
        by default as many as fit, so that memory does not grow with N. options: `watch` and others of `sample`.
        """
        steps = self.params.landscape_steps if landscape_steps is None else landscape_steps
        batch, bound = batch or self.problems_at_once(start.shape[1:].numel()), self.params.answer_bound
        for first in range(0, len(problem), batch):
            rows = slice(first, first + batch)
            parts = (part[rows].to(self.device) for part in (problem, start))
            problems, x_T = (part.expand(self.model.stack, *part.shape) for part in parts)
            yield rows, sample(self.model, problems, x_T, self.schedule, steps, bound, **options)
