"""Negatives from a search of the energy: descent, ascent, search in a ball, choice among candidates."""

import torch
from torch import Tensor

from anm.energies import Landscape
from anm.miners.context import MiningContext
from anm.miners.simple import other_answers
from anm.registry import miner
from anm.utils.rows import per_row, rms

SMALL = 1e-12  # so that a length of zero can divide


@miner(uses={"mining_opt_steps", "mining_noise_scale"})
def adversarial(context: MiningContext) -> Tensor:
    """A hard negative: wrong, with low energy.

    The answer with `mining_noise_scale` times the noise of its level, after `mining_opt_steps` landscape steps down
    the energy. Source: arXiv 2406.11179, section 3.2, as in the code released with it (scale 3, 2 steps).
    """
    return context.answer(context.descend(context.start()))


@miner(uses={"mining_opt_steps", "mining_noise_scale"})
def ascent(context: MiningContext) -> Tensor:
    """An easy negative: as `adversarial`, but with steps up the energy, accepted if it does not fall.

    Some notes of the prior study call this adversarial.
    """
    return context.answer(context.descend(context.start(), negated(context.landscape)))


def negated(landscape: Landscape) -> Landscape:
    """The landscape of -E: its descent is an ascent of E."""

    def evaluate(x_t: Tensor, gradient: bool = True) -> tuple[Tensor, Tensor | None]:
        energy, eps_hat = landscape(x_t, gradient=gradient)
        return -energy, -eps_hat if gradient else None

    return evaluate


@miner(uses={"candidates"})
def hardest_of_k(context: MiningContext) -> Tensor:
    """Among the answers to `candidates` other problems of the batch, the wrong one of lowest energy.

    A smaller batch gives fewer candidates. Each candidate takes one evaluation of the energy.
    Source: Hermans, Beyer, Leibe 2017 (arXiv 1703.07737), eq. 5 (batch hard), with the energy as the distance.
    """
    hardest = other_answers(context, 1)
    lowest = torch.full(context.t.shape, torch.inf, device=hardest.device)
    for shift in range(1, 1 + min(context.params.candidates, context.x0.shape[1] - 1)):
        candidate = other_answers(context, shift)
        energy = context.energy(candidate).masked_fill(~context.wrong(candidate), torch.inf)
        harder = energy < lowest
        lowest = torch.where(harder, energy, lowest)
        hardest = torch.where(per_row(harder, candidate), candidate, hardest)
    return hardest


@miner(uses={"mining_opt_steps", "ball_radius"})
def pgd(context: MiningContext) -> Tensor:
    """Projected gradient descent: low energy within RMS distance `ball_radius` of the answer.

    It starts at a random point of the ball's surface, where nearly all of the volume of such a ball lies. Each of
    the `mining_opt_steps` steps has length 2.5 radius / steps along the normalised gradient; a projection onto the
    ball follows. The energy is that of the contrastive loss, with the noise of the positive.
    Source: Madry et al. 2018 (arXiv 1706.06083), section 2.1, with the 2-norm; as negatives of an energy:
    Yin, Li, Rohde 2020 (arXiv 2012.06568).
    """
    radius, steps = context.params.ball_radius, context.params.mining_opt_steps
    direction = context.normal()
    offset = radius * direction / rms(direction).clamp(min=SMALL)
    for _ in range(steps):
        _, gradient = context.landscape(context.noised(context.x0 + offset))
        offset = offset - 2.5 * radius / steps * gradient / rms(gradient).clamp(min=SMALL)
        offset = offset * (radius / rms(offset).clamp(min=SMALL)).clamp(max=1)
    return context.x0 + offset
