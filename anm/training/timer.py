"""Seconds of training steps, without the work between them."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from anm.utils.device import synchronise


class StepTimer:
    """A timer that runs from its creation, except while paused.

    `timing` is plain data that a checkpoint keeps; every time is in seconds. step_seconds: all steps so far.
    windows: the time per step of each closed window. window_seconds: the current window. resumed: how often the run
    continued from a checkpoint.
    """

    def __init__(self, timing: dict[str, Any], device: torch.device):
        self.timing, self.device = timing, device
        self.since = time.perf_counter()

    @staticmethod
    def timing_at_start() -> dict[str, Any]:
        """The timing before the first step."""
        return {"step_seconds": 0.0, "windows": [], "window_seconds": 0.0, "resumed": 0}

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leaves the block's time out; work that the device was given before it counts."""
        synchronise(self.device)
        passed = time.perf_counter() - self.since
        self.timing["step_seconds"] += passed
        self.timing["window_seconds"] += passed
        try:
            yield
        finally:
            self.since = time.perf_counter()

    def close_window(self, steps: int) -> None:
        """End the current window, which had `steps` steps; the timer must be paused."""
        self.timing["windows"].append(self.timing["window_seconds"] / steps)
        self.timing["window_seconds"] = 0.0


def seconds_per_step(timing: dict[str, Any]) -> float | None:
    """The lower quartile over windows; None without a closed window.

    Compilation and other load on the machine only ever lengthen a window, so the mean would be too large.
    """
    windows = sorted(timing["windows"])
    return windows[len(windows) // 4] if windows else None
