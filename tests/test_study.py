"""A study from the command line: the real notebook through papermill, at a tiny scale."""

import os
import shutil
import signal
import subprocess
import sys

import psutil
import pytest
from project_copy import copy_project, environment, result
from records import make_record, write_notebook

from anm import study
from anm.execution import StopRequest
from anm.params import ParamError
from anm.plan import ROOT, STRATEGIES, plan
from anm.record import read_run


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return copy_project(tmp_path_factory.mktemp("project"))


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


def start_and_train(project, name):
    """A study of one slow run, its arguments, and the process once it is in its training loop."""
    arguments = ("run", "--study", name, "--strategy", "own:slow", "-f", "params/tiny.yaml")
    process = start(project, *arguments)
    seen = ""
    while "/40 " not in seen:
        line = process.stdout.readline()
        assert line, f"ended before its first step: {seen}"
        seen += line
    return arguments, process


@pytest.fixture(scope="module")
def undisturbed(project):
    """The folder of a study of one slow run that nothing disturbed, and what was printed."""
    code, output = call(project, "run", "--study", "tiny", "--strategy", "own:slow")
    assert code == 0, output
    return project / "reports" / "tiny", output


def test_a_run_ends_as_one_complete_notebook(undisturbed):
    folder, output = undisturbed
    assert [path.name for path in folder.glob("*.ipynb")] == ["own.slow-mlp.ipynb"]
    record = read_run(folder / "own.slow-mlp.ipynb")
    assert record["params"]["strategy"] == "own:slow" and record["params"]["train_steps"] == 40
    assert record["provenance"]["git_dirty"] is False and record["provenance"]["resumed"] == 0
    assert "code: commit" in output and "step 40/40" in output and "finished after" in output


def test_a_finished_run_is_not_run_again(project, undisturbed):
    path = undisturbed[0] / "own.slow-mlp.ipynb"
    before = path.stat().st_mtime_ns
    code, output = call(project, "run", "--study", "tiny", "--strategy", "own:slow")
    assert code == 0
    assert "finished already" in output and "papermill" not in output
    assert path.stat().st_mtime_ns == before


def test_a_run_stopped_by_a_signal_resumes_to_the_same_result(project, undisturbed):
    arguments, process = start_and_train(project, "stopped")
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate()
    assert process.returncode == 75, output
    assert "stopped by SIGINT" in output
    folder = project / "reports" / "stopped"
    assert [path.name for path in folder.glob("*.ipynb")] == ["own.slow-mlp.part.ipynb"]
    code, output = call(project, *arguments)
    assert code == 0, output
    assert read_run(folder / "own.slow-mlp.ipynb")["provenance"]["resumed"] == 1
    assert result(folder / "own.slow-mlp.ipynb") == result(undisturbed[0] / "own.slow-mlp.ipynb")
    assert not list(folder.glob("*.part.ipynb"))


def test_a_kernel_that_is_killed_is_started_again(project, undisturbed):
    _, process = start_and_train(project, "killed")
    for child in process.children(recursive=True):
        if "ipykernel" in " ".join(child.cmdline()):
            child.kill()
    output, _ = process.communicate()
    assert process.returncode == 0, output
    assert "the kernel died, 1 of 3 times" in output
    assert result(project / "reports" / "killed" / "own.slow-mlp.ipynb") == result(
        undisturbed[0] / "own.slow-mlp.ipynb"
    )


def test_one_run_that_fails_does_not_keep_the_next_from_its_turn(project):
    code, output = call(
        project, "run", "--study", "broken", "--strategy", "own:broken", "own:torn", "-f", "params/tiny.yaml"
    )
    assert code == 3
    assert "own.broken-mlp: failed: ArithmeticError: broken on purpose" in output
    assert "own.torn-mlp: failed: ArithmeticError: broken on purpose" in output
    names = sorted(path.name for path in (project / "reports" / "broken").glob("*.ipynb"))
    assert names == ["own.broken-mlp.part.ipynb", "own.torn-mlp.part.ipynb"]


