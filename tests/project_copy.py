"""A copy of the project to run studies in, with strategies of the tests' own."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("anm", "notebooks", "params", "slurm", "Makefile", "pyproject.toml", "constraints.txt", ".gitignore")

TINY = """
n: 4
noise_levels: 3
train_steps: 40
batch_size: 8
seeds: 0,1
test_problems: 16
learning_rate: 0.0001
device: cpu
"""

# Strategies as a user would add them: one that takes its time (a wall clock that no machine's speed changes),
# one that fails.
OWN = """
import time

import torch


def slow(mine):
    time.sleep(0.05)
    return torch.zeros_like(mine.x0)


def broken(mine):
    raise ArithmeticError("broken on purpose")


torn = broken
"""


def copy_project(folder: Path) -> Path:
    """A committed copy of the project in `folder`, in which the recorded study is tiny, as are all that use params/tiny.yaml.

    Its users have strategies of their own there: own:slow, own:broken, own:torn.
    """
    for name in PARTS:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(
                source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.log", ".ipynb_checkpoints")
            )
        elif source.exists():
            shutil.copy(source, folder / name)
    for scale in ("tiny", "full"):
        (folder / "params" / f"{scale}.yaml").write_text(TINY)
    (folder / "own.py").write_text(OWN)
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost", "-C", str(folder)]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "a copy"]):
        subprocess.run(git + command, check=True, capture_output=True)
    return folder


def environment() -> dict[str, str]:
    """For child processes: one thread, this python, and nothing of a Slurm that these tests may run under."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "SBATCH_", "GIT_"))}
    return kept | {"OMP_NUM_THREADS": "1", "ANM_PYTHON": sys.executable}


def result(path: Path) -> str:
    """What a finished notebook's record says, wall-clock matters and names of machines aside, to be compared."""
    from anm import record

    content = record.read_run(path)
    incidental = ("device", "checkpoint_dir", "resume")
    params = {name: value for name, value in content["params"].items() if name not in incidental}
    return json.dumps(
        {**{name: content[name] for name in ("results", "curves", "landscape")}, "params": params}, sort_keys=True
    )
