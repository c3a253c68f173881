"""Training metrics: means over windows of steps, per seed and per noise level."""

import math
from typing import Any

import torch
from torch import Tensor

from anm.utils.lookup import one_hot

WINDOWS = 40  # at most, per run: the size of a record does not depend on the number of steps
SEED_METRICS = ("loss", "denoise", "contrast", "grad_norm")
ROW_METRICS = tuple("denoise contrast energy_positive energy_negative distance accepted clipped residual false".split())
# The other row metrics are means over rows whose negative is used
OVER_ALL_ROWS, OVER_NEGATIVES = ("denoise",), ("clipped", "false")


class TrainingMetrics:
    """Sums of the current window (device) and means of closed windows (host).

    `history` has the record's names: per window the step, the seed metrics (S,) and the row metrics by level (T,);
    the learning curve is in `mse_step` and `mse_same`.
    """

    def __init__(self, train_steps: int, noise_levels: int):
        self.window_steps = -(-train_steps // WINDOWS)
        self.last_step, self.noise_levels = train_steps, noise_levels
        self.sums: dict[str, Tensor] = {}  # a CUDA graph needs them in place: created once, never replaced
        self.history: dict[str, Any] = {name: [] for name in ("step", *SEED_METRICS)}
        self.history |= {"by_level": {name: [] for name in ROW_METRICS}, "mse_step": [], "mse_same": []}

    def add(self, rows: dict[str, Tensor], t: Tensor, per_seed: dict[str, Tensor]) -> None:
        """Add one step, without a transfer to the host.

        rows: values per row (S, B) at noise levels t (S, B). per_seed: values per seed (S,).
        """
        levels = one_hot(t, self.noise_levels)
        with_negative = levels * rows["counts"][..., None] if "counts" in rows else levels
        mined = levels * rows["mined"][..., None] if "mined" in rows else levels
        values = dict(per_seed)
        for name in ROW_METRICS:
            if name in rows:
                over_negatives = mined if name in OVER_NEGATIVES else with_negative
                weights = levels if name in OVER_ALL_ROWS else over_negatives
                # Not a matrix product: its precision may be reduced
                values[f"level/{name}"] = (rows[name].detach()[..., None] * weights).sum(1)
                values[f"count/{name}"] = weights.sum(1)
        for name, value in values.items():
            self.sums.setdefault(name, torch.zeros_like(value)).add_(value)

    def steps_in_window(self, step: int) -> int:
        """The number of steps in the current window, up to and including this step."""
        return step - (self.history["step"][-1] if self.history["step"] else 0)

    def window_ends(self, step: int) -> bool:
        """Whether the current window ends with this step."""
        return step % self.window_steps == 0 or step == self.last_step

    def close_window(self, step: int) -> dict[str, float]:
        """Append the window's means to the history; returns the overall row metrics."""
        sums = {name: value.cpu() for name, value in self.sums.items()}
        steps = self.steps_in_window(step)
        self.history["step"].append(step)
        for name in SEED_METRICS:
            means = (sums[name] / steps).tolist() if name in sums else [None] * len(sums["loss"])
            self.history[name].append(means)
        overall: dict[str, float] = {}
        for name, curve in self.history["by_level"].items():
            if f"level/{name}" not in sums:
                curve.append([None] * self.noise_levels)
                continue
            total, count = sums[f"level/{name}"].sum(0), sums[f"count/{name}"].sum(0)
            curve.append((total / count).tolist())  # NaN for a level without rows
            overall[name] = float(total.sum() / count.sum())
        for total in self.sums.values():
            total.zero_()
        return overall

    def last_is_best(self) -> bool:
        """Whether the last validation has the lowest error so far, as the mean over seeds, and is finite."""
        errors = [sum(seeds) / len(seeds) for seeds in self.history["mse_same"]]
        return math.isfinite(errors[-1]) and errors[-1] <= min(filter(math.isfinite, errors))

    def state(self) -> dict[str, Any]:
        """The content for a checkpoint."""
        return {"sums": self.sums, "history": self.history}

    def restore(self, state: dict[str, Any], device: torch.device) -> None:
        """Continue from the content of a checkpoint."""
        self.sums = {name: value.clone().to(device) for name, value in state["sums"].items()}
        self.history = state["history"]
