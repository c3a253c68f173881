"""The lock of a notebook: one process at a time writes it."""

import contextlib
import errno
import os
import socket
from pathlib import Path

from filelock import FileLock, Timeout

from anm.study.execute import StopRequest

NO_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK)  # what a file system without locks answers


class RunLockedError(RuntimeError):
    """Another process is writing this run's notebook."""


@contextlib.contextmanager
def only_writer(path: Path, stop: StopRequest, wait: float, log=print):
    """Holds the lock of the notebook `path`; waits for another holder up to `wait` seconds or a stop request.

    The system releases the lock when its process ends, however it ends. On a file system without locks the
    notebook counts as free, and `log` gets a warning. Raises `RunLockedError`, naming the holder.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.parent / f".{path.stem}.lock"
    lock = FileLock(file, fallback_to_soft=False, on_acquired=write_holder)
    try:
        acquire(lock, path.name, stop, wait, log)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        log(f"{file}: this file system has no locks ({error.strerror}); never run one study twice at a time here")
    try:
        yield
    finally:
        lock.release()


def acquire(lock: FileLock, name: str, stop: StopRequest, wait: float, log) -> None:
    """Acquires the lock at once or within `wait` seconds. Raises `RunLockedError`."""
    try:
        with contextlib.suppress(Timeout):
            return lock.acquire(timeout=0)
        if wait > 0:
            log(f"{name}: {holder(lock)} is writing it; waiting up to {wait:.0f} s")
        lock.acquire(timeout=wait, poll_interval=0.5, cancel_check=lambda: bool(stop.name))
    except Timeout:
        raise RunLockedError(
            f"{name}: {holder(lock)} is writing it, so nothing was started here. Let it finish, or stop it "
            "(scancel its job, or kill that process) and start again: the run resumes from its checkpoint"
        ) from None


def holder(lock: FileLock) -> str:
    """The process that holds the lock, as its file says."""
    return Path(lock.lock_file).read_text().strip() or "another process"


def write_holder(descriptor: int) -> None:
    """Writes this process, its host and its Slurm job into the lock file."""
    job = os.environ.get("SLURM_ARRAY_JOB_ID") or os.environ.get("SLURM_JOB_ID")
    text = f"process {os.getpid()} on {socket.gethostname()}" + (f" (Slurm job {job})" if job else "")
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, text.encode(), 0)
