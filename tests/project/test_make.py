"""The Makefile: what each target would do, and what it never does."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import missing

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def make(tmp_path):
    """Runs make in a folder that holds the Makefile and an environment that counts as ready; gives code and output."""
    if shutil.which("make") is None:
        missing("no make on this machine: apt install make")
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / ".anm-ready").touch()

    def call(*arguments):
        plain = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
        done = subprocess.run(["make", *arguments], cwd=tmp_path, env=plain, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    return call


def test_make_alone_lists_what_there_is(make):
    code, output = make()
    assert code == 0
    listed = {line.split()[1] for line in output.splitlines()}
    assert {"report", "test", "lab", "clean", "preflight", "setup"} <= listed


def test_report_runs_the_quick_study_and_then_reports(make):
    code, output = make("-n", "report")
    assert code == 0
    run, report = (
        output.index("anm.study run --study quick --strategy none random adversarial"),
        output.index("anm.study report --study quick"),
    )
    assert run < report


def test_the_report_of_another_study_runs_nothing(make):
    code, output = make("-n", "report", "STUDY=full")
    assert code == 0
    assert "anm.study report --study full" in output and "anm.study run" not in output


def test_one_call_on_a_gpu_is_given_its_minutes(make):
    code, output = make("-n", "gpu", "MINUTES=5")
    assert code == 0 and "-m anm.benchmark.gpu --minutes 5" in output


def fake_python(folder, says):
    """A python that answers every call with these lines of shell."""
    python = folder / ".venv" / "bin" / "python"
    python.parent.mkdir()
    python.write_text(f"#!/bin/sh\n{says}\n")
    python.chmod(0o755)


@pytest.mark.parametrize("code", [0, 3])
def test_the_report_is_built_although_a_run_failed(make, tmp_path, code):
    fake_python(tmp_path, f'echo "called: $*"; [ "$3" = report ] || exit {code}')
    ended, output = make("report")
    assert (ended == 0) == (code == 0)
    assert "called: -m anm.study report" in output


def test_an_interrupted_study_is_not_reported(make, tmp_path):
    fake_python(tmp_path, 'echo "called: $*"; exit 75')
    code, output = make("report")
    assert code != 0
    assert "interrupted; make report resumes from here" in output and "study report" not in output


def test_clean_keeps_reports_and_checkpoints_and_says_so(make, tmp_path):
    kept = [tmp_path / "reports" / "quick" / "none-mlp.ipynb", tmp_path / "checkpoints" / "quick" / "step.pt"]
    for path in kept:
        path.parent.mkdir(parents=True)
        path.touch()
    code, output = make("clean")
    assert code == 0
    assert all(path.exists() for path in kept) and not (tmp_path / ".venv").exists()
    assert "kept: reports/" in output and "kept: checkpoints/" in output


def test_an_old_python_is_refused_with_the_cure(make, tmp_path):
    old = tmp_path / "old"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.1"\nexit 1\n')
    old.chmod(0o755)
    (tmp_path / ".venv" / ".anm-ready").unlink()
    code, output = make("setup", f"PYTHON={old}")
    assert code != 0
    assert "anm needs Python 3.11 or newer; this is Python 3.9.1" in output and "make PYTHON=python3.12" in output
