"""A training step as a textbook would write it: the yardstick of the benchmark.

One seed at a time, an energy and autograd: gradients by a second pass, nothing kept from one evaluation to the next,
matrices inverted by the library. The same mathematics as a step of `anm.trainer`.
"""

import torch
from torch import Tensor

from anm.losses import contrastive_loss, denoising_loss
from anm.matrices import OFFSETS, problem_from
from anm.miners import Mine
from anm.params import RunParams, chosen
from anm.schedule import Schedule
from anm.streams import Streams
from anm.trainer import BETAS, EMA_DECAY, MAX_GRAD_NORM


class TextbookTraining:
    """S separate models of one seed each, stepped one after the other."""

    def __init__(self, params: RunParams):
        device = params.torch_device()
        self.seeds = [OneSeed(params, seed, device) for seed in params.seed_list]

    def update(self) -> None:
        for seed in self.seeds:
            seed.update()


class OneSeed:
    """One seed's model, optimiser and averaged weights."""

    def __init__(self, params: RunParams, seed: int, device: torch.device):
        self.params, self.streams = params, Streams((seed,), device)
        self.model = chosen("energy", params.energy)(params.n, params.noise_levels, 1)
        self.model.reset(self.streams.generators["weights"]).to(device)
        self.average = [w.detach().clone() for w in self.model.parameters()]
        self.optimiser = torch.optim.Adam(self.model.parameters(), params.learning_rate, BETAS, foreach=False)
        self.schedule = Schedule(params.noise_levels).to(device)
        self.strategy = chosen("strategy", params.strategy)
        self.miner_state: dict[str, Tensor] = {}

    def gradient(self, A: Tensor, x_t: Tensor, t: Tensor, create_graph: bool = False) -> tuple[Tensor, Tensor]:
        """Energy and its gradient in x_t, by autograd."""
        with torch.enable_grad():
            x_t = x_t.detach().requires_grad_()
            energy = self.model.energy(A, x_t, t)
            (eps_hat,) = torch.autograd.grad(energy.sum(), x_t, create_graph=create_graph)
        return energy, eps_hat

    def update(self) -> None:
        """One optimiser step on a fresh batch."""
        p, schedule = self.params, self.schedule
        A = problem_from(self.streams.uniform("problems", p.batch_size, p.n, p.n), OFFSETS["same"])
        x0 = torch.linalg.inv(A)
        t = self.streams.integers("noise", p.noise_levels, p.batch_size)
        eps = self.streams.normal("noise", *x0.shape[1:])
        _, eps_hat = self.gradient(A, schedule.noised(x0, t, eps), t, create_graph=True)
        loss = denoising_loss(eps_hat, eps).mean()

        # The miner descends with a landscape that knows nothing but the energy.
        def landscape(x_t: Tensor, gradient: bool = True):
            return self.gradient(A, x_t, t) if gradient else (self.model.energy(A, x_t, t), None)

        mine = Mine(A, x0, t, landscape, schedule, p, self.streams, self.miner_state)
        with torch.no_grad():
            negative = self.strategy(mine)
        if negative is not None:
            negative = negative.detach().clamp(-p.answer_bound, p.answer_bound)
            positive_energy = self.model.energy(A, schedule.noised(x0, t, mine.eps), t)
            negative_energy = self.model.energy(A, schedule.noised(negative, t, mine.eps), t)
            loss = loss + p.contrastive_weight * contrastive_loss(positive_energy, negative_energy).mean()
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), MAX_GRAD_NORM)
        self.optimiser.step()
        for mean, weight in zip(self.average, self.model.parameters()):
            mean.mul_(EMA_DECAY).add_(weight.detach(), alpha=1 - EMA_DECAY)
