"""A copy of the project to run studies in, with strategies of the tests' own."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from anm.records.read import read_run

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

# Strategies as a user would add them. Some pause at a step that a test chose, until something happens to them, so that
# no test depends on the speed of a machine. The others fail.
OWN = """
import signal
import time
from pathlib import Path

import torch

from anm.registry import resolve


def pausing(context):
    step = context.state["count"] = context.state.get("count", torch.zeros((), dtype=torch.int64)) + 1
    name = context.params.strategy.replace(":", ".")
    pause(Path(context.params.checkpoint_dir) / f"{name}-pauses-at-{int(step)}")
    return resolve("strategy", "adversarial")(context)


def pause(place):
    if not place.exists():
        return
    told, before = [], signal.getsignal(signal.SIGUSR2)
    signal.signal(signal.SIGUSR2, lambda number, frame: (told.append(number), before(number, frame)))
    place.rename(f"{place}.reached")
    while not told:
        time.sleep(0.01)
    signal.signal(signal.SIGUSR2, before)


undisturbed = signalled = requeued = killed = limited = pausing


def broken(context):
    raise ArithmeticError("broken on purpose")


torn = broken
"""


def copy_project(folder: Path, figures: bool = True) -> Path:
    """A committed copy of the project in `folder`; its recorded study is tiny, as are all that use params/tiny.yaml.

    Its users have strategies of their own there: own:pausing by several names, own:broken, own:torn.
    Without figures, its notebook draws none, which halves the time of a run.
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
    if not figures:
        remove_figures(folder / "notebooks" / "train.ipynb")
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost", "-C", str(folder)]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "a copy"]):
        subprocess.run(git + command, check=True, capture_output=True)
    return folder


def remove_figures(path: Path) -> None:
    """Takes the lines that draw out of the code of a notebook."""
    notebook = json.loads(path.read_text())
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            lines = [line.replace(", watch=run_figures.LiveCurve()", "") for line in cell["source"]]
            cell["source"] = [line for line in lines if "run_figures" not in line and "run_words" not in line]
    assert "run_figures" not in (text := json.dumps(notebook)) and "anm.evaluate" in text
    path.write_text(text)


def pause_at(project: Path, study: str, strategy: str, step: int) -> Path:
    """Makes a run of a pausing strategy pause at a step, once. The path of a file that is there when it has paused.

    The run goes on when a signal asks it to stop, or resumes in another process.
    """
    place = project / "checkpoints" / study / f"{strategy.replace(':', '.')}-pauses-at-{step}"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.touch()
    return place.with_name(f"{place.name}.reached")


def environment() -> dict[str, str]:
    """For child processes: one thread, this python, the copy's own anm, nothing of a Slurm around these tests."""
    foreign = ("SLURM_", "SBATCH_", "GIT_", "PYTHONPATH")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return kept | {"OMP_NUM_THREADS": "1", "ANM_PYTHON": sys.executable}


def result(path: Path, *aside: str) -> str:
    """The record of a finished notebook, without measured times, names of machines and the parameters `aside`."""
    content = read_run(path)
    incidental = ("device", "checkpoint_dir", "resume", *aside)
    params = {name: value for name, value in content["params"].items() if name not in incidental}
    return json.dumps(
        {**{name: content[name] for name in ("results", "curves", "landscape")}, "params": params}, sort_keys=True
    )
