"""A linear layer of every seed, with gradients in the layout of the weights."""

import torch
from torch import Tensor


class Affine(torch.autograd.Function):
    """bias + h weight^T for bias (S, 1 or R, out), h (S, R, in) and weight (S, out, in): (S, R, out).

    autograd's own gradient of the weight is a transposed one. Adding such a gradient to that of another product with
    the same weight, or storing it, took a quarter of a step with small batches.
    """

    @staticmethod
    def forward(ctx, bias: Tensor, h: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(h, weight)
        ctx.one_bias = bias.shape[1] == 1
        return torch.baddbmm(bias, h, weight.mT)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:
        h, weight = ctx.saved_tensors
        for_bias, for_h, for_weight = ctx.needs_input_grad
        return (
            (grad.sum(1, keepdim=True) if ctx.one_bias else grad) if for_bias else None,
            grad @ weight if for_h else None,
            grad.mT @ h if for_weight else None,
        )
