"""The provenance of a run, checked in a small repository made for these tests."""

import subprocess
from datetime import UTC, datetime, timedelta, timezone

import pytest
from records import make_record

from anm.records import provenance
from anm.records.provenance import run_provenance
from anm.records.schema import check_record
from anm.utils import git as git_module
from anm.utils.git import git_state


def git(folder, *arguments):
    name = ["-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(
        ["git", *name, "-C", folder, *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A committed package folder in a repository of its own."""
    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "anm"
    folder.mkdir()
    (folder / "code.py").write_text("1")
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "summary.html").write_text("old")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    return folder


def test_provenance_has_the_entries_of_a_record():
    record = make_record()
    started = datetime.now(UTC) - timedelta(seconds=90)
    record["provenance"] = block = run_provenance("cpu", started, train_seconds=60.0, resumed=2)
    check_record(record)
    assert set(block) == set(make_record()["provenance"])
    assert 90 <= block["seconds"] <= (datetime.now(UTC) - started).total_seconds()
    assert block["train_seconds"] == 60.0 and block["resumed"] == 2
    assert block["device"] == "cpu" and block["machine"]["gpu"] is None and block["evaluate_seconds"] is None
    assert block["machine"]["cores"] >= 1 and block["machine"]["cpu"] and 10 < block["peak_memory_mib"] < 1e6


def test_the_start_is_given_in_utc():
    local = datetime(2025, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=2)))
    assert run_provenance("cpu", local)["started"] == "2025-01-02T01:04:05Z"


def test_the_given_code_state_is_recorded_in_place_of_the_current_one():
    assert [
        run_provenance("cpu", datetime.now(UTC), code)["git_commit"] for code in (("abc", False), (None, None))
    ] == ["abc", None]


def test_an_unknown_git_status_is_none_and_not_clean(package, monkeypatch):
    real, head = git_module.run_git, git(package, "rev-parse", "HEAD")
    monkeypatch.setattr(
        git_module, "run_git", lambda folder, *command: None if command[0] == "status" else real(folder, *command)
    )
    assert git_state(package) == (head, None)


def test_a_clean_checkout_gives_its_commit(package):
    assert git_state(package) == (git(package, "rev-parse", "HEAD"), False)


@pytest.mark.parametrize(
    "change, dirty", [("anm/code.py", True), ("anm/new.py", True), ("setup.py", False), ("reports/summary.html", False)]
)
def test_dirty_means_that_code_differs(package, change, dirty):
    (package.parent / change).write_text("changed")
    assert git_state(package)[1] is dirty


def test_a_hook_s_environment_does_not_name_another_repository(package, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    assert git_state(package)[0] is not None


def test_an_installed_copy_inside_another_project_is_not_that_project(package):
    site = package.parent / "env" / "site-packages" / "anm"
    site.mkdir(parents=True)
    (site / "code.py").write_text("1")
    assert git_state(site) == (None, None)


def test_without_git_the_commit_is_none(package, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert git_state(package) == (None, None)


def test_the_version_of_an_absent_package_is_unknown():
    assert provenance.version("no-such-distribution") == "unknown"
    assert provenance.version("pytest") == pytest.__version__
