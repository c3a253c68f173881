"""The matrix products of one step alone: a lower bound on its time."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

SMALLEST_SIDE = 16  # products with a shorter side select or embed levels; memory limits them, not arithmetic
FACTORS = {"bmm": (0, 1), "baddbmm": (1, 2), "mm": (0, 1), "addmm": (1, 2)}  # operation -> positions of its two factors


class MatmulRecorder(TorchDispatchMode):
    """While active, records shape, stride and type of both factors of every matrix product.

    It sees backward passes too. FlopCounterMode records neither strides nor types, which the timing depends on.
    """

    def __init__(self):
        super().__init__()
        self.factors: list[tuple] = []

    def __torch_dispatch__(self, function, types, arguments=(), kwargs=None):
        positions = FACTORS.get(function.overloadpacket.__name__)
        if positions:
            left, right = (arguments[position] for position in positions)
            if min(*left.shape[-2:], right.shape[-1]) >= SMALLEST_SIDE:
                self.factors.append(tuple((tuple(x.shape), x.stride(), x.dtype) for x in (left, right)))
        return function(*arguments, **(kwargs or {}))


class MatmulLowerBound:
    """The matrix products of one call of `step`.

    Shapes, strides, types and order are the same. Memory for factors and results is allocated in advance. `flop` is the
    number of floating-point operations.
    """

    def __init__(self, step: Callable[[], None], device: torch.device):
        with MatmulRecorder() as recorder:
            step()
        generator = torch.Generator(device)  # the default one is unusable after a CUDA graph that failed
        operands = {
            spec: torch.empty_strided(*spec[:2], dtype=spec[2], device=device).normal_(generator=generator)
            for pair in recorder.factors
            for spec in pair
        }
        self.pairs = [tuple(operands[spec] for spec in pair) for pair in recorder.factors]
        self.results: dict[tuple[int, ...], Tensor] = {}  # by shape; products of one shape share their memory
        for left, right in self.pairs:
            shape = (*left.shape[:-1], right.shape[-1])
            self.results[shape] = torch.empty(shape, device=device, dtype=left.dtype)
        with FlopCounterMode(display=False) as counter:
            self()
        self.flop = counter.get_total_flops()

    def __call__(self) -> None:
        for left, right in self.pairs:
            torch.matmul(left, right, out=self.results[*left.shape[:-1], right.shape[-1]])
