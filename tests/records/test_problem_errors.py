"""Errors per problem as text: precision, zeros, errors that are not finite, and text of another kind."""

import numpy as np
import pytest

from anm.records.problem_errors import decode, encode


@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (2, 5000)])
def test_errors_are_kept_to_seven_hundredths_of_a_percent(shape):
    errors = np.exp(np.random.default_rng(0).uniform(np.log(1e-30), np.log(2e8), shape))
    found = decode(encode(errors), shape[0])
    assert found.shape == shape and found.dtype == np.float64
    np.testing.assert_allclose(found, errors, rtol=7e-4)


def test_the_precision_is_the_same_for_small_and_large_errors():
    errors = np.exp(np.random.default_rng(1).uniform(np.log(1e-30), np.log(2e8), (1, 20_000)))
    off = np.abs(decode(encode(errors), 1) / errors - 1)
    for part in (errors < 1e-20, errors > 1e4):
        assert 6e-4 < off[part].max() < 7e-4


def test_an_error_takes_two_bytes():
    assert len(encode(np.full((3, 500), 0.1))) == 3 * 500 * 2 * 4 / 3  # base64 has four characters for three bytes


def test_zeros_powers_of_two_and_errors_that_are_not_finite():
    errors = np.array([[0.0, 1.0, 0.125, np.nan], [np.inf, 2.0**20, -1.0, 2.0**29]])
    found = decode(encode(errors), 2)
    np.testing.assert_array_equal(found, [[0.0, 1.0, 0.125, np.nan], [np.nan, 2.0**20, np.nan, np.nan]])


def test_tiny_errors_become_the_smallest_one_and_not_zero():
    np.testing.assert_array_equal(decode(encode(np.array([[1e-300, 5e-324]])), 1), [[2.0**-100] * 2])


def test_the_order_is_seed_by_seed():
    errors = np.arange(1.0, 7.0).reshape(2, 3)
    assert encode(errors) == encode(errors.reshape(1, 6))
    np.testing.assert_allclose(decode(encode(errors), 2), errors, rtol=7e-4)


@pytest.mark.parametrize(
    "text, seeds, said",
    [
        ("AAAA", 1, "buffer size must be a multiple"),  # three bytes
        ("not base64!", 1, "Only base64 data is allowed"),
        ("AAA", 1, "padding"),
        ("", 1, "holds 0 errors"),
        (encode(np.ones((1, 5))), 2, "holds 5 errors, which 2 seeds cannot share; read it with the run's seeds"),
    ],
)
def test_other_text_is_refused(text, seeds, said):
    with pytest.raises(ValueError, match=said):
        decode(text, seeds)
