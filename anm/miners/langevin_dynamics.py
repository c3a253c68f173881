"""Negatives from descent with noise: approximate samples of the energy's density."""

import torch
from torch import Tensor

from anm.miners.context import MiningContext
from anm.registry import miner
from anm.solvers.descent import clip_answer
from anm.utils.rows import per_row


def langevin_steps(context: MiningContext, x_t: Tensor) -> Tensor:
    """x_t after `mining_opt_steps` landscape steps with noise, without acceptance.

    x <- clip(x - eta_t eps_hat + langevin_noise sqrt(2 beta_t) z), with z from N(0, 1). With langevin_noise = 1,
    this is Langevin dynamics with step beta_t for the density of the level, whose score is
    -eps_hat / sqrt(1 - alpha_bar_t). Source: Du and Mordatch 2019 (arXiv 1903.08689), eq. 1. Departure: there,
    noise and step size are free numbers.
    """
    t, schedule = context.t, context.schedule
    step_size = schedule.at("step_size", t, x_t)
    noise = context.params.langevin_noise * (2 * step_size * schedule.at("sqrt_noise", t, x_t)).sqrt()
    for _ in range(context.params.mining_opt_steps):
        _, eps_hat = context.landscape(x_t)
        x_t = x_t - step_size * eps_hat + noise * context.normal()
        x_t = clip_answer(x_t, t, schedule, context.params.answer_bound)
    return x_t


@miner(uses={"mining_opt_steps", "mining_noise_scale", "langevin_noise"})
def langevin(context: MiningContext) -> Tensor:
    """`mining_opt_steps` landscape steps with noise from the start of `adversarial`.

    Source: Du and Mordatch 2019 (arXiv 1903.08689), algorithm 1. Departure: there, chains start from noise alone.
    """
    return context.answer(langevin_steps(context, context.start()))


@miner(uses={"mining_opt_steps", "mining_noise_scale", "langevin_noise", "replay_size", "replay_fresh"})
def replay(context: MiningContext) -> Tensor:
    """As `langevin`, but most chains start from earlier negatives; a share `replay_fresh` starts as there.

    Each seed has a buffer of its last `replay_size` negatives, at first random matrices. Problems are new at every
    step. So a chain continues from the negative of another problem, at the noise level of its new row.
    Source: Tieleman 2008 (persistent contrastive divergence); buffer and fresh share as in Du and Mordatch 2019
    (arXiv 1903.08689), section 3.2.
    """
    params, streams, batch = context.params, context.streams, context.x0.shape[1]
    buffer, places = replay_buffer(context), streams.integers("miner", params.replay_size, batch)
    earlier = buffer[torch.arange(len(buffer), device=buffer.device)[:, None], places]
    fresh = streams.uniform("miner", batch) < 2 * params.replay_fresh - 1  # a draw from [-1, 1)
    from_buffer = context.schedule.at("sqrt_alpha_bar", context.t, earlier) * earlier
    x_t = torch.where(per_row(fresh, from_buffer), context.start(), from_buffer)
    negative = context.answer(langevin_steps(context, x_t)).clamp(-params.answer_bound, params.answer_bound)
    append_to_buffer(context, negative)
    return negative


def replay_buffer(context: MiningContext) -> Tensor:
    """The buffer (S, replay_size, *shape), created at the first call; checkpoints save it with the miner's state."""
    if "replay/buffer" not in context.state:
        size, bound = context.params.replay_size, context.params.answer_bound
        context.state["replay/buffer"] = context.streams.normal("miner", size, *context.x0.shape[2:]).clamp(
            -bound, bound
        )
        context.state["replay/next"] = torch.zeros((), dtype=torch.int64, device=context.x0.device)
    return context.state["replay/buffer"]


def append_to_buffer(context: MiningContext, negative: Tensor) -> None:
    """Replace the oldest entries of the buffer by negatives (S, B, *shape)."""
    buffer = context.state["replay/buffer"]
    newest = negative[:, -buffer.shape[1] :]
    places = (context.state["replay/next"] + torch.arange(newest.shape[1], device=buffer.device)) % buffer.shape[1]
    buffer.index_copy_(1, places, newest)
    context.state["replay/next"].copy_((places[-1] + 1) % buffer.shape[1])
