"""Signal handlers are restored."""

import signal

from anm.utils.signals import StopSignal


def test_a_signal_handler_set_outside_python_is_restored_without_an_error(monkeypatch):
    before = signal.getsignal(signal.SIGTERM)
    real = signal.signal
    monkeypatch.setattr(signal, "signal", lambda number, handler: real(number, handler) and None)
    with StopSignal():
        pass
    monkeypatch.undo()
    signal.signal(signal.SIGTERM, before)
    signal.signal(signal.SIGINT, signal.default_int_handler)
