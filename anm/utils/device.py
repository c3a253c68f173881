"""The device of a run: precision of matrix products, memory, synchronisation, compilers."""

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
    """Within this context, a GPU multiplies matrices in float32, tf32 or bfloat16."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = name != "float32"
    try:
        # The cache of autocast would keep the weights as they were when it first cast them.
        with torch.autocast("cuda", torch.bfloat16, enabled=name == "bfloat16", cache_enabled=False):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


def keep_memory() -> None:
    """Let the C library (glibc only) keep freed memory for the next step.

    Otherwise every step asks the system for new pages, which takes a third of a step on a CPU.
    """
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if hasattr(libc, "gnu_get_libc_version"):
        libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD
        libc.mallopt(-3, 2**30)  # M_MMAP_THRESHOLD


def synchronise(device: torch.device) -> None:
    """Wait until the device has finished its work, so that a timer measures all of it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def can_compile(device: torch.device) -> bool:
    """Whether torch.compile works for this device.

    A GPU needs Triton, a C compiler and Python's headers; a CPU needs a C++ compiler.
    """
    if device.type == "cuda":
        compiler = any(map(shutil.which, (os.environ.get("CC", ""), "cc", "gcc", "clang")))
        return has_triton() and compiler and Path(sysconfig.get_path("include"), "Python.h").is_file()
    return device.type == "cpu" and shutil.which("c++") is not None
