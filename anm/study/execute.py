"""papermill in a child process: signals reach the kernel as a request to save, and no process is left behind."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

GRACE_SECONDS = 100.0  # for the checkpoint, from the stop request on
PR_SET_PDEATHSIG = 1  # from <linux/prctl.h>
LIBC = ctypes.CDLL(None)  # loaded here: between fork and exec it is not safe
STOP_SIGNALS = ("SIGINT", "SIGTERM", "SIGUSR2", "SIGHUP")


class StopRequest:
    """While open, the signals that ask for an end are noted and not obeyed.

    name: the first signal. at_once: a second Ctrl-C has come. Batch systems repeat the other signals by habit.
    """

    def __init__(self):
        self.name: str | None = None
        self.at_once = False

    def __enter__(self) -> "StopRequest":
        self.before = {}
        for name in STOP_SIGNALS:
            number = getattr(signal, name)
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup stays in force
                self.before[number] = signal.signal(number, self._note)
        return self

    def _note(self, number, frame) -> None:
        self.at_once = bool(self.name) and number == signal.SIGINT
        self.name = self.name or signal.Signals(number).name

    def __exit__(self, *error) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)


def execute_notebook(notebook: Path, output: Path, arguments: list[str], folder: Path, stop: StopRequest) -> int:
    """papermill's exit code for the notebook, executed in `folder` with further papermill arguments.

    A stop request goes to the kernel as SIGUSR2; training then writes a checkpoint and raises. A second Ctrl-C, or
    `GRACE_SECONDS` later, all processes are killed. None outlives this call or this process.
    """
    command = [sys.executable, "-m", "papermill", str(notebook), str(output), "--cwd", str(folder)]
    command += ["--kernel", "python3", "--log-output", "--no-progress-bar", "--autosave-cell-every", "10", *arguments]
    # Its own session, because this process passes a Ctrl-C on; and the kernel of this environment.
    environment = os.environ | {"PYTHONUNBUFFERED": "1", "JUPYTER_PREFER_ENV_PATH": "1"}
    if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & set(os.environ):
        environment["GOMP_SPINCOUNT"] = "10000"  # threads that wait for a busy core spin less, and give it free
    how = {"env": environment, "stdin": subprocess.DEVNULL, "start_new_session": True, "preexec_fn": die_with_parent}
    child = subprocess.Popen(command, **how)
    family: list[psutil.Process] = []
    try:
        return wait_or_stop(child, family, stop)
    finally:
        kill(child, family)


def wait_or_stop(child: subprocess.Popen, family: list, stop: StopRequest) -> int:
    """The child's exit code. Keeps its descendants in `family` and passes a stop request on once."""
    deadline = None
    while True:
        try:
            return child.wait(timeout=0.2)
        except subprocess.TimeoutExpired:
            family[:] = descendants(child.pid) or family
        if stop.name and deadline is None:
            deadline = time.monotonic() + GRACE_SECONDS
            signal_all(kernels(family), signal.SIGUSR2)
            if not kernels(family):  # training has not begun, so there is nothing to save
                return kill(child, family)
        if deadline and (stop.at_once or time.monotonic() > deadline):
            return kill(child, family)


def descendants(pid: int) -> list[psutil.Process]:
    """All processes below this one."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def kernels(family: list) -> list:
    """The Jupyter kernels among the processes."""
    found = []
    for process in family:
        with contextlib.suppress(psutil.Error):
            if any("ipykernel" in word for word in process.cmdline()):
                found.append(process)
    return found


def signal_all(processes: list, number: int) -> None:
    """Send a signal to those processes that still run."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def kill(child: subprocess.Popen, family: list) -> int:
    """Kill the child and all its descendants that still run; returns the child's exit code."""
    left = [*family, *descendants(child.pid)] if child.poll() is None else family
    if child.poll() is None:
        child.kill()
    signal_all(left, signal.SIGKILL)
    return child.wait()


def die_with_parent() -> None:
    """Prepare the child, before it starts, to be killed when its parent dies (Linux) and to ignore SIGTERM.

    With SIGTERM sent to the whole job, papermill would end and take the kernel along before its checkpoint.
    """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGUSR2, signal.SIG_DFL)
    if sys.platform == "linux":
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
