"""papermill as a child process, and the lock: exit codes, signals to the kernel, one writer, no process left."""

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time

import nbformat
import psutil
import pytest

from anm.study import execute
from anm.study.execute import StopRequest, execute_notebook
from anm.study.lock import RunLockedError, only_writer

pytestmark = pytest.mark.usefixtures("heard_signals")

# As the training loop: after a signal it saves, then raises.
LISTEN = """
import signal, time
told = []
signal.signal(signal.SIGUSR2, lambda number, frame: told.append(number))
open("started", "w").close()
while not told:
    time.sleep(0.01)
open("saved", "w").close()
raise RuntimeError("Interrupted")
"""
DEAF = """
import signal, time
signal.signal(signal.SIGUSR2, signal.SIG_IGN)
open("started", "w").close()
while True:
    time.sleep(0.05)
"""


def notebook(folder, source):
    path = folder / "in.ipynb"
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [nbformat.v4.new_code_cell("x = 1", metadata={"tags": ["parameters"]}), nbformat.v4.new_code_cell(source)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
    return path


def run(folder, source, stop=None, arguments=()):
    return execute_notebook(
        notebook(folder, source), folder / "out.ipynb", list(arguments), folder, stop or StopRequest()
    )


def family():
    return [
        process for process in psutil.Process().children(recursive=True) if "ipykernel" in " ".join(process.cmdline())
    ]


def when_started(folder, action):
    """Calls `action` from another thread once the kernel has started."""

    def watch():
        while not (folder / "started").exists():
            time.sleep(0.05)
        action()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


def test_parameters_and_folder_reach_the_kernel(tmp_path):
    assert run(tmp_path, "open(f'x is {x}', 'w').close()", arguments=["-p", "x", "7"]) == 0
    assert (tmp_path / "x is 7").exists()
    assert (tmp_path / "out.ipynb").exists()


def test_an_error_in_the_notebook_gives_exit_code_1(tmp_path):
    assert run(tmp_path, "raise ValueError('no')") == 1


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGUSR2", "SIGHUP"])
def test_a_signal_reaches_the_kernel_which_saves(tmp_path, name):
    with StopRequest() as stop:
        thread = when_started(tmp_path, lambda: os.kill(os.getpid(), getattr(signal, name)))
        assert run(tmp_path, LISTEN, stop) == 1
        thread.join()
    assert stop.name == name
    assert (tmp_path / "saved").exists()
    assert not family()


def test_a_second_ctrl_c_kills_a_kernel_that_ignores_signals(tmp_path):
    def twice():
        os.kill(os.getpid(), signal.SIGINT)
        while not stop.name:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    with StopRequest() as stop:
        thread = when_started(tmp_path, twice)
        assert run(tmp_path, DEAF, stop) == -signal.SIGKILL
        thread.join()
    assert not family()


def test_a_kernel_that_ignores_signals_is_killed_after_the_grace_time(tmp_path, monkeypatch):
    monkeypatch.setattr(execute, "GRACE_SECONDS", 0.0)
    with StopRequest() as stop:
        thread = when_started(tmp_path, lambda: os.kill(os.getpid(), signal.SIGTERM))
        assert run(tmp_path, DEAF, stop) == -signal.SIGKILL
        thread.join()
    assert not family()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of their parent's death")
def test_nothing_outlives_a_parent_that_is_killed(tmp_path):
    notebook(tmp_path, DEAF)
    code = (
        "from pathlib import Path; from anm.study.execute import *; "
        f"folder = Path({str(tmp_path)!r}); "
        "execute_notebook(folder / 'in.ipynb', folder / 'out.ipynb', [], folder, StopRequest())"
    )
    parent = psutil.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    try:
        while not (tmp_path / "started").exists():
            assert parent.poll() is None
            time.sleep(0.05)
        children = parent.children(recursive=True)
    finally:
        parent.kill()
        parent.wait()
    assert len(children) >= 2  # papermill and the kernel
    _, alive = psutil.wait_procs(children, timeout=300)
    assert not alive


def hold(path, ready, done):
    with only_writer(path, StopRequest(), 0):
        ready.set()
        done.wait(600)


@pytest.fixture
def held(tmp_path):
    """The path of a notebook whose lock another process holds, and the event that makes it let go."""
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    holder = context.Process(target=hold, args=(tmp_path / "run.ipynb", ready, done))
    holder.start()
    assert ready.wait(600)
    yield tmp_path / "run.ipynb", done, holder.pid
    done.set()
    holder.join()


def test_a_second_writer_gets_an_error_that_names_the_first(held):
    path, _, pid = held
    with (
        pytest.raises(RunLockedError, match=f"run.ipynb: process {pid} on .* is writing it"),
        only_writer(path, StopRequest(), 0),
    ):
        pass


def test_a_second_writer_waits_for_the_first(held):
    path, done, _ = held
    said = []

    def log(line):
        said.append(line)
        done.set()

    with only_writer(path, StopRequest(), 600, log):
        assert len(said) == 1 and "waiting" in said[0]


def test_a_lock_dies_with_its_holder(tmp_path):
    code = (
        "import os\nfrom pathlib import Path\n"
        "from anm.study.execute import StopRequest\nfrom anm.study.lock import only_writer\n"
        f"with only_writer(Path({str(tmp_path / 'run.ipynb')!r}), StopRequest(), 0): os._exit(7)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 7
    with only_writer(tmp_path / "run.ipynb", StopRequest(), 0):
        pass


def test_a_stop_request_ends_the_wait(held):
    stop = StopRequest()
    stop.name = "SIGTERM"
    with pytest.raises(RunLockedError), only_writer(held[0], stop, 60):
        pass


def test_a_file_system_without_locks_counts_as_free_with_a_warning(tmp_path, monkeypatch):
    def no_locks(*arguments):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", no_locks)
    said = []
    with only_writer(tmp_path / "run.ipynb", StopRequest(), 0, said.append):
        assert len(said) == 1 and "has no locks (No locks available)" in said[0]
