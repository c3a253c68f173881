"""What a training run measures on its way: means over windows of steps, per seed and per noise level."""

from typing import Any

import torch
from torch import Tensor

from anm.schedule import one_hot

POINTS = 40  # windows a run is cut into, so that a record's size does not depend on its length
ROWS = ("denoise", "contrast", "energy_positive", "energy_negative", "distance", "accepted", "residual", "false")
EVERY_ROW = ("denoise", "false")  # the others are means over the rows whose negatives count


class Curves:
    """Sums on the device while a window lasts; lists on the host, under the record's names, once it has ended."""

    def __init__(self, train_steps: int, noise_levels: int):
        self.every = -(-train_steps // POINTS)
        self.last, self.noise_levels = train_steps, noise_levels
        self.sums: dict[str, Tensor] = {}  # made by the first step, written in place ever after
        self.history: dict[str, Any] = {name: [] for name in ("step", "loss", "denoise", "contrast", "grad_norm")}
        self.history |= {"by_level": {name: [] for name in ROWS}, "mse_step": [], "mse_same": []}

    def add(self, rows: dict[str, Tensor], t: Tensor, per_seed: dict[str, Tensor]) -> None:
        """One step: `rows` per row (S, B) at levels t (S, B), `per_seed` values (S,). Nothing leaves the device."""
        levels = one_hot(t, self.noise_levels)
        mined = levels * rows["counts"][..., None] if "counts" in rows else levels
        now = dict(per_seed)
        for name in ROWS:
            if name in rows:
                weights = levels if name in EVERY_ROW else mined
                now[f"level/{name}"] = (rows[name].detach()[..., None] * weights).sum(
                    1
                )  # no product: those may be of low precision
                now[f"count/{name}"] = weights.sum(1)
        for name, value in now.items():
            self.sums.setdefault(name, torch.zeros_like(value)).add_(value)

    def steps_since_closing(self, step: int) -> int:
        """How many steps the open window holds, this step being the last."""
        return step - (self.history["step"][-1] if self.history["step"] else 0)

    def due(self, step: int) -> bool:
        """Whether a window ends with this step."""
        return step % self.every == 0 or step == self.last

    def close(self, step: int) -> dict[str, float]:
        """End the window: append its means to the history; returns them averaged over seeds, for the log line."""
        sums = {name: value.cpu() for name, value in self.sums.items()}
        line: dict[str, float] = {}
        steps = self.steps_since_closing(step)
        self.history["step"].append(step)
        for name in ("loss", "denoise", "contrast", "grad_norm"):
            means = (sums[name] / steps).tolist() if name in sums else None
            self.history[name].append(means if means else [None] * len(sums["loss"]))
        for name in ROWS:
            if f"level/{name}" not in sums:
                self.history["by_level"][name].append([None] * self.noise_levels)
                continue
            total, count = sums[f"level/{name}"].sum(0), sums[f"count/{name}"].sum(0)
            self.history["by_level"][name].append((total / count).tolist())  # 0 / 0 where no row had the level
            line[name] = float(total.sum() / count.sum())
        for total in self.sums.values():
            total.zero_()
        return line

    def state(self) -> dict[str, Any]:
        """Everything, for a checkpoint."""
        return {"sums": self.sums, "history": self.history}

    def restore(self, state: dict[str, Any], device: torch.device) -> None:
        """Go on from `state`."""
        self.sums = {name: value.clone().to(device) for name, value in state["sums"].items()}
        self.history = state["history"]
