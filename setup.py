"""The build of a wheel: what a study needs beside the code travels inside the package, in anm/data/."""

import subprocess
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

# (folder in the clone, pattern of its files, folder in anm/data/). The notebooks of notebooks/ have no outputs.
DATA = (
    ("notebooks", "*.ipynb", "notebooks"),
    ("params", "**/*.*", "params"),
    ("slurm", "*.*", "slurm"),
    ("slurm", "logs/.gitkeep", "slurm"),
    (".", "constraints.txt", "."),
    ("reports/cpu", "*.pt", "energies"),
    ("reports/cpu", "MODEL_CARD.md", "energies"),
)


class BuildWithData(build_py):
    """Copies the files of `DATA` and the commit; an editable installation uses the clone's own files."""

    def run(self):
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib, "anm", "data")
        for source, pattern, folder in DATA:
            for file in Path(source).glob(pattern):
                copy = target / folder / file.relative_to(source)
                self.mkpath(str(copy.parent))
                self.copy_file(str(file), str(copy))
        if commit := clean_commit():
            (target / "commit").write_text(commit)


def clean_commit() -> str:
    """The commit of the clone; empty where git does not know it, or a tracked file outside reports/ differs from it."""
    git = {"capture_output": True, "text": True, "check": True}
    changes = ["git", "status", "--porcelain", "--untracked-files=no", "--", ":/", ":(top,exclude)reports"]
    try:
        changed = subprocess.run(changes, **git).stdout
        return "" if changed else subprocess.run(["git", "rev-parse", "HEAD"], **git).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


setup(cmdclass={"build_py": BuildWithData})
