"""Iterative baselines: steps and products by hand, convergence, the float32 limit."""

import numpy as np
import pytest
from tiny import frozen_inverse

from anm.baselines.iterative import (
    conjugate_gradients,
    errors_by_products,
    fitted_range,
    iterative_table,
    lu_float32,
    newton_schulz_best,
    newton_schulz_fitted,
)


def diagonal(*eigenvalues):
    return np.diag(np.array(eigenvalues, dtype=np.float32))[None]


def test_newton_schulz_by_hand():
    """Of eigenvalues 1 and 3 the best start is 1/2, so A X has 1/2 and 3/2: an error of 1/2, squared at every step."""
    answers = newton_schulz_best(diagonal(1, 3))
    for wrong in (1 / 4, 1 / 16, 1 / 256):
        _, X = next(answers)
        np.testing.assert_allclose(X[0] * [1, 3], np.eye(2) * (1 - wrong), rtol=1e-6, atol=1e-7)


def test_the_fitted_coefficients_are_optimal_for_their_range():
    """After each step the two ends and the middle of the range are equally far from an inverse."""
    answers = newton_schulz_fitted(0.5, 1.5)
    eigenvalues = np.array([0.5, 1.0, 1.5])
    A = diagonal(*eigenvalues * 10)
    unit = np.linalg.norm(A) / 3**0.5
    _, X = next(answers(diagonal(*np.array([0.5, 1.0, 1.5]) * 10)))
    y = np.diag(X[0] @ A[0])
    assert unit == pytest.approx(10 * np.sqrt(3.5 / 3)) and y.max() <= 2 / (1 + 0.75) + 1e-6
    _, X = next(newton_schulz_fitted(0.5 / np.sqrt(3.5 / 3), 1.5 / np.sqrt(3.5 / 3))(A))
    np.testing.assert_allclose(np.diag(X[0] @ A[0]), [6 / 7, 8 / 7, 6 / 7], rtol=1e-5)


def test_conjugate_gradients_need_as_many_steps_as_there_are_eigenvalues():
    A = diagonal(1, 1, 2, 5)
    found = dict(conjugate_gradients(A))
    assert np.abs(found[1][0] @ A[0] - np.eye(4)).max() < 1e-5  # a column of I meets one eigenvalue here
    rotation, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((4, 4)))
    turned = (rotation @ A[0] @ rotation.T)[None].astype(np.float32)
    found = dict(conjugate_gradients(turned))
    assert (
        np.abs(found[1][0] @ turned[0] - np.eye(4)).max()
        > 1e-2
        > 1e3 * np.abs(found[2][0] @ turned[0] - np.eye(4)).max()
    )


def test_lu_is_the_float32_limit():
    test = frozen_inverse(20, 0.1, 50)
    ((products, error),) = errors_by_products(lu_float32, test)
    assert products == 1 and 1e-16 < error < 1e-9


def test_every_method_in_the_table_converges():
    table = iterative_table(8, 100)
    assert set(table["split"]) == {"same", "harder"} and (table["products"] >= 0).all()
    last = table.groupby(["method", "split"])["mse"].last()
    assert len(last) == 8 and (last < 1e-7).all()
    first = table.groupby(["method", "split"])["mse"].first().drop("lu_float32")
    assert (first > 1e-3).all()


def test_products_by_hand():
    """Newton-Schulz makes two products per iteration, conjugate gradients one, and none at the first iteration."""
    A = frozen_inverse(4, 0.5, 2).problem.numpy()
    assert [products for products, _ in newton_schulz_best(A)][:3] == [0, 2, 4]
    assert [products for products, _ in newton_schulz_fitted(*fitted_range(4))(A)][:3] == [0, 2, 4]
    assert [products for products, _ in conjugate_gradients(A)][:3] == [0, 1, 2]
