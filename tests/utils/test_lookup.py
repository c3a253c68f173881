"""Lookup per noise level: its values and its gradient."""

import pytest
import torch

from anm.utils.lookup import LevelLookup, one_hot


@pytest.mark.parametrize("stack, levels, batch", [(1, 4, 7), (3, 5, 6), (2, 1, 3)])
def test_lookup_and_its_gradient_equal_products_with_one_hot_rows(stack, levels, batch):
    table = torch.randn(stack, levels, 3, dtype=torch.float64, requires_grad=True)
    t = torch.randint(levels, (stack, batch))
    found, expected = LevelLookup.apply(table, t), one_hot(t, levels).double() @ table
    assert torch.equal(found, expected)
    weight = torch.randn_like(found)
    (gradient,) = torch.autograd.grad((found * weight).sum(), table)
    (expected_gradient,) = torch.autograd.grad((expected * weight).sum(), table)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-12, atol=1e-12)
