"""The direct network: the layers of `bilinear` trained to say the inverse at once, with no energy and no noise.

What an energy and its descent add is what it falls short of them at the same size and training.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from anm.device import precision
from anm.energy.bilinear import EnergyBilinear
from anm.matrices import TestSet, draw_problems, squared_error
from anm.params import RunParams
from anm.streams import Streams
from anm.trainer import BETAS, EMA_DECAY, MAX_GRAD_NORM, clip_per_seed


@dataclass
class Direct:
    """A trained stack of direct networks."""

    model: EnergyBilinear

    @torch.no_grad()
    def solve(self, A: Tensor) -> Tensor:
        """Answers X (S, B, n, n), on the CPU, to problems A (B, n, n); one pass, `products_to_encode` products."""
        device = self.model.layers.first.device
        return guess(self.model, A.to(device).expand(self.model.stack, -1, -1, -1)).cpu()


def guess(model: EnergyBilinear, A: Tensor) -> Tensor:
    """V(A) at level 0, (S, B, n, n): the head that in an energy says what Q A x should be."""
    return model.heads(model.encode(A)[1], torch.zeros(A.shape[:2], dtype=torch.int64, device=A.device))[1]


def train_direct(params: RunParams, say=print) -> Direct:
    """A direct network trained on the problems, with the steps, batch, rate and average of the run `params`.

    Its loss is the squared error over the mean square of the answers' entries, so that a guess of zero costs one.
    """
    device = params.torch_device()
    streams = Streams(params.seed_list, device)
    model, average = (EnergyBilinear(params.n, params.noise_levels, len(params.seed_list)) for _ in range(2))
    model.reset(streams.generators["weights"]).to(device)
    average.to(device).requires_grad_(False).load_state_dict(model.state_dict())
    weights = list(model.parameters())
    optimiser = torch.optim.Adam(weights, params.learning_rate, BETAS, fused=True)
    with precision(params.precision):
        for step in range(1, params.train_steps + 1):
            A, x0 = draw_problems(streams.uniform("problems", params.batch_size, params.n, params.n))
            loss = squared_error(guess(model, A), x0).mean(1) / x0.square().mean((1, 2, 3))
            optimiser.zero_grad(set_to_none=True)
            loss.sum().backward()
            clip_per_seed([w.grad if w.grad is not None else torch.zeros_like(w) for w in weights], MAX_GRAD_NORM)
            optimiser.step()
            torch._foreach_lerp_(list(average.parameters()), weights, 1 - min(EMA_DECAY, (1 + step) / (10 + step)))
            if step % max(1, params.train_steps // 20) == 0:
                say(f"step {step}/{params.train_steps}  relative error {loss.mean().item():.3g}")
    return Direct(average)


def direct_errors(direct: Direct, test: TestSet, batch: int = 500) -> list[float]:
    """MSE per seed on a test set."""
    parts = [squared_error(direct.solve(test.A[i : i + batch]), test.X[i : i + batch]) for i in range(0, len(test), batch)]
    return torch.cat(parts, dim=1).numpy().astype("float64").mean(axis=1).tolist()
