"""Executes the runs of a study: one notebook each, again after a crash, with a checkpoint after a signal."""

import os
import sys
import time
from pathlib import Path

from anm.params import ParamError
from anm.records.read import FAILED, read_run
from anm.records.schema import RecordError
from anm.study.execute import StopRequest, execute_notebook
from anm.study.lock import RunLockedError, only_writer
from anm.study.plan import Run, finished
from anm.study.preflight import PreflightError, check_run
from anm.training.checkpoints import discard
from anm.utils.locations import FILES, work_folder

MAX_KERNEL_DEATHS = 3  # then a run is given up
UNUSABLE, FAILURE, LOCKED, STOPPED = 2, 3, 4, 75  # exit codes


class RunFailed(RuntimeError):
    """A run ended without a complete record."""


class RunStopped(RuntimeError):
    """A signal ended a run; its checkpoint is written."""


def log(*words) -> None:
    """Print one line about the study."""
    print("anm:", *words, flush=True)


def log_error(error) -> None:
    """Print the lines of an error to stderr."""
    for line in str(error).splitlines():
        print(f"anm: error: {line}", file=sys.stderr, flush=True)


def run_all(runs: list[Run], wait: float) -> int:
    """Execute the runs in order, also after one that fails; returns the exit code of the first failure, or 0.

    wait: seconds to wait for another process that writes the same notebook.
    """
    code = 0
    with StopRequest() as stop:
        for run in runs:
            try:
                run_one(run, stop, wait)
            except RunStopped as error:
                log(error)
                return STOPPED
            except (ParamError, PreflightError, RunLockedError, RunFailed, OSError) as error:
                log_error(error if run.path.stem in str(error) else f"{run.path.stem}: {error}")
                code = code or exit_code(error)
            if stop.name:
                return STOPPED
    return code


def exit_code(error: Exception) -> int:
    """The exit code that stands for this error."""
    if isinstance(error, RunLockedError):
        return LOCKED
    return FAILURE if isinstance(error, (RunFailed, OSError)) else UNUSABLE


def run_one(run: Run, stop: StopRequest, wait: float) -> None:
    """Write the run's complete notebook, unless it is there already. Raises the error that prevents it."""
    if is_finished(run):
        return
    check_run(run.params, run.path.parent)
    with only_writer(run.path, stop, wait, log):
        if is_finished(run):  # by the process that held the lock
            return
        started = time.monotonic()
        log(f"{run.path.stem}: papermill notebooks/train.ipynb {' '.join(run.arguments)}")
        execute_until_complete(run, stop)
        run.part.rename(run.path)
        log(f"{run.path.stem}: finished after {time.monotonic() - started:.0f} s: {run.path}")


def is_finished(run: Run) -> bool:
    """Whether complete notebooks hold the run; they are logged."""
    notebooks = finished(run)
    if notebooks:
        log(f"{run.path.stem}: finished already, in {notebooks}")
    return bool(notebooks)


def execute_until_complete(run: Run, stop: StopRequest) -> None:
    """Execute the notebook until it holds a record; after a kernel died, the run resumes from its checkpoint.

    Raises `RunStopped` after a signal, and `RunFailed` on the notebook's own error or when the kernel keeps dying.
    """
    name, notebook = run.path.stem, FILES / "notebooks" / "train.ipynb"
    if not run.params.resume and not int(os.environ.get("SLURM_RESTART_COUNT", "0")):
        discard(run.params)  # only once: from here on the run resumes from its own checkpoints
    for death in range(1, MAX_KERNEL_DEATHS + 1):
        run.part.unlink(missing_ok=True)
        code = execute_notebook(notebook, run.part, [*run.arguments, "-p", "resume", "True"], work_folder(), stop)
        reason = failure_reason(run.part, code)
        if reason is None:
            return
        if stop.name or reason.startswith(f"{FAILED}Interrupted:"):
            again = "the same command resumes from its checkpoint"
            how = again if run.params.resume else "its checkpoint is written; resume from it with -p resume yes"
            raise RunStopped(f"{name}: stopped by {stop.name or 'a signal to its kernel'}; {how}")
        if reason.startswith(FAILED):
            raise RunFailed(f"{name}: {reason} (in full: {run.part})")
        again = "; it resumes" if death < MAX_KERNEL_DEATHS else ""
        log(f"{name}: the kernel died, {death} of {MAX_KERNEL_DEATHS} times ({reason}){again}")
        check_run(run.params, run.path.parent)  # a disk that has become full looks the same
    raise RunFailed(
        f"{name}: the kernel died {MAX_KERNEL_DEATHS} times ({reason}), most often because it is out of memory; "
        "give it more memory, train fewer seeds at once (--chunks), or lower batch_size"
    )


def failure_reason(part: Path, code: int) -> str | None:
    """The reason why a notebook that papermill left with this exit code is not complete, or None if it is."""
    try:
        read_run(part)
    except RecordError as error:
        return error.reason
    return f"papermill ended with exit code {code}" if code else None
