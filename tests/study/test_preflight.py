"""Each problem that prevents a run is reported with the way to fix it."""

import subprocess
from pathlib import Path

import pytest
import torch

from anm.params import RunParams
from anm.study import preflight
from anm.study.preflight import PreflightError, check_run, checkpoint_bytes, describe_code


@pytest.fixture(autouse=True)
def no_slurm(monkeypatch):
    monkeypatch.delenv("SLURM_JOB_GPUS", raising=False)


@pytest.fixture
def params(tmp_path):
    return RunParams(n=4, checkpoint_dir=str(tmp_path / "checkpoints"), device="cpu")


def refusal(params, folder) -> str:
    with pytest.raises(PreflightError) as error:
        check_run(params, folder)
    return str(error.value)


def test_a_suitable_machine_passes_without_output(params, tmp_path, capsys):
    check_run(params, tmp_path / "reports")
    assert capsys.readouterr().out == ""


def test_a_missing_package_is_named(params, tmp_path, monkeypatch):
    monkeypatch.setattr(preflight, "PACKAGES", ("papermill", "no_such_package"))
    assert "lacks no_such_package; run `make setup`" in refusal(params, tmp_path)


def test_a_missing_notebook_is_named(params, tmp_path, monkeypatch):
    monkeypatch.setattr(preflight, "FILES", tmp_path)
    assert "train.ipynb: no such file" in refusal(params, tmp_path)


def test_a_gpu_that_slurm_gave_must_be_visible(params, tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_GPUS", "3")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    auto = RunParams(**params.resolved() | {"device": "auto"})
    message = refusal(auto, tmp_path)
    assert "gave this job a GPU (3)" in message and "--gres=none" in message and "nvidia-smi" in message
    check_run(params, tmp_path)  # who asks for the CPU gets it
    monkeypatch.delenv("SLURM_JOB_GPUS")
    check_run(auto, tmp_path)


def test_a_device_that_is_absent_is_refused(params, tmp_path):
    assert "device = 'cuda:77'" in refusal(RunParams(**params.resolved() | {"device": "cuda:77"}), tmp_path)


@pytest.mark.parametrize("which", ["reports", "checkpoint_dir"])
def test_a_folder_that_cannot_be_written_to_is_named(params, tmp_path, which):
    (tmp_path / "file").write_text("")
    blocked = tmp_path / "file" / "folder"
    folder = blocked if which == "reports" else tmp_path
    if which == "checkpoint_dir":
        params = RunParams(**params.resolved() | {"checkpoint_dir": str(blocked)})
    message = refusal(params, folder)
    assert f"{which} = '{blocked}'" in message and "written to" in message


def test_a_full_disk_is_refused_with_what_is_free_and_needed(params, tmp_path, monkeypatch):
    usage = preflight.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda path: usage._replace(free=3 * 2**20))
    message = refusal(params, tmp_path / "reports")
    assert "3 MiB free, and the run needs about 20 MiB" in message and "checkpoint_dir" in message


def test_all_problems_are_reported_at_once(params, tmp_path, monkeypatch):
    monkeypatch.setattr(preflight, "PACKAGES", ("no_such_package",))
    (tmp_path / "file").write_text("")
    assert len(refusal(params, tmp_path / "file" / "folder").splitlines()) == 2


def test_an_unknown_git_status_is_reported(monkeypatch):
    monkeypatch.setattr("anm.study.preflight.git_state", lambda package: ("abc", None))
    assert "git does not say whether files differ" in describe_code()


@pytest.mark.parametrize("settings", [{}, {"width": 256, "train_steps": 4, "budget_points": "0.25,0.5,0.75,1"}])
def test_the_estimated_checkpoint_size_is_near_the_real_one(settings, params, tmp_path):
    from anm.training.loop import train

    params = RunParams(**params.resolved() | {"train_steps": 1, "batch_size": 2} | settings)
    train(params, log=lambda line: None)
    (file,) = Path(params.checkpoint_dir).rglob("step-*.pt")
    assert file.stat().st_size < checkpoint_bytes(params) < 1.5 * file.stat().st_size


def git(folder, *arguments):
    subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@localhost", "-C", str(folder), *arguments],
        check=True,
        capture_output=True,
    )


def test_uncommitted_files_are_reported(tmp_path):
    package = tmp_path / "anm"
    package.mkdir()
    (package / "code.py").write_text("1")
    assert "not under version control" in describe_code(package)
    git(tmp_path, "init")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-m", "first")
    assert describe_code(package).endswith("nothing uncommitted")
    (package / "code.py").write_text("2")
    assert "NOT COMMITTED (anm/code.py)" in describe_code(package)
