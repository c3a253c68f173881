"""Where a run comes from: code, versions, machine, time and memory, as its record states them."""

import importlib.metadata
import os
import platform
import socket
import subprocess
from datetime import datetime, timezone
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def provenance(
    device,
    started: datetime,
    code: tuple[str | None, bool | None] | None = None,
    *,
    train_seconds: float | None = None,
    seconds_per_step: float | None = None,
    evaluate_seconds: float | None = None,
    resumed: int = 0,
    compiled: bool = False,
) -> dict:
    """The record's provenance block, to be called when the run is over.

    device: what the model ran on (a torch device or its name). started: an aware datetime.
    code: the `git_state` of what ran, where that was asked for when it began.
    Durations in seconds; resumed: how often the run went on from a checkpoint.
    """
    commit, dirty = code or git_state()
    return {
        "git_commit": commit,
        "git_dirty": dirty,
        "anm": version("anm"),
        "python": platform.python_version(),
        "torch": version("torch"),
        "device": str(device),
        "machine": machine(device),
        "started": started.astimezone(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "seconds": (datetime.now(timezone.utc) - started).total_seconds(),
        "train_seconds": train_seconds,
        "seconds_per_step": seconds_per_step,
        "evaluate_seconds": evaluate_seconds,
        "resumed": resumed,
        "peak_memory_mib": peak_memory_mib(device),
        "compiled": compiled,
    }


def version(distribution: str) -> str:
    """The installed version, or "unknown" for what is imported without being installed."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def git_state(package: Path = PACKAGE) -> tuple[str | None, bool | None]:
    """Commit of the repository that tracks the package, and whether code differs from it.

    Dirty: any tracked file outside reports/ is changed, or the package holds a file git has not seen.
    None for what git does not tell; (None, None) where the package is not under version control: an installed copy inside some other
    project's folder is not that project's code.
    """
    if not run_git(package, "ls-files", "--", "."):
        return None, None
    changed = run_git(package, "status", "--porcelain", "--untracked-files=no", "--", ":/", ":(top,exclude)reports")
    unseen = run_git(package, "ls-files", "--others", "--exclude-standard", "--", ".")
    told = changed is not None and unseen is not None
    return run_git(package, "rev-parse", "--verify", "HEAD") or None, bool(changed or unseen) if told else None


def run_git(folder: Path, *arguments: str) -> str | None:
    """What git prints, or None where it is absent or refuses."""
    # Inside a git hook, GIT_DIR and its kin name the hook's repository rather than the folder's.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", "-C", str(folder), *arguments],
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=30,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def machine(device) -> dict:
    """Host name, CPU model, cores this process may use, and the GPU's name or None."""
    return {"host": socket.gethostname(), "cpu": cpu_model(), "cores": cores(), "gpu": gpu_name(device)}


def cpu_model() -> str:
    """The processor's name as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    try:
        brand = subprocess.run(["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True, timeout=10)
        return brand.stdout.strip() or platform.machine()
    except (OSError, subprocess.TimeoutExpired):
        return platform.processor() or platform.machine()


def cores() -> int:
    """Cores this process may use, which under Slurm are fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpu_name(device) -> str | None:
    """The accelerator's name, or None on the CPU."""
    kind = str(device).partition(":")[0]
    if kind == "cuda":
        import torch

        return torch.cuda.get_device_name(device)
    return f"Apple {platform.machine()}" if kind == "mps" else None


def peak_memory_mib(device) -> float | None:
    """Largest memory held so far, MiB: the device's on CUDA, this process's resident memory elsewhere."""
    if str(device).startswith("cuda"):
        import torch

        return torch.cuda.max_memory_allocated(device) / 2**20
    try:
        # getrusage would start from the parent's peak on Linux: it survives fork and exec.
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 2**10
    except (OSError, IndexError, ValueError):
        return _peak_by_rusage()


def _peak_by_rusage() -> float | None:
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if platform.system() == "Darwin" else 2**10)
