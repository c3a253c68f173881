"""The machine below the run: precision of products, memory, clocks, compiler."""

import ctypes
import os
import shutil
import sys
import sysconfig
from contextlib import contextmanager
from pathlib import Path

import torch
from torch.utils._triton import has_triton


@contextmanager
def precision(name: str):
    """While open, matrix products on a GPU are computed as `name` says: float32, tf32 or bfloat16."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = name != "float32"
    try:
        # Without its cache, which would keep the weights as they were when it first cast them, whatever is learnt.
        with torch.autocast("cuda", torch.bfloat16, enabled=name == "bfloat16", cache_enabled=False):
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
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def can_compile(device: torch.device) -> bool:
    """Whether torch can compile for this device: Triton with a C compiler and Python's headers for a GPU, C++ for a CPU."""
    if device.type == "cuda":
        compilers = (os.environ.get("CC", ""), "cc", "gcc", "clang")
        return (
            has_triton()
            and any(map(shutil.which, compilers))
            and Path(sysconfig.get_path("include"), "Python.h").is_file()
        )
    return device.type == "cpu" and shutil.which("c++") is not None