def test_a_second_process_is_told_of_the_first(project):
    arguments = (
        "run",
        "--study",
        "twice",
        "--strategy",
        "own:slow",
        "-f",
        "params/tiny.yaml",
        "-p",
        "train_steps",
        "100000",
    )
    first = start(project, *arguments)
    try:
        while "papermill" not in (line := first.stdout.readline()):
            assert line
        code, output = call(project, *arguments, "--wait", "0")
        assert code == 4
        assert f"process {first.pid} on" in output and "is at work on it" in output
    finally:
        first.terminate()
        first.communicate()


BAD = {
    "parameter": (["-p", "stategy", "random"], "there is no such parameter. Did you mean 'strategy'?"),
    "value": (["-p", "learning_rate", "fast"], "learning_rate = 'fast'"),
    "study": (["--study", "absent"], "there is no params/absent.yaml"),
    "file": (["-f", "absent.yaml"], "absent.yaml: cannot be read"),
    "device": (["-p", "device", "cuda:77"], "device = 'cuda:77'"),
    "array": (
        ["--cell", "0", "--of", "2"],
        "this study has 3 runs (none-mlp, random-mlp, adversarial-mlp); submit it with --array=0-2",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_ends_before_any_work(tmp_path, capsys, case):
    arguments, message = BAD[case]
    assert study.main(["run", "--reports", str(tmp_path), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.ipynb"))


def test_a_cell_of_the_array_is_one_run():
    runs = plan("full", chunks=2)
    assert [study.pick(runs, cell, 6) for cell in range(6)] == [[run] for run in runs]
    assert study.pick(runs, None, None) == runs
    with pytest.raises(ParamError):
        study.pick(runs, 6, 6)


def test_a_kernel_that_keeps_dying_is_given_up(tmp_path, monkeypatch, capsys):
    (run,) = plan("quick", ["none"], reports=tmp_path)
    deaths = []
    monkeypatch.setattr(study, "execute", lambda *arguments: deaths.append(arguments) or 1)
    with pytest.raises(study.RunFailed, match="died 3 times.*out of memory.*--chunks"):
        study.train(run, StopRequest())
    assert len(deaths) == 3


def test_a_disk_that_fills_up_meanwhile_is_said(tmp_path, monkeypatch):
    (run,) = plan("quick", ["none"], reports=tmp_path)
    monkeypatch.setattr(study, "execute", lambda *arguments: 1)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=0))
    with pytest.raises(study.Unfit, match="0 MiB free"):
        study.train(run, StopRequest())


def test_papermill_s_exit_code_alone_does_not_make_a_run_complete(tmp_path):
    assert "no record" in study.shortcoming(write_notebook(tmp_path / "a.ipynb", records=0), 0)
    assert "exit code 1" in study.shortcoming(write_notebook(tmp_path / "b.ipynb"), 1)
    assert study.shortcoming(write_notebook(tmp_path / "c.ipynb"), 0) is None


@pytest.mark.parametrize("leg", [0, 1])
def test_a_run_that_begins_anew_discards_its_checkpoints_once(monkeypatch, tmp_path, leg):
    """Neither a kernel that died nor a second leg of a Slurm job begins anew."""
    (run,) = plan("quick", ["none"], settings=[("resume", "no")], reports=tmp_path)
    calls, reasons = [], iter(["no record", None])
    monkeypatch.setenv("SLURM_RESTART_COUNT", str(leg))
    monkeypatch.setattr(study, "discard", lambda params: calls.append(params))
    monkeypatch.setattr(
        study, "execute", lambda notebook, part, arguments, folder, stop: calls.append(arguments[-3:]) or 0
    )
    monkeypatch.setattr(study, "shortcoming", lambda part, code: next(reasons))
    monkeypatch.setattr(study, "preflight", lambda params, folder: None)
    study.train(run, StopRequest())
    assert calls == [run.params] * (leg == 0) + [["-p", "resume", "True"]] * 2


@pytest.mark.parametrize(
    "resume, how", [("yes", "the same command goes on"), ("no", "go on from it with -p resume yes")]
)
def test_whoever_is_stopped_is_told_how_to_go_on(monkeypatch, tmp_path, resume, how):
    (run,) = plan("quick", ["none"], settings=[("resume", resume)], reports=tmp_path)
    for name, value in {"discard": None, "execute": 0, "shortcoming": "failed: Interrupted: by hand"}.items():
        monkeypatch.setattr(study, name, lambda *given, value=value: value)
    with pytest.raises(study.Stopped, match=how):
        study.train(run, StopRequest())


def test_a_preflight_leaves_nothing_behind(tmp_path, capsys):
    assert (
        study.main(
            [
                "preflight",
                "--study",
                "quick",
                "--reports",
                str(tmp_path / "reports"),
                "-p",
                "checkpoint_dir",
                str(tmp_path / "checkpoints"),
            ]
        )
        == 0
    )
    assert list(tmp_path.iterdir()) == [] and "ready" in capsys.readouterr().out


def test_the_report_of_a_sweep_is_about_its_strategies(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(
        study, "report", lambda reports, name, planned, strategies: asked.append((name, strategies)) or 0
    )
    (tmp_path / "small.yaml").write_text("grid: {candidates: [2, 4]}\nstrategies: [hardest_of_k]\n")
    assert study.main(["report", "--grid", str(tmp_path / "small.yaml"), "--reports", str(tmp_path)]) == 0
    assert asked == [("small", ("none", "hardest_of_k"))]


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path, capsys):
    (tmp_path / "reports").write_text("no folder")
    assert (
        study.main(
            ["run", "--grid", str(ROOT / "params" / "sweeps" / "mining.yaml"), "--reports", str(tmp_path / "reports")]
        )
        == 2
    )
    assert str(tmp_path / "reports") in capsys.readouterr().err


def test_a_strategy_beside_the_caller_is_found_by_the_kernel_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    assert study.main(["preflight", "--study", "no such study"]) == 2
    assert os.environ["PYTHONPATH"] == f"elsewhere{os.pathsep}{tmp_path}"


@pytest.fixture
def built(monkeypatch):
    """Where the report was asked for: (folder, output, strategies)."""
    import anm.report

    calls = []
    monkeypatch.setattr(
        anm.report, "build_report", lambda folder, output, plan: calls.append((folder, output, tuple(plan))) or output
    )
    monkeypatch.setattr(anm.report, "gather", lambda folder, plan: folder)
    monkeypatch.setattr(anm.report, "verdict", lambda findings: "the verdict")
    return calls


@pytest.mark.parametrize(
    "name, output", [("full", "summary.html"), ("cpu", "summary.html"), ("quick", "quick/summary.html")]
)
def test_the_report_goes_to_its_place(tmp_path, capsys, built, name, output):
    (run, *_) = plan(name, reports=tmp_path)
    write_notebook(
        run.path,
        make_record(
            "none",
            run.params.seed_list,
            **{k: v for k, v in run.params.resolved().items() if k not in ("strategy", "seeds", "energy")},
        ),
    )
    assert study.main(["report", "--study", name, "--reports", str(tmp_path)]) == 0
    assert built == [(tmp_path / name, tmp_path / output, STRATEGIES)]
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "anm: runs that the report lacks: random-mlp, adversarial-mlp"
    assert printed[1:] == ["the verdict", str(tmp_path / output)]


def test_the_pre_flight_lists_the_runs(tmp_path, capsys):
    assert study.main(["preflight", "--study", "pilot", "--reports", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "3 runs; as a Slurm array: --array=0-2" in printed and printed.endswith("ready\n")
    for strategy in STRATEGIES:
        assert f"{strategy}-mlp, seeds 0-2, 10000 steps" in printed
