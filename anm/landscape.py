"""Descent on an energy: the landscape step, the sampler, and the `Solver` that answers problems with them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import Tensor

from anm.energy import Energy, Landscape
from anm.params import CHOICES, RunParams
from anm.schedule import Schedule
from anm.thinking import think

# Rows (S x B) of n = 20 that are solved at once: enough to fill the device, few enough to bound memory.
ROWS_AT_ONCE, ROWS_N = {"cpu": 1024, "mps": 16_384, "cuda": 131_072}, 20


@dataclass
class Point:
    """Where a descent stands: x_t (S, B, n, n), its energy (S, B), and eps_hat there (None where not needed)."""

    x: Tensor
    energy: Tensor
    eps_hat: Tensor | None


def bounded(x_t: Tensor, t: Tensor, schedule: Schedule, bound: float) -> Tensor:
    """x_t clipped to +-bound in the scale of its own level: +-bound sqrt(alpha_bar_t)."""
    limit = bound * schedule.at("sqrt_alpha_bar", t)
    return torch.clamp(x_t, -limit, limit)


def landscape_step(
    landscape: Landscape, point: Point, t: Tensor, schedule: Schedule, bound: float, gradient: bool = True
) -> tuple[Point, Tensor]:
    """One step down the energy, kept per row only where the energy did not rise; and which rows it was kept in.

    x <- clip(x - eta_t eps_hat). `gradient` asks for eps_hat at the new point too, which a further step needs.
    Source: arXiv 2406.11179, algorithm 2; every row has its own clip and every step the same scale.
    """
    proposal = bounded(point.x - schedule.at("step_size", t) * point.eps_hat, t, schedule, bound)
    energy, eps_hat = landscape(proposal, gradient=gradient)
    kept = energy <= point.energy  # false for an energy that is not a number
    row = kept[..., None, None]
    return Point(
        torch.where(row, proposal, point.x),
        torch.where(kept, energy, point.energy),
        torch.where(row, eps_hat, point.eps_hat) if gradient else None,
    ), kept


@dataclass
class Descent:
    """A descent's end x_t (S, B, n, n); per row (S, B) the energies before and after, and the share of steps kept."""

    x: Tensor
    energy_before: Tensor
    energy_after: Tensor
    accepted: Tensor


def descend(landscape: Landscape, x_t: Tensor, t: Tensor, schedule: Schedule, steps: int, bound: float) -> Descent:
    """`steps` landscape steps from x_t. What a step has evaluated, the next one does not evaluate again."""
    before, eps_hat = landscape(x_t, gradient=steps > 0)
    point, accepted = Point(x_t, before, eps_hat), torch.zeros_like(before)
    for step in range(steps):
        point, kept = landscape_step(landscape, point, t, schedule, bound, gradient=step + 1 < steps)
        accepted = accepted + kept
    return Descent(point.x, before, point.energy, accepted / max(steps, 1))


def sample(
    model: Energy,
    A: Tensor,
    start: Tensor,
    schedule: Schedule,
    landscape_steps: int,
    bound: float,
    watch: Callable[[int, Descent, Tensor], None] | None = None,
    refine_steps: int = 0,
    watch_refining: Callable[[int, Tensor], None] | None = None,
) -> Tensor:
    """Answers x0 (S, B, n, n) to problems A (S, B, n, n) from noise `start` at the highest level.

    At each level, from the noisiest down: the x0 that eps_hat implies, clipped, taken back to the level;
    landscape steps there; then on to the next level without fresh noise. Source: arXiv 2406.11179, algorithm 2,
    as in the code released with it. `watch(level, descent, x0)` sees every level's descent and the x0 it reached.
    Then up to `refine_steps` steps of thinking longer at the last level; `watch_refining(step, x0)` sees their ends.
    """
    encoded, x = model.encode(A), start
    for level in reversed(range(len(schedule))):
        t = torch.full(A.shape[:2], level, device=A.device)
        landscape = model.landscape(encoded, t)
        _, eps_hat = landscape(x)
        x0 = schedule.denoised(x, t, eps_hat).clamp(-bound, bound)
        x = schedule.at("sqrt_alpha_bar", t) * x0
        if landscape_steps or watch:
            descent = descend(landscape, x, t, schedule, landscape_steps, bound)
            x0 = descent.x / schedule.at("sqrt_alpha_bar", t)
        if watch:
            watch(level, descent, x0)
        if level:
            x = schedule.sqrt_alpha_bar[level - 1] * x0
    if not refine_steps:
        return x0
    scale = schedule.at("sqrt_alpha_bar", t)
    watch_x_t = watch_refining and (lambda step, x_t: watch_refining(step, x_t / scale))
    return think(landscape, scale * x0, schedule.at("step_size", t), bound * scale, refine_steps, watch_x_t) / scale


