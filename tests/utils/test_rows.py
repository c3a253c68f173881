"""Values per row, by hand and at every number of dimensions of an answer."""

import pytest
import torch

from anm.utils.rows import entries, mean_square, per_row, rms

X = torch.tensor([[[[3.0, 4.0], [0.0, 0.0]], [[1.0, 1.0], [1.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]]])
SHAPES = [(3,), (2, 3), (2, 1, 3)]


def test_by_hand():
    assert mean_square(X).tolist() == [[25 / 4, 1.0, 0.0]]
    assert rms(X).shape == (1, 3, 1, 1) and rms(X).flatten().tolist() == [2.5, 1.0, 0.0]
    values = torch.tensor([[2.0, 3.0, 4.0]])
    assert (per_row(values, X) * X).flatten(2).sum(-1).tolist() == [[14.0, 12.0, 0.0]]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_row_is_the_mean_over_all_of_its_entries_and_no_others(shape):
    x = torch.randn(2, 5, *shape, generator=torch.Generator().manual_seed(0))
    assert entries(x) == tuple(range(2, 2 + len(shape)))
    for s in range(2):
        for b in range(5):
            expected = x[s, b].pow(2).sum() / x[s, b].numel()
            torch.testing.assert_close(mean_square(x)[s, b], expected)
            torch.testing.assert_close(rms(x)[s, b].squeeze(), expected.sqrt())
    assert mean_square(x).shape == (2, 5) and rms(x).shape == (2, 5, *[1] * len(shape))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_value_per_row_multiplies_every_entry_of_its_row(shape):
    x, values = torch.ones(2, 3, *shape), torch.arange(6.0).view(2, 3)
    product = per_row(values, x) * x
    assert product.shape == x.shape
    assert all((product[s, b] == 3 * s + b).all() for s in range(2) for b in range(3))


def test_masks_stay_masks():
    mask = torch.tensor([[True, False, True]])
    assert per_row(mask, X).dtype == torch.bool
    assert torch.where(per_row(mask, X), X, -1.0).flatten(2).sum(-1).tolist() == [[7.0, -4.0, 0.0]]
