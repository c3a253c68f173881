"""Named random streams per seed: draws from one stream never shift the draws of another."""

import hashlib
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

# `noise` gives noise levels and noise of the denoising loss; `contrast` the noise of positives and negatives.
# They are separate, so that `noise` is the same for a strategy without negatives. `miner` is for the strategy.
NAMES = ("weights", "problems", "noise", "contrast", "miner")


def stream_seed(name: str, seed: int) -> int:
    """A 63-bit seed of a generator, different for every (stream, seed)."""
    return int.from_bytes(hashlib.sha256(f"{name}/{seed}".encode()).digest()[:8], "little") >> 1


class RandomStreams:
    """The random streams of a stack of S seeds.

    The draws for one seed do not depend on the other seeds of the stack.
    """

    def __init__(self, seeds: tuple[int, ...], device: torch.device):
        self.generators = {name: [] for name in NAMES}
        for name, generators in self.generators.items():
            place = "cpu" if name == "weights" else device  # weights are the same on every device
            generators += [torch.Generator(place).manual_seed(stream_seed(name, seed)) for seed in seeds]

    def normal(self, name: str, *shape: int) -> Tensor:
        """N(0, 1), (S, *shape)."""
        return self._draw(name, shape, lambda row, g: row.normal_(generator=g))

    def uniform(self, name: str, *shape: int) -> Tensor:
        """Uniform on [-1, 1), (S, *shape)."""
        return self._draw(name, shape, lambda row, g: row.uniform_(-1, 1, generator=g))

    def integers(self, name: str, high: int, *shape: int) -> Tensor:
        """Uniform on 0..high-1, int64, (S, *shape)."""
        return self._draw(name, shape, lambda row, g: row.random_(high, generator=g), torch.int64)

    def _draw(self, name: str, shape, fill, dtype=torch.float32) -> Tensor:
        generators = self.generators[name]
        rows = torch.empty(len(generators), *shape, dtype=dtype, device=generators[0].device)
        for row, generator in zip(rows, generators):
            fill(row, generator)
        return rows

    def state(self) -> dict[str, list[Tensor]]:
        """The state of every generator, for a checkpoint."""
        return {name: [g.get_state() for g in generators] for name, generators in self.generators.items()}

    def restore(self, state: dict[str, list[Tensor]]) -> None:
        """Continue from `state`, which must come from the same kind of device."""
        for name, generators in self.generators.items():
            for generator, saved in zip(generators, state[name], strict=True):
                generator.set_state(saved)


class StreamDraws(NamedTuple):
    """The draws of one named stream, as a task uses them."""

    streams: RandomStreams
    name: str

    def uniform(self, *shape: int) -> Tensor:
        """Uniform on [-1, 1), (S, *shape)."""
        return self.streams.uniform(self.name, *shape)

    def normal(self, *shape: int) -> Tensor:
        """N(0, 1), (S, *shape)."""
        return self.streams.normal(self.name, *shape)


class NumpyDraws(NamedTuple):
    """The same from a numpy generator, float64, with S = 1."""

    random: np.random.Generator

    def uniform(self, *shape: int) -> Tensor:
        """Uniform on [-1, 1), (1, *shape)."""
        return torch.from_numpy(self.random.uniform(-1, 1, (1, *shape)))

    def normal(self, *shape: int) -> Tensor:
        """N(0, 1), (1, *shape)."""
        return torch.from_numpy(self.random.standard_normal((1, *shape)))
