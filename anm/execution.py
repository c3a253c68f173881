"""papermill as a child process: one writer per notebook, signals that lead to a checkpoint, nothing left behind."""

import contextlib
import ctypes
import errno
import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil

GRACE = 100.0  # seconds that a run has for its checkpoint once it is told to stop
PR_SET_PDEATHSIG = 1  # from <linux/prctl.h>
LIBC = ctypes.CDLL(None)  # loaded here: not between fork and exec
STOPPING = ("SIGINT", "SIGTERM", "SIGUSR2", "SIGHUP")


class Busy(RuntimeError):
    """Another process is writing this run's notebook."""


class StopRequest:
    """While open, the signals that ask for an end are noted instead of obeyed.

    `name` is the first one's. `impatient` after a second Ctrl-C; batch systems repeat the other signals as a habit.
    """

    def __init__(self):
        self.name: str | None = None
        self.impatient = False

    def __enter__(self) -> "StopRequest":
        self.before = {}
        for name in STOPPING:
            number = getattr(signal, name)
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup stays in force
                self.before[number] = signal.signal(number, self._note)
        return self

    def _note(self, number, frame) -> None:
        self.impatient = bool(self.name) and number == signal.SIGINT
        self.name = self.name or signal.Signals(number).name

    def __exit__(self, *error) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def only_writer(path: Path, stop: StopRequest, wait: float, say=print):
    """Holds the lock of one notebook; waits for another holder up to `wait` seconds.

    The lock dies with its process, so none is ever left over. Raises `Busy`, naming who holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.parent / f".{path.stem}.lock"
    with open(lock, "a+") as file:
        deadline = time.monotonic() + wait
        while not try_lock(file, say):
            file.seek(0)
            holder = file.read().strip() or "another process"
            if stop.name or time.monotonic() > deadline:
                raise Busy(
                    f"{path.name}: {holder} is at work on it; nothing was started here. Let it finish, or stop it "
                    "(scancel its job, or kill that process) and start again: it goes on where that one was"
                )
            if wait > 0:
                say(f"{path.name}: {holder} is at work on it; waiting up to {wait:.0f} s")
                wait = 0
            time.sleep(0.5)
        file.seek(0)
        file.truncate()
        job = os.environ.get("SLURM_ARRAY_JOB_ID") or os.environ.get("SLURM_JOB_ID")
        file.write(f"process {os.getpid()} on {socket.gethostname()}" + (f" (Slurm job {job})" if job else ""))
        file.flush()
        yield


def try_lock(file, say) -> bool:
    """Whether the lock is ours now. A file system without locks counts as free, said aloud."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK):
            raise
        say(
            f"{file.name}: this file system has no locks ({error.strerror}); never run one study twice at the same time here"
        )
    return True


def execute(notebook: Path, output: Path, arguments: list[str], folder: Path, stop: StopRequest) -> int:
    """papermill's exit code for a notebook executed in `folder` with the given papermill arguments.

    A stop request is handed to the kernel, which writes a checkpoint and raises; a second Ctrl-C, or
    `GRACE` seconds, ends everything at once. No process of the run outlives the call, nor this process.
    """
    command = [
        sys.executable,
        "-m",
        "papermill",
        str(notebook),
        str(output),
        "--cwd",
        str(folder),
        "--kernel",
        "python3",
        "--log-output",
        "--no-progress-bar",
        "--autosave-cell-every",
        "10",
        *arguments,
    ]
    # A Ctrl-C is ours to hand on, hence a session of its own; the kernel must be this environment's.
    environment = os.environ | {"PYTHONUNBUFFERED": "1", "JUPYTER_PREFER_ENV_PATH": "1"}
    child = subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=die_with_parent
    )
    family: list[psutil.Process] = []
    try:
        return wait_or_stop(child, family, stop)
    finally:
        end(child, family)


def wait_or_stop(child: subprocess.Popen, family: list, stop: StopRequest) -> int:
    """The child's exit code. Notes its descendants in `family`, and hands them a stop request once."""
    deadline = None
    while True:
        try:
            return child.wait(timeout=0.2)
        except subprocess.TimeoutExpired:
            family[:] = descendants(child.pid) or family
        if stop.name and deadline is None:
            deadline = time.monotonic() + GRACE
            signal_all(kernels(family), signal.SIGUSR2)
            if not kernels(family):  # nothing has begun, so there is nothing to save
                return end(child, family)
        if deadline and (stop.impatient or time.monotonic() > deadline):
            return end(child, family)


def descendants(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def kernels(family: list) -> list:
    """The kernels among papermill's descendants."""
    found = []
    for process in family:
        with contextlib.suppress(psutil.Error):
            if any("ipykernel" in word for word in process.cmdline()):
                found.append(process)
    return found


def signal_all(processes: list, number: int) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def end(child: subprocess.Popen, family: list) -> int:
    """Kills what is left of a run, children of children too; returns the exit code."""
    left = [*family, *descendants(child.pid)] if child.poll() is None else family
    if child.poll() is None:
        child.kill()
    signal_all(left, signal.SIGKILL)
    return child.wait()


def die_with_parent() -> None:
    """In the child before it starts: end when the parent does, however that ends (Linux); leave SIGTERM to the parent.

    papermill would die of a SIGTERM to the whole job, and take the kernel along before its checkpoint.
    """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGUSR2, signal.SIG_DFL)
    if sys.platform == "linux":
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
