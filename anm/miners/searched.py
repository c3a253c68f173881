"""Negatives that are looked for in the energy: down it, up it, inside a ball, among candidates."""

import torch
from torch import Tensor

from anm.energy import Landscape
from anm.miners.base import Mine, miner
from anm.miners.drawn import other_answers


@miner(uses={"mining_opt_steps", "mining_noise_scale"})
def adversarial(mine: Mine) -> Tensor:
    """A hard negative: wrong, with low energy.

    The answer noised `mining_noise_scale` times as strongly as its level says, then `mining_opt_steps` landscape
    steps down the energy. Source: arXiv 2406.11179, section 3.2, as in the code released with it, where
    the scale is 3 and the steps are 2.
    """
    return mine.answer(mine.descend(mine.start()))


@miner(uses={"mining_opt_steps", "mining_noise_scale"})
def ascent(mine: Mine) -> Tensor:
    """An easy negative: as `adversarial`, but the landscape steps go up the energy, kept where it did not fall.

    Some notes of the prior study call this adversarial.
    """
    return mine.answer(mine.descend(mine.start(), upside_down(mine.landscape)))


def upside_down(landscape: Landscape) -> Landscape:
    """The landscape with its sign changed, so that its descent is an ascent."""

    def evaluate(x_t: Tensor, gradient: bool = True) -> tuple[Tensor, Tensor | None]:
        energy, eps_hat = landscape(x_t, gradient=gradient)
        return -energy, -eps_hat if gradient else None

    return evaluate


@miner(uses={"candidates"})
def hardest_of_k(mine: Mine) -> Tensor:
    """Of the answers to `candidates` other problems of the batch, the wrong one with the lowest energy.

    All others where the batch has fewer. Costs one evaluation of the energy a candidate.
    Source: Hermans, Beyer, Leibe 2017 (arXiv 1703.07737), eq. 5 (batch hard), with the energy in the place of the distance.
    """
    hardest = other_answers(mine, 1)
    lowest = torch.full_like(hardest[..., 0, 0], torch.inf)
    for shift in range(1, 1 + min(mine.params.candidates, mine.x0.shape[1] - 1)):
        candidate = other_answers(mine, shift)
        energy = mine.energy(candidate).masked_fill(~mine.wrong(candidate), torch.inf)
        harder = energy < lowest
        lowest = torch.where(harder, energy, lowest)
        hardest = torch.where(harder[..., None, None], candidate, hardest)
    return hardest


@miner(uses={"mining_opt_steps", "ball_radius"})
def pgd(mine: Mine) -> Tensor:
    """The lowest energy that `mining_opt_steps` steps find within RMS distance `ball_radius` of the answer.

    From a random point of the ball's surface, where nearly all of a ball in so many dimensions lies; each step
    goes 2.5 radius / steps along the normalised gradient, then back into the ball. The energy is the one that the contrastive
    loss sees, with the noise of the positive. Source: Madry et al. 2018 (arXiv 1706.06083), section 2.1, with the 2-norm;
    as negatives of an energy: Yin, Li, Rohde 2020 (arXiv 2012.06568).
    """
    radius, steps = mine.params.ball_radius, mine.params.mining_opt_steps
    direction = mine.normal()
    offset = radius * direction / rms(direction)
    for _ in range(steps):
        _, gradient = mine.landscape(mine.schedule.noised(mine.x0 + offset, mine.t, mine.eps))
        offset = offset - 2.5 * radius / steps * gradient / rms(gradient)
        offset = offset * (radius / rms(offset)).clamp(max=1)
    return mine.x0 + offset


def rms(x: Tensor) -> Tensor:
    """Root mean square of each matrix, (S, B, 1, 1); never zero, so that it can divide."""
    return x.square().mean((-2, -1), keepdim=True).sqrt().clamp(min=1e-12)
