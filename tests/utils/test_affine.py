"""The linear layer of every seed: its gradients, their derivatives and their layout."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from anm.utils.affine import Affine


def parts(bias_rows):
    """bias, h and weight of 2 seeds, 3 rows, 4 inputs and 5 outputs, in float64."""
    shapes = ((2, bias_rows, 5), (2, 3, 4), (2, 5, 4))
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, dtype=torch.float64, generator=generator, requires_grad=True) for shape in shapes]


@pytest.mark.parametrize("bias_rows", [1, 3])
def test_it_is_the_formula_and_so_are_its_first_and_second_derivatives(bias_rows):
    bias, h, weight = parts(bias_rows)
    torch.testing.assert_close(Affine.apply(bias, h, weight), bias + h @ weight.mT)
    assert torch.autograd.gradcheck(Affine.apply, (bias, h, weight))
    assert torch.autograd.gradgradcheck(Affine.apply, (bias, h, weight))


def test_the_gradient_of_the_weight_has_its_layout():
    bias, h, weight = parts(1)
    Affine.apply(bias, h, weight).sum().backward()
    assert weight.grad.is_contiguous()


def test_gradients_that_nobody_needs_are_not_computed():
    bias, h, weight = parts(1)
    with FlopCounterMode(display=False) as counter:
        Affine.apply(bias, h.detach(), weight).sum().backward()
    assert counter.get_total_flops() == 2 * (2 * 2 * 3 * 4 * 5) and h.grad is None  # the output, and one gradient
