"""The learning rate by step: constant, cosine, or warm-up, stable, decay (wsd)."""

import math

from anm.params import RunParams

WARMUP_STEPS = 100  # of wsd; the same for every length, so that runs of different lengths share their first part
DECAY_SHARE = 0.25  # of a wsd run's steps, in which the rate falls linearly to zero at the end


def rate_at(params: RunParams, step: int, last: int) -> float:
    """The rate of step 0, 1, ..., last - 1, for a run of `last` steps.

    cosine: half a period from `learning_rate` to zero. Source: Loshchilov and Hutter 2017 (arXiv 1608.03983), eq. 5,
    without restarts. wsd: linear warm-up, constant, linear decay to zero over `DECAY_SHARE` of the steps.
    Source: Hu et al. 2024 (arXiv 2404.06395), section 4.2; linear decay as in Haegele et al. 2024 (arXiv 2405.18392).
    """
    if params.schedule == "cosine":
        return params.learning_rate * 0.5 * (1 + math.cos(math.pi * step / last))
    if params.schedule == "wsd":
        remaining = (last - step) / (last - decay_start(last))
        return params.learning_rate * min(1.0, (step + 1) / WARMUP_STEPS, remaining)
    return params.learning_rate


def decay_start(last: int) -> int:
    """The step with which the decay of a wsd run of `last` steps begins."""
    return last - max(1, round(DECAY_SHARE * last))
