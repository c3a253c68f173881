"""Signals that ask a run to stop, noted until the loop is at a place where it can."""

import signal
import threading


class Interrupted(RuntimeError):
    """Training was told to stop by a signal; a checkpoint is written and the same command goes on from it."""


class StopSignal:
    """While open, SIGINT, SIGTERM and SIGUSR2 set `received` to their name instead of killing the process."""

    def __init__(self):
        self.received: str | None = None

    def __enter__(self) -> "StopSignal":
        self.before = {}
        if threading.current_thread() is threading.main_thread():  # handlers can be set nowhere else
            for name in ("SIGINT", "SIGTERM", "SIGUSR2"):
                if number := getattr(signal, name, None):  # Windows lacks some
                    self.before[number] = signal.signal(number, self._note)
        return self

    def _note(self, number, frame) -> None:
        self.received = signal.Signals(number).name

    def __exit__(self, *error) -> None:
        for number, handler in self.before.items():
            signal.signal(
                number, signal.SIG_DFL if handler is None else handler
            )  # None: one that Python cannot put back
