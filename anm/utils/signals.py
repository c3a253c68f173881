"""Signals that ask a run to stop; the training loop acts on them between two steps."""

import signal
import threading


class Interrupted(RuntimeError):
    """A signal stopped the training. A checkpoint is written; the same command continues from it."""


class StopSignal:
    """Within this context, SIGINT, SIGTERM and SIGUSR2 only set `received` to their name."""

    def __init__(self):
        self.received: str | None = None

    def __enter__(self) -> "StopSignal":
        self.previous = {}
        if threading.current_thread() is threading.main_thread():  # no other thread may set handlers
            for name in ("SIGINT", "SIGTERM", "SIGUSR2"):
                if number := getattr(signal, name, None):  # Windows lacks some
                    self.previous[number] = signal.signal(number, self._record)
        return self

    def _record(self, number, frame) -> None:
        self.received = signal.Signals(number).name

    def __exit__(self, *error) -> None:
        for number, handler in self.previous.items():
            # None: the handler was not set from Python, so Python cannot restore it
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
