"""Runs of a study: the real notebook through papermill at a tiny scale, disturbed at chosen steps."""

import shutil
import signal
import subprocess
import sys
import time

import psutil
import pytest
from project_copy import copy_project, environment, pause_at, result
from records import write_notebook

from anm.records.read import read_run
from anm.study import run
from anm.study.execute import StopRequest
from anm.study.plan import plan_study
from anm.study.preflight import PreflightError

pytestmark = pytest.mark.usefixtures("heard_signals")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return copy_project(tmp_path_factory.mktemp("project"), figures=False)


def start(project, *arguments):
    return psutil.Popen(
        [sys.executable, "-m", "anm.study", *arguments],
        cwd=project,
        env=environment(),
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def call(project, *arguments):
    """Exit code and all that was printed."""
    process = start(project, *arguments)
    output, _ = process.communicate()
    return process.returncode, output


def start_and_pause(project, name):
    """A study of one run that pauses at its fifth step: its arguments, and the process once it has."""
    arguments = ("run", "--study", name, "--strategy", "own:pausing", "-f", "params/tiny.yaml")
    paused = pause_at(project, name, "own:pausing", 5)
    process = start(project, *arguments)
    while not paused.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    return arguments, process


@pytest.fixture(scope="module")
def undisturbed(project):
    """The folder of a study of one run that nothing disturbed, and what was printed."""
    code, output = call(project, "run", "--study", "tiny", "--strategy", "own:pausing")
    assert code == 0, output
    return project / "reports" / "tiny", output


def test_a_run_ends_as_one_complete_notebook(undisturbed):
    folder, output = undisturbed
    assert [path.name for path in folder.glob("*.ipynb")] == ["own.pausing-mlp.ipynb"]
    record = read_run(folder / "own.pausing-mlp.ipynb")
    assert record["params"]["strategy"] == "own:pausing" and record["params"]["train_steps"] == 40
    assert record["provenance"]["git_dirty"] is False and record["provenance"]["resumed"] == 0
    assert "code: commit" in output and "step 40/40" in output and "finished after" in output


def test_a_finished_run_is_not_run_again(project, undisturbed):
    path = undisturbed[0] / "own.pausing-mlp.ipynb"
    before = path.stat().st_mtime_ns
    code, output = call(project, "run", "--study", "tiny", "--strategy", "own:pausing")
    assert code == 0
    assert "finished already" in output and "papermill" not in output
    assert path.stat().st_mtime_ns == before


def test_a_run_stopped_by_a_signal_resumes_to_the_same_result(project, undisturbed):
    arguments, process = start_and_pause(project, "stopped")
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate()
    assert process.returncode == 75, output
    assert "stopped by SIGINT" in output
    folder = project / "reports" / "stopped"
    assert [path.name for path in folder.glob("*.ipynb")] == ["own.pausing-mlp.part.ipynb"]
    code, output = call(project, *arguments)
    assert code == 0, output
    assert "resumed at step 5 of 40" in output
    assert read_run(folder / "own.pausing-mlp.ipynb")["provenance"]["resumed"] == 1
    assert result(folder / "own.pausing-mlp.ipynb") == result(undisturbed[0] / "own.pausing-mlp.ipynb")
    assert not list(folder.glob("*.part.ipynb"))


def test_a_kernel_that_is_killed_is_started_again(project, undisturbed):
    _, process = start_and_pause(project, "killed")
    for child in process.children(recursive=True):
        if "ipykernel" in " ".join(child.cmdline()):
            child.kill()
    output, _ = process.communicate()
    assert process.returncode == 0, output
    assert "the kernel died, 1 of 3 times" in output
    ended = project / "reports" / "killed" / "own.pausing-mlp.ipynb"
    assert result(ended) == result(undisturbed[0] / "own.pausing-mlp.ipynb")


def test_one_run_that_fails_does_not_keep_the_next_from_its_turn(project):
    arguments = ("--study", "broken", "--strategy", "own:broken", "own:torn", "-f", "params/tiny.yaml")
    code, output = call(project, "run", *arguments)
    assert code == 3
    assert "own.broken-mlp: failed: ArithmeticError: broken on purpose" in output
    assert "own.torn-mlp: failed: ArithmeticError: broken on purpose" in output
    names = sorted(path.name for path in (project / "reports" / "broken").glob("*.ipynb"))
    assert names == ["own.broken-mlp.part.ipynb", "own.torn-mlp.part.ipynb"]


def test_a_second_process_is_told_of_the_first(project):
    arguments, first = start_and_pause(project, "twice")
    try:
        code, output = call(project, *arguments, "--wait", "0")
        assert code == 4
        assert f"process {first.pid} on" in output and "is writing it" in output
    finally:
        first.terminate()
        first.communicate()


@pytest.fixture
def planned(tmp_path):
    """One run of the quick study with these settings."""
    return lambda **settings: plan_study("quick", ["none"], settings=list(settings.items()), reports=tmp_path)[0]


def test_a_kernel_that_keeps_dying_is_given_up(planned, monkeypatch):
    deaths = []
    monkeypatch.setattr(run, "execute_notebook", lambda *arguments: deaths.append(arguments) or 1)
    with pytest.raises(run.RunFailed, match="died 3 times.*out of memory.*--chunks"):
        run.execute_until_complete(planned(), StopRequest())
    assert len(deaths) == 3


def test_a_disk_that_fills_up_meanwhile_is_said(planned, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "execute_notebook", lambda *arguments: 1)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=0))
    with pytest.raises(PreflightError, match="0 MiB free"):
        run.execute_until_complete(planned(), StopRequest())


def test_papermill_s_exit_code_alone_does_not_make_a_run_complete(tmp_path):
    assert "no record" in run.failure_reason(write_notebook(tmp_path / "a.ipynb", records=0), 0)
    assert "exit code 1" in run.failure_reason(write_notebook(tmp_path / "b.ipynb"), 1)
    assert run.failure_reason(write_notebook(tmp_path / "c.ipynb"), 0) is None


@pytest.mark.parametrize("leg", [0, 1])
def test_a_run_without_resume_discards_its_checkpoints_once(planned, monkeypatch, leg):
    """After the death of a kernel, and in the second leg of a Slurm job, it keeps them."""
    one, calls, reasons = planned(resume="no"), [], iter(["no record", None])
    monkeypatch.setenv("SLURM_RESTART_COUNT", str(leg))
    monkeypatch.setattr(run, "discard", lambda params: calls.append(params))
    monkeypatch.setattr(
        run, "execute_notebook", lambda notebook, part, arguments, folder, stop: calls.append(arguments[-3:]) or 0
    )
    monkeypatch.setattr(run, "failure_reason", lambda part, code: next(reasons))
    monkeypatch.setattr(run, "check_run", lambda params, folder: None)
    run.execute_until_complete(one, StopRequest())
    assert calls == [one.params] * (leg == 0) + [["-p", "resume", "True"]] * 2


@pytest.mark.parametrize(
    "resume, how", [("yes", "the same command resumes"), ("no", "resume from it with -p resume yes")]
)
def test_a_stopped_run_says_how_to_go_on(planned, monkeypatch, resume, how):
    for name, value in {
        "discard": None,
        "execute_notebook": 0,
        "failure_reason": "failed: Interrupted: by hand",
    }.items():
        monkeypatch.setattr(run, name, lambda *given, value=value: value)
    with pytest.raises(run.RunStopped, match=how):
        run.execute_until_complete(planned(resume=resume), StopRequest())
