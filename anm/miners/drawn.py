"""Negatives taken as they come: none, random ones, other problems' answers, the answer with noise."""

from torch import Tensor

from anm.miners.base import Mine, miner
from anm.params import ParamError


@miner(uses=())
def none(mine: Mine) -> None:
    """No negatives: the denoising loss alone, the baseline."""
    return None


@miner(uses=())
def random(mine: Mine) -> Tensor:
    """A random matrix, N(0, 1) in every entry, whatever the problem."""
    return mine.normal()


@miner(uses=())
def random_matched(mine: Mine) -> Tensor:
    """A random matrix with the scale of the answer beside it: N(0, its mean square) in every entry.

    `random` is many times larger than any answer, so that its scale alone gives it away.
    """
    return mine.x0.square().mean((-2, -1), keepdim=True).sqrt() * mine.normal()


@miner(uses=())
def in_batch(mine: Mine) -> Tensor:
    """The answer to another problem of the batch, the one before: right, but not here.

    Source: van den Oord et al. 2018 (arXiv 1807.03748), section 2.3, whose negatives are the batch's other samples.
    Raises `ParamError` where a batch has no other problem.
    """
    return other_answers(mine, 1)


def other_answers(mine: Mine, shift: int) -> Tensor:
    """Answers (S, B, n, n) of which row i belongs to the problem `shift` rows before."""
    if mine.x0.shape[1] < 2:
        raise ParamError(
            f"batch_size = {mine.x0.shape[1]}: must be at least 2 where negatives are other problems' answers"
        )
    return mine.x0.roll(shift, dims=1)


@miner(uses={"mining_noise_scale"})
def conditional_nce(mine: Mine) -> Tensor:
    """The answer with noise, `mining_noise_scale` times that of its level: what `adversarial` is before it descends.

    Source: Ceylan and Gutmann 2018 (arXiv 1806.03664), section 2; with noise that is symmetric their loss is ours.
    """
    return mine.answer(mine.start())
