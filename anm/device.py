"""The machine below the run: precision of products, memory, clocks, compiler."""

import ctypes
import shutil
import sys
from contextlib import contextmanager

import torch


@contextmanager
def precision(name: str):
    """While open, matrix products on a GPU are computed as `name` says: float32, tf32 or bfloat16."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = name != "float32"
    try:
        with torch.autocast("cuda", torch.bfloat16, enabled=name == "bfloat16"):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


def keep_memory() -> None:
    """Let the C library keep freed memory: fresh pages at every step cost a third of it on a CPU (glibc alone)."""
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if hasattr(libc, "gnu_get_libc_version"):
        libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD
        libc.mallopt(-3, 2**30)  # M_MMAP_THRESHOLD


def synchronise(device: torch.device) -> None:
    """Wait until the device has done what was asked of it, so that a clock tells the truth."""
    if device.type != "cpu":
        getattr(torch, device.type).synchronize()


def can_compile(device: torch.device) -> bool:
    """Whether torch can compile for this device: Triton for a GPU, a C++ compiler for a CPU."""
    if device.type == "cuda":
        return torch.utils._triton.has_triton()
    return device.type == "cpu" and shutil.which("c++") is not None
