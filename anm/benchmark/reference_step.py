"""A training step in the plainest PyTorch, as a reference for the benchmark.

It computes the same losses from the same random numbers as `anm.training.step`, and is simpler in these points:

- It trains one seed at a time, with a separate model and optimiser for each.
- It takes the gradient in x_t from autograd, so that training needs a second backward pass.
- It keeps nothing between evaluations of the energy: each encodes the problem and the noise level again.
- It uses Adam without fused or grouped kernels.
- Its EMA has a constant decay.
- It ignores `mining_levels`, `false_negative_residual` and `contrastive_warmup`: every negative counts, fully weighted.
- It ignores `contrast_noise` and `contrast_scale`, and no strategy adapts to its losses.
- It records no metrics and checks neither the shape of negatives nor whether losses are finite.
"""

import torch
from torch import Tensor

from anm.energies import build_energy
from anm.energies.schedule import Schedule
from anm.miners import MiningContext
from anm.params import RunParams
from anm.registry import resolve
from anm.training.ema import EMA_DECAY
from anm.training.losses import contrastive_loss, denoising_loss
from anm.training.state import ADAM_BETAS
from anm.training.step import MAX_GRAD_NORM
from anm.utils.random_streams import RandomStreams, StreamDraws


class ReferenceTraining:
    """Separate models, one per seed; a step updates one after the other."""

    def __init__(self, params: RunParams):
        self.seeds = [SingleSeedTraining(params, seed, params.torch_device()) for seed in params.seed_list]

    def step(self) -> None:
        """One optimiser step of every seed."""
        for seed in self.seeds:
            seed.step()


class SingleSeedTraining:
    """One seed's model, optimiser and averaged weights."""

    def __init__(self, params: RunParams, seed: int, device: torch.device):
        self.params, self.streams = params, RandomStreams((seed,), device)
        self.task = params.task_object()
        self.model = build_energy(RunParams(**params.resolved() | {"seeds": seed}))
        self.model.reset(self.streams.generators["weights"]).to(device)
        self.average = [w.detach().clone() for w in self.model.parameters()]
        self.optimiser = torch.optim.Adam(self.model.parameters(), params.learning_rate, ADAM_BETAS, foreach=False)
        self.schedule = Schedule(params.noise_levels).to(device)
        self.strategy = resolve("strategy", params.strategy)
        self.miner_state: dict[str, Tensor] = {}

    def energy_and_grad(self, A: Tensor, x_t: Tensor, t: Tensor, create_graph: bool = False) -> tuple[Tensor, Tensor]:
        """The energy (1, B) and its gradient in x_t (1, B, n, n), by autograd."""
        with torch.enable_grad():
            x_t = x_t.detach().requires_grad_()
            energy = self.model.energy(A, x_t, t)
            (eps_hat,) = torch.autograd.grad(energy.sum(), x_t, create_graph=create_graph)
        return energy, eps_hat

    def step(self) -> None:
        """One optimiser step on a fresh batch."""
        # Draw problems, answers, noise levels and noise
        p, schedule = self.params, self.schedule
        A, x0 = self.task.draw(StreamDraws(self.streams, "problems"), p.batch_size, p.n, self.task.splits["same"])
        t = self.streams.integers("noise", p.noise_levels, p.batch_size)
        eps = self.streams.normal("noise", *x0.shape[1:])

        # Denoising loss
        _, eps_hat = self.energy_and_grad(A, schedule.noised(x0, t, eps), t, create_graph=True)
        loss = denoising_loss(eps_hat, eps).mean()

        # Mine negatives, contrastive loss
        def landscape(x_t: Tensor, gradient: bool = True):
            return self.energy_and_grad(A, x_t, t) if gradient else (self.model.energy(A, x_t, t), None)

        context = MiningContext(
            self.task, A, x0, t, landscape, schedule, p, self.streams, self.miner_state, model=self.model
        )
        with torch.no_grad():
            negative = self.strategy(context)
        if negative is not None:
            negative = negative.detach().clamp(-p.answer_bound, p.answer_bound)
            energy_positive, energy_negative = (
                self.model.energy(context.problem, schedule.noised(answer, t, context.eps), t)
                for answer in (context.x0, negative)
            )
            loss = loss + p.contrastive_weight * contrastive_loss(energy_positive, energy_negative).mean()

        # Gradients, clipped; Adam; moving average of the weights
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), MAX_GRAD_NORM)
        self.optimiser.step()
        for average, weight in zip(self.average, self.model.parameters()):
            average.mul_(EMA_DECAY).add_(weight.detach(), alpha=1 - EMA_DECAY)
