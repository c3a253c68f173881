"""What training steps cost: wall-clock seconds, without what is done between the steps."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from anm.device import synchronise


class StepClock:
    """Runs from its making on, except where it is paused. `timing` is plain data that a checkpoint keeps:

    step_seconds: of all steps so far. windows: seconds a step, a number per closed window of steps. window_seconds: of
    the window that is open. resumed: how often the training went on from a checkpoint.
    """

    def __init__(self, timing: dict[str, Any], device: torch.device):
        self.timing, self.device = timing, device
        self.since = time.perf_counter()

    @staticmethod
    def timing_at_start() -> dict[str, Any]:
        """No step yet."""
        return {"step_seconds": 0.0, "windows": [], "window_seconds": 0.0, "resumed": 0}

    @contextmanager
    def paused(self) -> Iterator[None]:
        """What happens inside does not count; what the device was asked for before does."""
        synchronise(self.device)
        passed = time.perf_counter() - self.since
        self.timing["step_seconds"] += passed
        self.timing["window_seconds"] += passed
        try:
            yield
        finally:
            self.since = time.perf_counter()

    def close_window(self, steps: int) -> None:
        """The window that is open held `steps` steps; to be told while paused."""
        self.timing["windows"].append(self.timing["window_seconds"] / steps)
        self.timing["window_seconds"] = 0.0


def seconds_per_step(timing: dict[str, Any]) -> float | None:
    """The price of a step: the lower quartile over windows. Compiling, and whatever else the machine did meanwhile, only
    ever add to a window. None before the first one has closed."""
    windows = sorted(timing["windows"])
    return windows[len(windows) // 4] if windows else None
