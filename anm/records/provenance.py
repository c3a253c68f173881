"""The provenance of a run: code, versions, machine, time and memory."""

import importlib.metadata
import os
import platform
import socket
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from anm.utils.git import git_state


def run_provenance(
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
    """The provenance entry of a record. Call it when the run is over.

    device: the device of the model, or its name. started: a datetime with its time zone.
    code: `git_state()` at the start of the run; None asks git now.
    All times are in seconds. resumed: how often the run continued from a checkpoint.
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
        "started": started.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "seconds": (datetime.now(UTC) - started).total_seconds(),
        "train_seconds": train_seconds,
        "seconds_per_step": seconds_per_step,
        "evaluate_seconds": evaluate_seconds,
        "resumed": resumed,
        "peak_memory_mib": peak_memory_mib(device),
        "compiled": compiled,
    }


def version(distribution: str) -> str:
    """The installed version, or "unknown" for a package that is not installed."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def machine(device) -> dict:
    """Host name, CPU model, number of usable cores, and the GPU's name or None."""
    # Slurm may allow a process fewer cores than there are
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {"host": socket.gethostname(), "cpu": cpu_model(), "cores": cores, "gpu": gpu_name(device)}


def cpu_model() -> str:
    """The name of the processor."""
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


def gpu_name(device) -> str | None:
    """The name of the GPU, or None on a CPU."""
    kind = str(device).partition(":")[0]
    if kind == "cuda":
        import torch

        return torch.cuda.get_device_name(device)
    return f"Apple {platform.machine()}" if kind == "mps" else None


def peak_memory_mib(device) -> float | None:
    """Peak memory in MiB: allocated on the device with CUDA, resident in this process otherwise. None if unknown."""
    if str(device).startswith("cuda"):
        import torch

        return torch.cuda.max_memory_allocated(device) / 2**20
    try:
        # On Linux, getrusage includes the parent's peak, because it survives fork and exec.
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 2**10
    except (OSError, IndexError, ValueError):
        pass  # not Linux
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if platform.system() == "Darwin" else 2**10)
