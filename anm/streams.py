"""Named random streams, one of each per seed, so that what one part draws never shifts another's draws."""

import hashlib

import torch
from torch import Tensor

# `contrast` (noise of positives and negatives) is apart from `noise` (levels and noise of the denoising loss),
# so that the latter is the same for a strategy that never contrasts; `miner` belongs to the strategy alone.
NAMES = ("weights", "problems", "noise", "contrast", "miner")


def stream_seed(name: str, seed: int) -> int:
    """A 63-bit number that differs for every (stream, seed)."""
    return int.from_bytes(hashlib.sha256(f"{name}/{seed}".encode()).digest()[:8], "little") >> 1


class Streams:
    """The streams of a stack of S seeds. Draws for one seed do not depend on which others are in the stack."""

    def __init__(self, seeds: tuple[int, ...], device: torch.device):
        self.device = device
        self.generators = {
            # Weights are drawn on the CPU: the same on every device.
            name: [
                torch.Generator("cpu" if name == "weights" else device).manual_seed(stream_seed(name, seed))
                for seed in seeds
            ]
            for name in NAMES
        }

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
        """Where every stream stands, for a checkpoint."""
        return {name: [g.get_state() for g in generators] for name, generators in self.generators.items()}

    def restore(self, state: dict[str, list[Tensor]]) -> None:
        """Go on from `state`; it must come from the same kind of device."""
        for name, generators in self.generators.items():
            for generator, saved in zip(generators, state[name], strict=True):
                generator.set_state(saved)
