"""The feed-forward baseline: `bilinear`'s layers, trained without energy or noise.

Its output is the inverse. The difference to `bilinear` of the same size and training is the effect of the energy and
its descent. `python -m anm.study.feed_forward` trains and scores one from the command line.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from anm.energies.bilinear import EnergyBilinear
from anm.params import RunParams
from anm.tasks import FrozenSet
from anm.training.ema import decay_at, update_average
from anm.training.state import ADAM_BETAS
from anm.training.step import MAX_GRAD_NORM, clip_per_seed
from anm.utils.device import precision
from anm.utils.random_streams import RandomStreams, StreamDraws
from anm.utils.rows import mean_square


@dataclass
class FeedForward:
    """A trained stack of feed-forward networks, one per seed."""

    model: EnergyBilinear

    @torch.no_grad()
    def solve(self, A: Tensor) -> Tensor:
        """Answers X (S, B, n, n), on the CPU, to problems A (B, n, n)."""
        device = self.model.layers.first.device
        return predict(self.model, A.to(device).expand(self.model.stack, -1, -1, -1)).cpu()


def predict(model: EnergyBilinear, A: Tensor) -> Tensor:
    """The answer (S, B, n, n): the head V(A) of `bilinear` at level 0."""
    return model.heads(model.encode(A)[1], torch.zeros(A.shape[:2], dtype=torch.int64, device=A.device))[1]


def train_feed_forward(params: RunParams, log=print) -> FeedForward:
    """A trained feed-forward stack.

    Steps, batch size, learning rate, clipping and EMA are those of a run with `params`. Its loss per seed is the
    squared error over the answers' mean square, so that the answer 0 has a loss of 1.
    """
    device = params.torch_device()
    streams = RandomStreams(params.seed_list, device)
    model, average = (EnergyBilinear(params.n, params.noise_levels, len(params.seed_list)) for _ in range(2))
    model.reset(streams.generators["weights"]).to(device)
    average.to(device).requires_grad_(False).load_state_dict(model.state_dict())
    weights = list(model.parameters())
    optimiser = torch.optim.Adam(weights, params.learning_rate, ADAM_BETAS, fused=True)
    task, draws = params.task_object(), StreamDraws(streams, "problems")
    with precision(params.precision):
        for step in range(1, params.train_steps + 1):
            A, x0 = task.draw(draws, params.batch_size, params.n, task.splits["same"])
            loss = task.error(A, predict(model, A), x0).mean(1) / x0.square().mean((1, 2, 3))
            optimiser.zero_grad(set_to_none=True)
            loss.sum().backward()
            # The heads that only an energy uses have no gradient
            clip_per_seed([w.grad if w.grad is not None else torch.zeros_like(w) for w in weights], MAX_GRAD_NORM)
            optimiser.step()
            update_average(average.parameters(), weights, torch.tensor(1 - decay_at(step), device=device))
            if step % max(1, params.train_steps // 20) == 0:
                log(f"step {step}/{params.train_steps}  relative error {loss.mean().item():.3g}")
    return FeedForward(average)


def feed_forward_errors(network: FeedForward, frozen: FrozenSet, batch: int = 500) -> list[float]:
    """MSE per seed on frozen problems."""
    batches = [slice(first, first + batch) for first in range(0, len(frozen), batch)]
    errors = [mean_square(network.solve(frozen.problem[rows]) - frozen.answer[rows]) for rows in batches]
    return torch.cat(errors, dim=1).numpy().astype("float64").mean(axis=1).tolist()
