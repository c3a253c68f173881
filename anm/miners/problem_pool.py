"""Negatives of a pool of problems: one landscape step at every visit."""

import torch
from torch import Tensor

from anm.miners.context import MiningContext
from anm.registry import miner
from anm.utils.rows import per_row

PARTS = ("problem", "x0", "x_t")


@miner(uses={"mining_noise_scale", "pool_size", "replay_fresh"})
def pool(context: MiningContext) -> Tensor:
    """Hard negatives of a pool of problems, each one landscape step further at every visit.

    Each seed has `pool_size` problems a noise level; the rows of that level visit them in turn, and the contrastive
    loss uses them in place of the batch's. A row goes on with the descent that it finds. It starts a new one, with the
    batch's own problem from the start of `adversarial`, where there is none yet, where the negative has become a right
    answer, and in a share `replay_fresh` of rows. So a long descent costs one landscape step per training step.
    Source: chains that go on, Tieleman 2008, doi:10.1145/1390156.1390290; negatives that are hard and not right,
    Robinson et al. 2021 (arXiv 2010.04592). Departure: there, the loss corrects for right ones; here they start anew.
    """
    state, (place, known) = pool_state(context), visit(context)
    seeds = torch.arange(len(place), device=place.device)[:, None]
    old = {name: state[name][seeds, place] for name in PARTS}
    new = {"problem": context.problem, "x0": context.x0, "x_t": context.start()}
    anew = context.streams.uniform("miner", place.shape[1]) < 2 * context.params.replay_fresh - 1  # a draw from [-1, 1)
    go_on = known & ~anew & ~right(context, old)
    row = {name: torch.where(per_row(go_on, new[name]), old[name], new[name]) for name in PARTS}
    context.replace_problems(row["problem"], row["x0"])
    row["x_t"] = context.descend(row["x_t"], steps=1)
    for name in PARTS:
        state[name].index_put_((seeds, place), row[name])
    return context.answer(row["x_t"])


def pool_state(context: MiningContext) -> dict[str, Tensor]:
    """The pool's tensors, created empty at the first call; checkpoints save them with the miner's state.

    problem, x0, x_t: (S, T pool_size + 1, *shape), level by level; the last place is spare. known: whether a problem
    is there (S, T pool_size + 1). next: the place in its level that the next row visits (S, T).
    """
    stack, T, device = len(context.t), context.params.noise_levels, context.t.device
    places = T * context.params.pool_size + 1
    if "pool/next" not in context.state:
        for name, like in {"problem": context.problem, "x0": context.x0, "x_t": context.x0}.items():
            context.state[f"pool/{name}"] = like.new_zeros(stack, places, *like.shape[2:])
        context.state["pool/known"] = torch.zeros(stack, places, dtype=torch.bool, device=device)
        context.state["pool/next"] = torch.zeros(stack, T, dtype=torch.int64, device=device)
    return {name: context.state[f"pool/{name}"] for name in (*PARTS, "known", "next")}


def visit(context: MiningContext) -> tuple[Tensor, Tensor]:
    """The place of each row in the pool, and whether a problem was there before, each (S, B).

    A level's rows take its places in turn. Rows beyond the number of its places get the spare one, which stays empty.
    """
    state, size, t = pool_state(context), context.params.pool_size, context.t
    at_level = (t[..., None] == torch.arange(context.params.noise_levels, device=t.device)).long()
    rank = (at_level.cumsum(1) * at_level).sum(-1) - 1  # of the row among those of its level
    in_turn = t * size + (state["next"].gather(1, t) + rank) % size
    place = torch.where(rank < size, in_turn, state["known"].shape[1] - 1)
    known = state["known"].gather(1, place)
    state["known"].scatter_(1, place, rank < size)
    state["next"].add_(at_level.sum(1)).remainder_(size)
    return place, known


def right(context: MiningContext, pooled: dict[str, Tensor]) -> Tensor:
    """Which negatives of the pool are right answers (S, B), as the log counts them; none where nobody can tell."""
    params, task = context.params, context.task
    if not task.verifiable:
        return torch.zeros_like(context.t, dtype=torch.bool)
    answer = context.answer(pooled["x_t"]).clamp(-params.answer_bound, params.answer_bound)
    return task.violation(pooled["problem"], answer) < (params.false_negative_residual or task.right_below)
