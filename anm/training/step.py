"""One training step: draw, noise, mine, two losses, clip, Adam, average."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from anm.miners import MiningContext
from anm.training.ema import update_average
from anm.training.losses import row_losses
from anm.training.state import TrainingState
from anm.utils.random_streams import StreamDraws
from anm.utils.rows import per_row

MAX_GRAD_NORM = 1.0  # as in the code released with arXiv 2406.11179


def training_step(state: TrainingState, compute: Callable[[], None] | None = None) -> None:
    """One optimiser step; `compute`, a CUDA graph, replaces `compute_step(state)` if given."""
    state.set_step_scalars()
    if compute is None:
        compute_step(state)
    else:
        compute()
    state.step += 1


def compute_step(state: TrainingState) -> None:
    """The work of a step; a CUDA graph needs the same operations on the same tensors."""
    # Draw problems, answers, noise levels and noise; mine negatives; both losses per row
    context, eps = draw_batch(state)
    rows = row_losses(context.landscape, context, eps, state.strategy, with_negatives(state, context))

    # loss = denoising + weight * contrastive, one value per seed
    per_seed = {name: rows[name].mean(1) for name in ("denoise", "contrast") if name in rows}
    loss = per_seed["denoise"] + state.scalars["contrastive_weight"] * per_seed.get("contrast", 0.0)

    # Gradients, clipped per seed
    state.optimiser.zero_grad(set_to_none=True)
    loss.sum().backward()  # seeds share no weight, so the gradient of the sum is each seed's own
    grad_norm = clip_per_seed([w.grad for w in state.weights], MAX_GRAD_NORM)

    # Adam, then the moving average of the weights
    state.optimiser.step()
    update_average(state.average.parameters(), state.weights, state.scalars["new_share"])

    # Metrics, which stay on the device
    per_seed |= {"loss": loss, "grad_norm": grad_norm}
    per_seed = {name: value.detach() for name, value in per_seed.items()}
    state.metrics.add(rows, context.t, per_seed)
    state.record_non_finite(per_seed)


def draw_batch(state: TrainingState) -> tuple[MiningContext, Tensor]:
    """The next batch as a miner sees it; the noise of the denoising loss (S, B, *answer shape).

    With `least_noise` below 1, the noise of a row is scaled by a number uniform from there to 1. The sampler goes from
    level to level without fresh noise, so that it visits points with less noise than their level has.
    """
    p, streams = state.params, state.streams
    problem, x0 = state.task.draw(StreamDraws(streams, "problems"), p.batch_size, p.n, state.task.splits["same"])
    t = streams.integers("noise", p.noise_levels, p.batch_size)
    eps = streams.normal("noise", *x0.shape[1:])
    if p.least_noise < 1:
        strength = p.least_noise + (1 - p.least_noise) * (streams.uniform("noise", p.batch_size) + 1) / 2
        eps = per_row(strength, eps) * eps
    encoded = state.model.encode(problem)
    given = (state.model.landscape(encoded, t), state.schedule, p, streams, state.miner_state)
    return MiningContext(state.task, problem, x0, t, *given, model=state.model, encoded=encoded), eps


def with_negatives(state: TrainingState, context: MiningContext) -> MiningContext:
    """The first `negative_share` of the batch's rows, at least one: those that get a negative."""
    if state.params.negative_share == 1:
        return context
    count = max(1, round(state.params.negative_share * state.params.batch_size))
    problem, x0, t = (part[:, :count] for part in (context.problem, context.x0, context.t))
    encoded = state.model.encode(problem)
    landscape = state.model.landscape(encoded, t)
    return replace(context, problem=problem, x0=x0, t=t, encoded=encoded, landscape=landscape)


def clip_per_seed(gradients: list[Tensor], largest: float) -> Tensor:
    """Limit each seed's gradient norm to `largest`, in place; returns the original norms (S,)."""
    norms = torch.stack([torch.linalg.vector_norm(g.flatten(1), dim=1) for g in gradients])
    norm = torch.linalg.vector_norm(norms, dim=0)
    scale = (largest / (norm + 1e-6)).clamp(max=1)
    for gradient in gradients:
        gradient.mul_(scale.view(-1, *[1] * (gradient.ndim - 1)))
    return norm
