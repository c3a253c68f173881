"""Negatives from random walks down the energy: samples of the model, or nearly so."""

import torch
from torch import Tensor

from anm.landscape import bounded
from anm.miners.base import Mine, miner


def walk(mine: Mine, x_t: Tensor) -> Tensor:
    """x_t after `mining_opt_steps` landscape steps with noise, every one of them kept.

    x <- clip(x - eta_t eps_hat + langevin_noise sqrt(2 beta_t) z): with langevin_noise = 1, Langevin dynamics of the
    level's own density, whose score is -eps_hat / sqrt(1 - alpha_bar_t), with a step of beta_t. Source: Du and
    Mordatch 2019 (arXiv 1903.08689), eq. 1; noise and step are tied here, and free numbers there.
    """
    step_size = mine.schedule.at("step_size", mine.t)
    noise = mine.params.langevin_noise * (2 * step_size * mine.schedule.at("sqrt_noise", mine.t)).sqrt()
    for _ in range(mine.params.mining_opt_steps):
        _, eps_hat = mine.landscape(x_t)
        x_t = bounded(
            x_t - step_size * eps_hat + noise * mine.normal(), mine.t, mine.schedule, mine.params.answer_bound
        )
    return x_t


@miner(uses={"mining_opt_steps", "mining_noise_scale", "langevin_noise"})
def langevin(mine: Mine) -> Tensor:
    """From where `adversarial` starts, `mining_opt_steps` landscape steps with noise.

    Source: Du and Mordatch 2019 (arXiv 1903.08689), algorithm 1, which starts from noise alone.
    """
    return mine.answer(walk(mine, mine.start()))


@miner(uses={"mining_opt_steps", "mining_noise_scale", "langevin_noise", "replay_size", "replay_fresh"})
def replay(mine: Mine) -> Tensor:
    """As `langevin`, started from a buffer of the last `replay_size` negatives, but for a share `replay_fresh` of rows.

    Each seed has its buffer, at first of random matrices. Problems are new at every step, so a walk goes on with another
    problem's negative, at whatever level the row has. Source: Tieleman 2008 (persistent contrastive divergence); the
    buffer and its fresh share as in Du and Mordatch 2019 (arXiv 1903.08689), section 3.2.
    """
    buffer, places = stored(mine), mine.streams.integers("miner", mine.params.replay_size, mine.x0.shape[1])
    earlier = buffer[torch.arange(len(buffer), device=buffer.device)[:, None], places]
    fresh = mine.streams.uniform("miner", mine.x0.shape[1]) < 2 * mine.params.replay_fresh - 1  # a draw from [-1, 1)
    x_t = torch.where(fresh[..., None, None], mine.start(), mine.schedule.at("sqrt_alpha_bar", mine.t) * earlier)
    negative = mine.answer(walk(mine, x_t)).clamp(-mine.params.answer_bound, mine.params.answer_bound)
    store(mine, negative)
    return negative


def stored(mine: Mine) -> Tensor:
    """The buffer (S, replay_size, n, n), made when it is first asked for; it goes into checkpoints with the miner's state."""
    if "replay/buffer" not in mine.state:
        n, bound = mine.params.n, mine.params.answer_bound
        mine.state["replay/buffer"] = mine.streams.normal("miner", mine.params.replay_size, n, n).clamp(-bound, bound)
        mine.state["replay/next"] = torch.zeros((), dtype=torch.int64, device=mine.x0.device)
    return mine.state["replay/buffer"]


def store(mine: Mine, negative: Tensor) -> None:
    """Put negatives (S, B, n, n) in the place of the buffer's oldest."""
    buffer = mine.state["replay/buffer"]
    newest = negative[:, -buffer.shape[1] :]
    places = (mine.state["replay/next"] + torch.arange(newest.shape[1], device=buffer.device)) % buffer.shape[1]
    buffer.index_copy_(1, places, newest)
    mine.state["replay/next"].copy_((places[-1] + 1) % buffer.shape[1])
