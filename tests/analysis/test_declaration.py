"""The declaration of a comparison, checked in small git repositories."""

import subprocess

import pytest

from anm.analysis.declaration import PAGE, check_declaration, declaration_sentences, declared_files

FILES = ["docs/preregistration.md", "params/plan.yaml"]


def git(root, *arguments, date="2026-01-01T12:00:00Z") -> str:
    who = {f"GIT_{role}_{part}": "a@b" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
    times = {
        "GIT_AUTHOR_DATE": date,
        "GIT_COMMITTER_DATE": date,
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "PATH": "/usr/bin:/bin",
    }
    done = subprocess.run(["git", "-C", root, *arguments], env=who | times, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit(root, name: str, text: str, date: str) -> str:
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_text(text)
    git(root, "add", "-A")
    git(root, "commit", "-m", name, date=date)
    return git(root, "rev-parse", "HEAD")


def run(commit: str | None, started: str) -> dict:
    return {"provenance": {"git_commit": commit, "started": started}}


@pytest.fixture
def root(tmp_path):
    """A repository whose second commit declares, and whose third one is code."""
    git(tmp_path, "init", "-q")
    commit(tmp_path, "code.py", "1", "2026-01-01T10:00:00Z")
    commit(tmp_path, FILES[0], "what", "2026-01-02T10:00:00Z")
    commit(tmp_path, FILES[1], "how", "2026-01-03T10:00:00Z")
    commit(tmp_path, "code.py", "2", "2026-01-04T10:00:00Z")
    return tmp_path


def test_runs_after_the_last_declared_file_are_in_order(root):
    head = git(root, "rev-parse", "HEAD")
    found = check_declaration(FILES, {"a": run(head, "2026-01-05T00:00:00Z")}, root=root)
    assert found.holds and found.commit == git(root, "rev-parse", "HEAD~1")
    said = declaration_sentences(found)
    assert said[0] == f"The comparison was declared in commit {found.commit[:12]} on 2026-01-03 10:00 UTC."
    assert "Its files have not changed since." in said and said[-1].startswith("Every run started after it")


def test_a_change_is_named_whether_committed_or_not(root):
    head = git(root, "rev-parse", "HEAD")
    runs = {"a": run(head, "2026-01-05T00:00:00Z")}
    (root / FILES[0]).write_text("what else")
    assert check_declaration(FILES, runs, root=root).changed == (FILES[0],)
    commit(root, FILES[0], "what else", "2026-01-06T00:00:00Z")
    found = check_declaration(FILES, runs, root=root)
    assert found.changed == (FILES[0],) and not found.holds
    assert f"Changed since: {FILES[0]}." in declaration_sentences(found)


def test_a_copy_beside_the_results_must_be_the_same(root, tmp_path):
    copy = root / "comparison.yaml"
    for text, changed in (("how", ()), ("another", ("comparison.yaml",))):
        copy.write_text(text)
        assert check_declaration(FILES, {}, {FILES[1]: copy}, root).changed == changed


def test_early_unrelated_and_unknown_runs_are_named(root):
    old, head = git(root, "rev-parse", "HEAD~3"), git(root, "rev-parse", "HEAD")
    runs = {
        "early": run(head, "2026-01-02T00:00:00Z"),
        "old": run(old, "2026-01-05T00:00:00Z"),
        "gone": run("0" * 40, "2026-01-05T00:00:00Z"),
        "none": run(None, "2026-01-05T00:00:00Z"),
    }
    found = check_declaration(FILES, runs, root=root)
    assert (found.early, found.unrelated, found.unknown) == (("early",), ("old",), ("gone", "none"))
    said = " ".join(declaration_sentences(found))
    assert "started before it: early." in said and "not include it: old." in said and "repository: gone, none." in said


def test_without_git_nothing_is_known(tmp_path):
    found = check_declaration(FILES, {"a": run(None, "2026-01-05T00:00:00Z")}, root=tmp_path)
    assert not found.holds and found.commit is None
    assert declaration_sentences(found) == [
        "It is unknown which commit declared this comparison: git does not know its files here."
    ]


def test_a_comparison_is_declared_by_its_own_page_if_it_has_one(tmp_path):
    for name in ("docs/preregistration-second.md", "params/comparisons/first.tuning.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    own = ["docs/preregistration-second.md", "params/comparisons/second.yaml"]
    assert declared_files("second", tmp_path) == own
    assert declared_files("first", tmp_path) == [PAGE] + [
        f"params/comparisons/first.{end}" for end in ("yaml", "tuning.csv")
    ]
