"""Training steps in one launch each: a CUDA graph of `Training.compute`, used once it has shown that it does the same.

A step of these small networks is hundreds of kernels, and a GPU is done with one before the next is launched.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from anm.trainer import Training

WARM_UP = 3  # steps before the recording: they make every tensor, choose kernels and compile
CHECKED = 2  # steps that are done both ways; with two, a replay that draws the same problems again is found out
CLOSE = 1e-2  # of the way that the weights go in them; a replay on other problems is off by about the whole of it


class Replayed:
    """Stands in for `training.update`: a few steps as they are, then the recording, then its replay.

    A recording that fails, or whose steps end elsewhere than those it stands for, is not used; `say` tells why.
    Either way training goes on from where it was.
    """

    def __init__(self, training: "Training", say: Callable[[str], None]):
        self.training, self.say = training, say
        self.steps = 0
        self.replay: Callable[[], None] | None = None

    def __call__(self) -> None:
        if self.steps == WARM_UP:
            self.replay = self.checked_recording()
        self.steps += 1
        self.training.update(self.replay)

    def checked_recording(self) -> Callable[[], None] | None:
        """The recording of a step, if two of it end where two steps without it do; changes nothing in the training."""
        training, before = self.training, Snapshot(self.training)
        replay, reason = None, ""
        try:
            expected = self.end_of_steps(None)
            before.restore()
            replay = record(training)
            replaced = before.replaced()
            before.restore()
            if replaced:
                raise RuntimeError(f"a step replaces what it should write to in place: {', '.join(replaced)}")
            apart, way = distance(self.end_of_steps(replay), expected), distance(before.tensors, expected)
            if not apart <= CLOSE * way:
                raise RuntimeError(f"replayed steps end {apart:.2g} apart after a way of {way:.2g}")
        except RuntimeError as error:
            replay, reason = None, f" ({error})"
        before.restore()
        self.say(
            "steps are replayed from a CUDA graph"
            if replay
            else f"steps are launched kernel by kernel: no CUDA graph{reason}"
        )
        return replay

    def end_of_steps(self, compute: Callable[[], None] | None) -> dict[str, Tensor]:
        """Copies of what `CHECKED` steps leave."""
        for _ in range(CHECKED):
            self.training.update(compute)
        return Snapshot(self.training).tensors


class Snapshot:
    """A training as it stands: copies of its tensors, and its streams and step."""

    def __init__(self, training: "Training"):
        self.training, self.held = training, training.changing()
        self.tensors = {name: tensor.detach().clone() for name, tensor in self.held.items()}
        self.streams, self.step = training.streams.state(), training.step
        self.miner_state = dict(training.miner_state)

    def replaced(self) -> list[str]:
        """The names of tensors that are others now, or new."""
        now = self.training.changing()
        return sorted(name for name in now if self.held.get(name) is not now[name])

    @torch.no_grad()
    def restore(self) -> None:
        """Put everything back, in place."""
        self.training.miner_state.clear()
        self.training.miner_state.update(self.miner_state)
        for name, tensor in self.held.items():
            tensor.copy_(self.tensors[name])
        self.training.streams.restore(self.streams)
        self.training.step = self.step


def distance(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """How far the weights in two sets of tensors are apart, as the norm of the difference."""
    apart = [torch.linalg.vector_norm(one[name] - other[name]) for name in one if name.startswith("weight ")]
    return float(torch.linalg.vector_norm(torch.stack(apart)))


def record(training: "Training") -> Callable[[], None]:
    """Record `training.compute` on the GPU; to call what it gives launches all of it at once.

    The recording draws from the same streams, each time from where they stand.
    """
    graph = torch.cuda.CUDAGraph()
    for generators in training.streams.generators.values():
        for generator in generators:
            if generator.device.type == "cuda":
                graph.register_generator_state(generator)
    training.optimiser.zero_grad(set_to_none=True)  # so that gradients lie in the memory of the recording
    with torch.cuda.graph(graph):
        training.compute()
    return graph.replay
