"""Can this machine do the run? Asked in seconds, before anything is queued or trained."""

import importlib.util
import os
import shutil
import sys
from pathlib import Path

import torch

from anm.checkpoint import KEPT
from anm.miners import unused
from anm.params import ParamError, RunParams, check_writable, chosen, nearest
from anm.provenance import PACKAGE, git_state, run_git

NEEDED = (
    "papermill",
    "nbclient",
    "nbformat",
    "ipykernel",
    "jupyter_client",
    "scipy",
    "pandas",
    "statsmodels",
    "matplotlib",
    "sklearn",
)
NOTEBOOK_BYTES = 20 * 2**20  # an executed notebook with its figures, twice, generously
ARRAYS = 4  # that a checkpoint holds for each weight: itself, its average, Adam's two moments


class Unfit(RuntimeError):
    """This machine cannot do the run; the message says what is missing and the cure, one line each."""


def preflight(params: RunParams, reports: Path) -> None:
    """Check that a run with these parameters can be done here, its notebook going to the folder `reports`.

    Raises `Unfit` naming everything that is missing, each with its cure.
    """
    found = [check_packages(), check_notebook(), check_gpu(params), *check_folders(params, reports)]
    problems = [problem for problem in found if problem]
    if problems:
        raise Unfit("\n".join(problems))


def describe_code(package: Path = PACKAGE) -> str:
    """The commit that is about to run; where files differ from it, which."""
    commit, dirty = git_state(package)
    if commit is None:
        return "code: not under version control; the record cannot say which code ran"
    if dirty is None:
        return (
            f"code: commit {commit[:12]}; git does not say whether files differ from it, and so neither will the record"
        )
    if not dirty:
        return f"code: commit {commit[:12]}, nothing uncommitted"
    changed = run_git(package, "status", "--porcelain", "--", ":/", ":(top,exclude)reports") or ""
    files = ", ".join(line.split(maxsplit=1)[1] for line in changed.splitlines()[:5]) + (
        ", ..." if changed.count("\n") > 4 else ""
    )
    return f"code: commit {commit[:12]} with changes that are NOT COMMITTED ({files}); the record will say so: commit first"


def check_packages() -> str | None:
    absent = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if absent:
        return f"environment: {sys.executable} lacks {', '.join(absent)}; run `make setup`, or pip install -c constraints.txt -e ."
    return None


def check_notebook() -> str | None:
    notebook = PACKAGE.parent / "notebooks" / "train.ipynb"
    if not notebook.is_file():
        return f"{notebook}: no such file; runs start from a clone of the project, installed with pip install -e ."
    return None


def check_gpu(params: RunParams) -> str | None:
    """A GPU that Slurm has given to this job must be one that torch can use, unless the run asks for another device."""
    given = os.environ.get("SLURM_JOB_GPUS")
    if params.device != "auto" or not given or torch.cuda.is_available():
        return None
    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "no CUDA"
    return (
        f"device = 'auto': Slurm gave this job a GPU ({given}), but torch {torch.__version__} (built for {build}) sees none; "
        "install a torch that fits the node's driver (nvidia-smi names its CUDA), "
        "or run on CPUs: sbatch --gres=none slurm/papermill.sbatch ..., or -p device cpu"
    )


def check_folders(params: RunParams, reports: Path) -> list[str]:
    """Device, precision and folders that can be written to, with room for checkpoints and notebook."""
    problems = []
    for check in (params.check_machine, lambda: check_writable("reports", str(reports))):
        try:
            check()
        except ParamError as error:
            problems.append(str(error))
    needs = {Path(params.checkpoint_dir): checkpoint_bytes(params) * (KEPT + 1), reports: NOTEBOOK_BYTES}
    for folder, needed in needs.items():
        free = shutil.disk_usage(nearest(folder)).free
        if free < needed:
            problems.append(
                f"{folder}: {free / 2**20:.0f} MiB free, and the run needs about {needed / 2**20:.0f} MiB there; "
                "delete what is old, or give another folder (-p checkpoint_dir ..., --reports ...)"
            )
    return problems


def checkpoint_bytes(params: RunParams) -> int:
    """About what one checkpoint of this run weighs."""
    with torch.device("meta"):
        energy = chosen("energy", params.energy)(params.n, params.noise_levels, len(params.seed_list))
    kept = (
        params.replay_size * params.n**2 * len(params.seed_list) if "replay_size" not in unused(params.strategy) else 0
    )
    return 4 * (ARRAYS * sum(weight.numel() for weight in energy.parameters()) + kept) + 2**20
