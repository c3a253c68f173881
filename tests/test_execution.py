"""papermill as a child: its exit code, one writer, signals on to the kernel, nothing left behind."""

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

from anm import execution
from anm.execution import Busy, StopRequest, execute, only_writer

# What the training loop does with a signal: at the next step, an error after a last word.
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
time.sleep(300)
"""


def notebook(folder, source):
    path = folder / "in.ipynb"
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [nbformat.v4.new_code_cell("x = 1", metadata={"tags": ["parameters"]}), nbformat.v4.new_code_cell(source)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
    return path


def run(folder, source, stop=None, arguments=()):
    return execute(notebook(folder, source), folder / "out.ipynb", list(arguments), folder, stop or StopRequest())


def family():
    return [
        process for process in psutil.Process().children(recursive=True) if "ipykernel" in " ".join(process.cmdline())
    ]


def when_started(folder, action):
    """Calls `action` from another thread once the kernel is at work."""

    def watch():
        deadline = time.monotonic() + 300
        while not (folder / "started").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        action()

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def test_parameters_and_folder_reach_the_kernel(tmp_path):
    assert run(tmp_path, "open(f'x is {x}', 'w').close()", arguments=["-p", "x", "7"]) == 0
    assert (tmp_path / "x is 7").exists()
    assert (tmp_path / "out.ipynb").exists()


def test_an_error_in_the_notebook_is_not_zero(tmp_path):
    assert run(tmp_path, "raise ValueError('no')") == 1


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGUSR2", "SIGHUP"])
def test_a_signal_reaches_the_kernel_as_its_time_to_save(tmp_path, name):
    with StopRequest() as stop:
        thread = when_started(tmp_path, lambda: os.kill(os.getpid(), getattr(signal, name)))
        assert run(tmp_path, LISTEN, stop) == 1
        thread.join()
    assert stop.name == name
    assert (tmp_path / "saved").exists()
    assert not family()


def test_a_second_ctrl_c_ends_at_once_what_does_not_listen(tmp_path):
    def twice():
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.5)

    with StopRequest() as stop:
        thread = when_started(tmp_path, twice)
        assert run(tmp_path, DEAF, stop) == -signal.SIGKILL
        thread.join()
    assert not family()


def test_what_does_not_listen_is_ended_after_a_while(tmp_path, monkeypatch):
    monkeypatch.setattr(execution, "GRACE", 1.0)
    with StopRequest() as stop:
        thread = when_started(tmp_path, lambda: os.kill(os.getpid(), signal.SIGTERM))
        assert run(tmp_path, DEAF, stop) == -signal.SIGKILL
        thread.join()
    assert not family()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of their parent's death")
def test_nothing_outlives_a_parent_that_is_killed(tmp_path):
    path = notebook(tmp_path, DEAF)
    code = f"from pathlib import Path; from anm.execution import *; f = Path({str(tmp_path)!r}); execute(Path({str(path)!r}), f / 'out.ipynb', [], f, StopRequest())"
    parent = psutil.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    try:
        when_started(tmp_path, lambda: None).join()
        children = parent.children(recursive=True)
    finally:
        parent.kill()
        parent.wait()
    assert len(children) >= 2  # papermill and the kernel
    _, alive = psutil.wait_procs(children, timeout=10)
    assert not alive


def hold(path, ready, done):
    with only_writer(path, StopRequest(), 0):
        ready.set()
        done.wait(60)


@pytest.fixture
def held(tmp_path):
    """The path of a notebook whose lock another process holds, and the event that makes it let go."""
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    holder = context.Process(target=hold, args=(tmp_path / "run.ipynb", ready, done))
    holder.start()
    assert ready.wait(60)
    yield tmp_path / "run.ipynb", done, holder.pid
    done.set()
    holder.join()


def test_a_second_writer_is_told_who_the_first_is(held):
    path, _, pid = held
    with (
        pytest.raises(Busy, match=f"run.ipynb: process {pid} on .* is at work on it"),
        only_writer(path, StopRequest(), 0),
    ):
        pass


def test_a_second_writer_waits_for_the_first(held):
    path, done, _ = held
    said = []

    def say(line):
        said.append(line)
        done.set()

    with only_writer(path, StopRequest(), 60, say):
        assert len(said) == 1 and "waiting" in said[0]


def test_a_lock_dies_with_its_holder(tmp_path):
    code = f"import os; from pathlib import Path; from anm.execution import *\nwith only_writer(Path({str(tmp_path / 'run.ipynb')!r}), StopRequest(), 0): os._exit(1)"
    subprocess.run([sys.executable, "-c", code])
    with only_writer(tmp_path / "run.ipynb", StopRequest(), 0):
        pass
