"""Copies of a training state, to which training can return."""

import torch

from anm.training.state import TrainingState


class Snapshot:
    """A training state at one moment: copies of its tensors, streams and step."""

    def __init__(self, state: TrainingState):
        self.state, self.originals = state, state.mutable_tensors()
        self.tensors = {name: tensor.detach().clone() for name, tensor in self.originals.items()}
        self.streams, self.step = state.streams.state(), state.step
        self.miner_state = dict(state.miner_state)

    def replaced(self) -> list[str]:
        """The names of tensors that have become other objects since, or are new."""
        now = self.state.mutable_tensors()
        return sorted(name for name in now if self.originals.get(name) is not now[name])

    @torch.no_grad()
    def restore(self) -> None:
        """Put everything back, in place."""
        self.state.miner_state.clear()
        self.state.miner_state.update(self.miner_state)
        if not any(name.startswith("optimiser ") for name in self.originals):  # before the first step
            for created in (self.state.optimiser.state, self.state.metrics.sums, self.state.first_non_finite):
                created.clear()
        for name, tensor in self.originals.items():
            tensor.copy_(self.tensors[name])
        self.state.streams.restore(self.streams)
        self.state.step = self.step
