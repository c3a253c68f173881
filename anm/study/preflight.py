"""Checks that this machine can do a run. They take seconds and come before anything is queued or trained."""

import importlib.util
import os
import shutil
import sys
from pathlib import Path

import torch

from anm.energies import build_energy
from anm.params import ParamError, RunParams, check_writable, existing_parent
from anm.registry import unused_settings
from anm.training.checkpoints import CHECKPOINTS_KEPT
from anm.utils.git import PACKAGE, git_state, run_git
from anm.utils.locations import FILES

PACKAGES = "papermill nbclient nbformat ipykernel jupyter_client scipy pandas statsmodels matplotlib seaborn".split()
NOTEBOOK_BYTES = 20 * 2**20  # room for two copies of an executed notebook with its figures
ARRAYS = 4  # in a checkpoint for each weight: the weight, its average, Adam's two moments


class PreflightError(RuntimeError):
    """This machine cannot do the run. Each line of the message names one problem and how to fix it."""


def check_run(params: RunParams, reports: Path) -> None:
    """Raises `PreflightError` with all problems unless a run with these parameters can run on this machine.

    reports: the folder of its notebook.
    """
    if problems := check_installation() + check_gpu(params) + check_folders(params, reports):
        raise PreflightError("\n".join(problems))


def describe_code(package: Path = PACKAGE) -> str:
    """One line with the commit of the code and the first files that differ from it."""
    commit, dirty = git_state(package)
    if commit is None:
        return "code: not under version control, so the record will have no commit"
    if dirty is None:
        return f"code: commit {commit[:12]}; git does not say whether files differ from it, and neither will the record"
    if not dirty:
        return f"code: commit {commit[:12]}, nothing uncommitted"
    changed = run_git(package, "status", "--porcelain", "--", ":/", ":(top,exclude)reports") or ""
    names = [line.split(maxsplit=1)[1] for line in changed.splitlines()]
    files = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    advice = "commit first, or the record says so"
    return f"code: commit {commit[:12]} with changes that are NOT COMMITTED ({files}); {advice}"


def check_installation() -> list[str]:
    """The problems of missing packages and of a missing training notebook."""
    problems = []
    if absent := [name for name in PACKAGES if importlib.util.find_spec(name) is None]:
        cure = "run `make setup` in a clone, or pip install 'anm[study]'"
        problems.append(f"environment: {sys.executable} lacks {', '.join(absent)}; {cure}")
    notebook = FILES / "notebooks" / "train.ipynb"
    if not notebook.is_file():
        cure = "install anm from a wheel, or from a clone of the project with pip install -e ."
        problems.append(f"{notebook}: no such file; {cure}")
    return problems


def check_gpu(params: RunParams) -> list[str]:
    """The problem of a GPU that Slurm gave to this job and torch cannot use."""
    given = os.environ.get("SLURM_JOB_GPUS")
    if params.device != "auto" or not given or torch.cuda.is_available():
        return []
    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "no CUDA"
    return [
        f"device = 'auto': Slurm gave this job a GPU ({given}), but torch {torch.__version__} (built for {build}) sees "
        "none; install a torch that fits the node's driver (nvidia-smi shows its CUDA), "
        "or run on CPUs: sbatch --gres=none slurm/papermill.sbatch ..., or -p device cpu"
    ]


def check_folders(params: RunParams, reports: Path) -> list[str]:
    """The problems of device, precision, folders that cannot be written to, and full disks."""
    problems = []
    for check in (params.check_machine, lambda: check_writable("reports", str(reports))):
        try:
            check()
        except ParamError as error:
            problems.append(str(error))
    needs = {Path(params.checkpoint_dir): checkpoint_bytes(params) * (CHECKPOINTS_KEPT + 2), reports: NOTEBOOK_BYTES}
    for folder, needed in needs.items():
        free = shutil.disk_usage(existing_parent(folder)).free
        if free < needed:
            problems.append(
                f"{folder}: {free / 2**20:.0f} MiB free, and the run needs about {needed / 2**20:.0f} MiB there; "
                "delete what is old, or give another folder (-p checkpoint_dir ..., --reports ...)"
            )
    return problems


def checkpoint_bytes(params: RunParams) -> int:
    """About the size of one checkpoint of this run, in bytes."""
    with torch.device("meta"):
        energy = build_energy(params)
    arrays = ARRAYS + len(params.fractions) - 1  # and the averaged weights at each point before the last
    numbers = arrays * sum(weight.numel() for weight in energy.parameters())
    if "replay_size" not in unused_settings(params.strategy):
        numbers += params.replay_size * params.n**2 * len(params.seed_list)
    if "pool_size" not in unused_settings(params.strategy):
        numbers += 3 * params.noise_levels * params.pool_size * params.n**2 * len(params.seed_list)
    return 4 * numbers + 2**20
