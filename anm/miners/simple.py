"""Negatives without a search: none, random matrices, other answers of the batch, noised answers."""

import torch
from torch import Tensor

from anm.miners.context import MiningContext
from anm.params import ParamError
from anm.registry import miner
from anm.utils.rows import rms


@miner(uses=())
def none(context: MiningContext) -> None:
    """No negatives: training with the denoising loss alone, the baseline."""
    return None


@miner(uses=())
def random(context: MiningContext) -> Tensor:
    """A random matrix with entries from N(0, 1), independent of the problem."""
    return context.normal()


@miner(uses=())
def random_matched(context: MiningContext) -> Tensor:
    """A random matrix in the scale of the answer: N(0, mean square of the answer's entries).

    The matrices of `random` are many times larger than an answer, so that their scale alone identifies them.
    """
    return rms(context.x0) * context.normal()


@miner(uses=())
def in_batch(context: MiningContext) -> Tensor:
    """The answer to the previous problem of the batch.

    Source: van den Oord et al. 2018 (arXiv 1807.03748), section 2.3, where negatives are the batch's other samples.
    Raises `ParamError` if the batch has only one problem.
    """
    return other_answers(context, 1)


def other_answers(context: MiningContext, shift: int) -> Tensor:
    """Answers (S, B, n, n); row i is the answer to problem i - shift. Raises `ParamError` on a batch of one."""
    if context.x0.shape[1] < 2:
        raise ParamError("batch_size = 1: must be at least 2 for a strategy that uses the answers to other problems")
    return context.x0.roll(shift, dims=1)


@miner(uses={"corruption_share"})
def corrupted(context: MiningContext) -> Tensor:
    """The answer with a share `corruption_share` of its entries set to -1: for answers of -1 and 1.

    Source: the code released with arXiv 2406.11179, for connectivity, with a share of 0.05. It means to draw -1 or 1,
    but always draws -1.
    """
    chosen = context.streams.uniform("miner", *context.x0.shape[1:]) < 2 * context.params.corruption_share - 1
    return torch.where(chosen, -1.0, context.x0)


@miner(uses={"mining_noise_scale"})
def conditional_nce(context: MiningContext) -> Tensor:
    """The answer with `mining_noise_scale` times the noise of its level: `adversarial` without the descent.

    Source: Ceylan and Gutmann 2018 (arXiv 1806.03664), section 2. For symmetric noise, their loss equals ours.
    """
    return context.answer(context.start())
