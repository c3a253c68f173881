"""A CUDA graph of a training step, used only if it gives the same weights.

A step of these small networks is hundreds of kernels, and a GPU finishes one before the next is launched.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from anm.training.snapshot import Snapshot
from anm.training.state import TrainingState
from anm.training.step import compute_step, training_step
from anm.utils.random_streams import RandomStreams

WARM_UP = 3  # steps before the capture: they allocate every tensor, choose kernels and compile
CHECKED = 2  # steps that are done both ways; two, so that a graph that draws the same problems again is found
TOLERANCE = 1e-2  # of the distance that the weights move in them; other problems differ by about all of it


class CudaGraphStep:
    """A training step: plain for the first `WARM_UP` calls, then a replayed CUDA graph.

    A graph that cannot be captured, or that ends at other weights than plain steps, is not used; `log` gives the
    reason. In both cases training continues from where it was.
    """

    def __init__(self, state: TrainingState, log: Callable[[str], None]):
        self.state, self.log = state, log
        self.steps = 0
        self.replay: Callable[[], None] | None = None

    def __call__(self) -> None:
        if self.steps == WARM_UP:
            self.replay = self.checked_graph()
        self.steps += 1
        training_step(self.state, self.replay)

    def checked_graph(self) -> Callable[[], None] | None:
        """A captured step whose results equal plain steps, or None; the state is unchanged."""
        before = Snapshot(self.state)
        replay, reason = None, ""
        try:
            expected = self.weights_after(None)
            before.restore()
            replay = capture(self.state)
            replaced = before.replaced()
            before.restore()
            if replaced:
                raise RuntimeError(f"a step replaces tensors that it should write to in place: {', '.join(replaced)}")
            difference = distance(self.weights_after(replay), expected)
            movement = distance(before.tensors, expected)
            if not difference <= TOLERANCE * movement:
                raise RuntimeError(f"replayed steps end {difference:.2g} from plain ones, which moved {movement:.2g}")
        except RuntimeError as error:
            replay, reason = None, f" ({error})"
            # After a failed capture, torch 2.11 refuses to draw from the generators of the graph
            self.state.streams = RandomStreams(self.state.params.seed_list, self.state.device)
        before.restore()
        self.log("steps are replayed from a CUDA graph" if replay else f"steps run without a CUDA graph{reason}")
        return replay

    def weights_after(self, compute: Callable[[], None] | None) -> dict[str, Tensor]:
        """Copies of the state's tensors after `CHECKED` steps."""
        for _ in range(CHECKED):
            training_step(self.state, compute)
        return Snapshot(self.state).tensors


def distance(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """The norm of the difference between the weights in two sets of tensors."""
    differences = [torch.linalg.vector_norm(one[name] - other[name]) for name in one if name.startswith("weight ")]
    return float(torch.linalg.vector_norm(torch.stack(differences)))


def capture(state: TrainingState) -> Callable[[], None]:
    """Capture `compute_step`; returns its replay, which draws from the same random streams."""
    graph = torch.cuda.CUDAGraph()
    for generators in state.streams.generators.values():
        for generator in generators:
            if generator.device.type == "cuda":
                graph.register_generator_state(generator)
    state.optimiser.zero_grad(set_to_none=True)  # so that gradients are allocated from the graph's memory
    with torch.cuda.graph(graph):
        compute_step(state)
    return graph.replay