@dataclass
class Solver:
    """A trained stack of energies that answers problems; what `anm.train` and `anm.load` give.

    params: the run's settings. model: the averaged (EMA) weights. step: how many steps they were trained for.
    history: the curves of the training, under the names of the record. timing: seconds and legs of the training.
    """

    params: RunParams
    model: Energy
    schedule: Schedule
    step: int = 0
    history: dict[str, Any] = field(default_factory=dict)
    timing: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, model: Energy, **settings) -> "Solver":
        """A solver around an energy that no run here has trained; `settings` as in `RunParams`, landscape_steps say."""
        known = {"energy": name for name, energy in CHOICES["energy"].items() if type(model) is energy}
        settings = (
            known | {"n": model.n, "noise_levels": model.noise_levels, "seeds": f"0-{model.stack - 1}"} | settings
        )
        params = RunParams(**settings)
        device = params.torch_device()
        return cls(params, model.to(device).requires_grad_(False), Schedule(model.noise_levels).to(device))

    @property
    def device(self) -> torch.device:
        return self.schedule.alpha_bar.device

    def solve(self, A: Tensor, landscape_steps: int | None = None, seed: int = 0, refine_steps: int = 0) -> Tensor:
        """Answers X (S, B, n, n), on the CPU, one per seed of the stack, to problems A (B, n, n).

        `seed` fixes the noise that sampling starts from: row i of a longer batch has the same answer.
        `landscape_steps` per noise level; by default those of the run. `refine_steps`: how much longer to think, at
        most. An energy whose weights do not depend on n answers problems of any n. Raises `ValueError` on other
        shapes, on entries that are not finite, and on steps that cannot be taken.
        """
        steps = self.params.landscape_steps if landscape_steps is None else landscape_steps
        for name, count in {"landscape_steps": steps, "refine_steps": refine_steps}.items():
            if isinstance(count, bool) or not isinstance(count, Integral) or count < 0:
                raise ValueError(f"{name}: must be a whole number from 0, not {count!r}")
        A = torch.as_tensor(A, dtype=torch.float32, device="cpu")
        n = A.shape[-1] if self.model.any_n and A.ndim == 3 and A.shape[-1] else self.params.n
        if A.ndim != 3 or A.shape[1:] != (n, n):
            size = "" if self.model.any_n else f"; energy {self.params.energy} answers only the n it was trained for"
            raise ValueError(f"A: must be (B, {n}, {n}), not {tuple(A.shape)}{size}")
        if not torch.isfinite(A).all():
            raise ValueError("A: every entry must be finite")
        start = np.random.default_rng(seed).standard_normal(A.shape, dtype=np.float32)
        none = A.new_empty(self.model.stack, 0, *A.shape[1:])
        answers = self.answers(A, torch.from_numpy(start), steps, refine_steps=refine_steps)
        return torch.cat([none, *(x.cpu() for _, x in answers)], dim=1)

    def problems_at_once(self, n: int) -> int:
        """How many problems of side n fit into memory together."""
        rows = ROWS_AT_ONCE[self.device.type] * min(1.0, (ROWS_N / n) ** 2)
        return max(1, int(rows) // self.model.stack)

    @torch.no_grad()
    def answers(
        self,
        A: Tensor,
        start: Tensor,
        landscape_steps: int | None = None,
        batch: int | None = None,
        watch=None,
        refine_steps: int = 0,
        watch_refining=None,
    ):
        """Yields (rows, x0) batch by batch: a slice of the problems A (N, n, n), and x0 (S, rows, n, n) on the device.

        Memory does not grow with N. `start` is x_T, (N, n, n), the same for every seed of the stack. The rest: see `sample`.
        """
        steps = self.params.landscape_steps if landscape_steps is None else landscape_steps
        batch = batch or self.problems_at_once(A.shape[-1])
        for first in range(0, len(A), batch):
            rows = slice(first, first + batch)
            problems, x_T = (part[rows].to(self.device).expand(self.model.stack, -1, -1, -1) for part in (A, start))
            bound = self.params.answer_bound
            yield (
                rows,
                sample(self.model, problems, x_T, self.schedule, steps, bound, watch, refine_steps, watch_refining),
            )
