"""Lookup of values per noise level, with a deterministic gradient."""

import torch
from torch import Tensor


def one_hot(t: Tensor, noise_levels: int) -> Tensor:
    """One-hot rows of t (S, B), float32, (S, B, noise_levels).

    Unlike torch's function, it does not read t back to check it. That would make a GPU wait at every step.
    """
    return (t[..., None] == torch.arange(noise_levels, device=t.device)).to(torch.float32)


class LevelLookup(torch.autograd.Function):
    """The table entry of each row's noise level: table (S, T, C), t (S, B) -> (S, B, C).

    Its gradient is a product with one-hot rows. That is deterministic; the gradient of indexing is not.
    """

    @staticmethod
    def forward(ctx, table: Tensor, t: Tensor) -> Tensor:
        ctx.save_for_backward(t)
        ctx.noise_levels = table.shape[1]
        return table[torch.arange(len(table), device=t.device)[:, None], t]

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:
        (t,) = ctx.saved_tensors
        return one_hot(t, ctx.noise_levels).to(grad.dtype).mT @ grad, None
