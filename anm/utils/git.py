"""The git commit of the running code, and whether its files differ from it."""

import os
import subprocess
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


def git_state(package: Path = PACKAGE) -> tuple[str | None, bool | None]:
    """The commit of the repository that tracks the package, and whether its code differs.

    The code differs if a tracked file outside reports/ is changed, or if the package holds an untracked file.
    A value that git does not give is None. If no repository tracks the package, the commit is the one that its wheel
    was built from, without changes; both are None where the wheel does not know it.
    """
    if not run_git(package, "ls-files", "--", "."):
        built_from = package / "data" / "commit"
        return (built_from.read_text(), False) if built_from.is_file() else (None, None)
    changed = run_git(package, "status", "--porcelain", "--untracked-files=no", "--", ":/", ":(top,exclude)reports")
    untracked = run_git(package, "ls-files", "--others", "--exclude-standard", "--", ".")
    dirty = None if changed is None or untracked is None else bool(changed or untracked)
    return run_git(package, "rev-parse", "--verify", "HEAD") or None, dirty


def run_git(folder: Path, *arguments: str) -> str | None:
    """The output of a git command; None if git is absent or fails."""
    # Inside a git hook, GIT_DIR and similar variables name the hook's repository instead of the folder's.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "--no-optional-locks", "-C", str(folder), *arguments]
    options = {"env": environment, "capture_output": True, "text": True, "errors": "replace", "timeout": 30}
    try:
        result = subprocess.run(command, **options)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() if result.returncode == 0 else None
