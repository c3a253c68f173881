"""Whether a comparison was declared before its runs, and has not changed since, as git tells it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from anm.study.comparison import COMPARISON_FILE
from anm.utils.git import run_git
from anm.utils.locations import PROJECT

PAGE = "docs/preregistration.md"  # of a comparison that has no page docs/preregistration-<name>.md of its own


@dataclass(frozen=True)
class Declaration:
    """When a comparison was declared, and which files and runs disagree with that.

    commit, date: of the commit that added the last of its files; None if unknown. first_run: when the first run
    started; None without runs. changed: files that differ from what was declared. early: runs that started before the
    declaration. unrelated: runs whose code does not include it. unknown: runs whose commit is not in the repository.
    """

    commit: str | None
    date: datetime | None
    files: tuple[str, ...]
    first_run: datetime | None = None
    changed: tuple[str, ...] = ()
    early: tuple[str, ...] = ()
    unrelated: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether it is known that the comparison was declared first and did not change."""
        return self.commit is not None and not (self.changed or self.early or self.unrelated or self.unknown)


def declared_files(name: str, root: Path = PROJECT) -> list[str]:
    """The files that declare the comparison of this name, relative to the project."""
    own, trials = f"docs/preregistration-{name}.md", f"params/comparisons/{name}.tuning.csv"
    page = own if (root / own).is_file() else PAGE
    return [page, f"params/comparisons/{name}.yaml"] + [trials] * (root / trials).is_file()


def check_declaration(
    files: Sequence[str], records: Mapping[str, dict], copies: Mapping[str, Path] | None = None, root: Path = PROJECT
) -> Declaration:
    """What git says of these files, relative to `root`, and of the runs' commits and times.

    copies: file -> its copy beside the results, which must be the same.
    """
    added = {file: added_in(root, file) for file in files}
    commits = [commit for commit in added.values() if commit is not None]
    if len(commits) < len(files):
        return Declaration(None, None, tuple(files))
    dates = {commit: commit_date(root, commit) for commit in commits}
    commit = max(commits, key=dates.get)
    changed = [file for file, first in added.items() if run_git(root, "diff", "--name-only", first, "--", file) != ""]
    changed += [str(copy.name) for file, copy in (copies or {}).items() if not same_text(root / file, copy)]
    started = {run: datetime.fromisoformat(record["provenance"]["started"]) for run, record in records.items()}
    early = [run for run, time in started.items() if time < dates[commit]]
    unrelated, unknown = [], []
    for code, runs in by_commit(records).items():
        if not code or run_git(root, "cat-file", "-e", f"{code}^{{commit}}") is None:
            unknown += runs
        elif run_git(root, "merge-base", "--is-ancestor", commit, code) is None:
            unrelated += runs
    lists = (tuple(sorted(names)) for names in (changed, early, unrelated, unknown))
    return Declaration(commit, dates[commit], tuple(files), min(started.values(), default=None), *lists)


def added_in(root: Path, file: str) -> str | None:
    """The commit that first added a file; None if git does not know."""
    found = run_git(root, "log", "--diff-filter=A", "--follow", "--format=%H", "--", file)
    return found.split()[-1] if found else None


def commit_date(root: Path, commit: str) -> datetime:
    """When a commit was made."""
    return datetime.fromisoformat(run_git(root, "show", "--no-patch", "--format=%cI", commit) or "1970-01-01T00:00:00Z")


def same_text(file: Path, copy: Path) -> bool:
    """Whether both files exist with the same bytes."""
    return file.is_file() and copy.is_file() and file.read_bytes() == copy.read_bytes()


def by_commit(records: Mapping[str, dict]) -> dict[str | None, list[str]]:
    """Commit -> the runs of its code."""
    found: dict[str | None, list[str]] = {}
    for run, record in records.items():
        found.setdefault(record["provenance"]["git_commit"], []).append(run)
    return found


def copies_of(name: str, folder: Path) -> dict[str, Path]:
    """Declared file -> its copy beside the results."""
    pairs = zip(declared_files(name)[1:], (COMPARISON_FILE, "comparison.tuning.csv"))
    return {file: folder / copy for file, copy in pairs}


def declaration_sentences(found: Declaration) -> list[str]:
    """The declaration in plain sentences."""
    if found.commit is None:
        return ["It is unknown which commit declared this comparison: git does not know its files here."]
    said = [f"The comparison was declared in commit {found.commit[:12]} on {minute(found.date)}."]
    if found.first_run:
        said.append(f"The first run started on {minute(found.first_run)}.")
    files = named(found.changed)
    said.append(f"Changed since: {files}." if files else "Its files have not changed since.")
    if found.early:
        said.append(f"Runs that started before it: {named(found.early)}.")
    if found.unrelated:
        said.append(f"Runs whose code does not include it: {named(found.unrelated)}.")
    if found.unknown:
        said.append(f"Runs whose commit is not in this repository: {named(found.unknown)}.")
    if found.first_run and not (found.early or found.unrelated or found.unknown):
        said.append("Every run started after it, with code that includes it.")
    return said


def named(names: Iterable[str], most: int = 5) -> str:
    """The first names, and how many more there are."""
    names = list(names)
    more = [f"and {len(names) - most} more"] if len(names) > most else []
    return ", ".join(names[:most] + more)


def minute(time: datetime) -> str:
    """A time to the minute, in UTC."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
