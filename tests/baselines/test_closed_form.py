"""Closed-form baselines against earlier results, a larger sample, and exact values."""

import math

import numpy as np
import pytest
import torch
from tiny import INVERSE, frozen_inverse

from anm.baselines import closed_form
from anm.baselines.closed_form import (
    CONSTANT,
    LINEAR,
    affine_fit,
    closed_form_table,
    constant_fit,
    errors_of,
    fitted_baselines,
    linear_fit,
    matrix_polynomial,
    mean_with_error,
    polynomial_fit,
)
from anm.baselines.published import PUBLISHED
from anm.tasks import FrozenSet, get
from anm.tasks.frozen import FIT_STREAM
from anm.tasks.inverse import definite_start, newton_schulz, transpose_start

BY_NAME = {reference.name: reference for reference in closed_form.baselines_of(INVERSE, 5)}

# Measured before, by other code, for n = 20 and c = 0.5 / 0.1: the figure and half a unit of its last digit,
# or its standard error where it came with one.
KNOWN = {
    "constant": ((0.01415, 5e-6), (0.2290, 5e-5)),
    "affine": ((0.00956, 2e-6), (0.2077, 4e-4)),
    "polynomial_2": ((0.00652, 5e-6), (0.1909, 5e-5)),
    "polynomial_4": ((0.00315, 5e-6), (0.1663, 5e-5)),
    "polynomial_10": ((0.00040, 5e-6), (0.1216, 5e-5)),
    "newton_schulz_16": ((5.5e-5, 5e-7), (0.166, 5e-4)),
    "newton_schulz_20": ((0.0, 5e-7), (0.0043, 5e-5)),
}

# The same from 400,000 fresh problems of another generator, by scalar arithmetic on eigenvalues: value, standard error.
SAMPLED = {
    "affine": ((0.009564, 2.7e-6), (0.207732, 1.3e-4)),
    "polynomial_2": ((0.00653009, 1.9e-6), (0.190969, 1.2e-4)),
    "polynomial_4": ((0.00316939, 2.4e-6), (0.166295, 1.1e-4)),
    "polynomial_10": ((0.000459986, 2.8e-5), (0.121367, 8.9e-5)),
    "newton_schulz_16": ((5.70184e-5, 1.2e-7), (0.165842, 1.2e-4)),
    "newton_schulz_20": ((0.0, 1e-16), (0.00429569, 8.2e-6)),
}


class Counting(np.ndarray):
    """An array that counts its matrix products."""

    products = 0

    def __matmul__(self, other):
        Counting.products += 1
        return super().__matmul__(other)


@pytest.fixture(scope="module")
def table():
    return closed_form_table(INVERSE, 20, 20_000).set_index("reference")


def spd(eigenvalues, seed=0):
    """A symmetric matrix with these eigenvalues, (1, n, n)."""
    turn, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(len(eigenvalues), len(eigenvalues))))
    return (turn @ np.diag(eigenvalues) @ turn.T)[None]


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("place, split", [(0, "same"), (1, "harder")])
def test_earlier_results_are_reproduced(table, name, place, split):
    figure, rounding = KNOWN[name][place]
    # Nothing is known of the earlier sample; it is taken to be of our size, and so as uncertain as ours.
    allowed = 3 * math.sqrt(2) * table.loc[name, f"mse_{split}_se"] + rounding
    assert abs(table.loc[name, f"mse_{split}"] - figure) <= allowed


@pytest.mark.parametrize("name", SAMPLED)
@pytest.mark.parametrize("place, split", [(0, "same"), (1, "harder")])
def test_a_larger_sample_is_reproduced(table, name, place, split):
    figure, error = SAMPLED[name][place]
    assert abs(table.loc[name, f"mse_{split}"] - figure) <= 3 * math.hypot(error, table.loc[name, f"mse_{split}_se"])


def test_the_table_has_every_baseline_in_order_and_lu_is_the_limit(table):
    assert list(table.index) == list(BY_NAME)
    assert list(table.columns) == ["kind", "products", "mse_same", "mse_same_se", "mse_harder", "mse_harder_se"]
    assert table.loc["lu", "mse_same"] < 1e-15 and table.loc["lu", "mse_harder"] < 1e-14
    assert table.loc["newton_schulz_spd_10", "mse_harder"] < table.loc["polynomial_10", "mse_harder"]


def test_the_fitting_set_is_outside_every_test_set():
    known = frozen_inverse(20, 0.5, 1000, FIT_STREAM).problem.numpy()
    tested = frozen_inverse(20, 0.5, 1000).problem.numpy()
    assert not {A.tobytes() for A in known} & {A.tobytes() for A in tested}


def test_the_fit_does_not_see_the_test_set():
    first = [predict(np.eye(3)[None]) for _, predict in fitted_baselines(INVERSE, 3)]
    closed_form_table(INVERSE, 3, 10)
    closed_form.fitted_baselines.cache_clear()
    closed_form_table(INVERSE, 3, 500)
    again = [predict(np.eye(3)[None]) for _, predict in fitted_baselines(INVERSE, 3)]
    assert len(first) == len(again) > 5 and all(map(np.array_equal, again, first))


def test_constant_is_the_mean_inverse():
    X = np.arange(12.0).reshape(3, 2, 2)
    predict = constant_fit(np.zeros((3, 2, 2)), X)
    assert np.array_equal(predict(np.ones((5, 2, 2))), np.tile([[4.0, 5], [6, 7]], (5, 1, 1)))


def rank_deficient(N, shape):
    """Problems whose entries are linearly dependent: those of symmetric matrices, or all multiples of the first."""
    problem = np.random.default_rng(N).normal(size=(N, *shape))
    return problem + problem.swapaxes(1, 2) if len(shape) == 2 else problem[:, :1] * np.arange(1.0, 1 + shape[0])


@pytest.mark.parametrize("shape, answer_shape", [((3, 3), (3, 3)), ((4,), (2,)), ((2, 2), (3,))])
def test_linear_is_least_squares_with_a_constant_even_where_entries_depend_on_each_other(shape, answer_shape):
    problem, tested = rank_deficient(300, shape), rank_deficient(20, shape)
    total = problem.reshape(300, -1).sum(1).reshape(300, *[1] * len(answer_shape))
    answer = total + np.random.default_rng(1).normal(size=(300, *answer_shape))
    design, new = (np.c_[np.ones(len(part)), part.reshape(len(part), -1)] for part in (problem, tested))
    expected = new @ np.linalg.lstsq(design, answer.reshape(300, -1), rcond=1e-10)[0]
    found = linear_fit(problem, answer)(tested)
    assert found.shape == (20, *answer_shape) and found.reshape(20, -1) == pytest.approx(expected, abs=1e-9)


def test_addition_is_linear_and_no_polynomial_of_it_exists():
    table = closed_form_table(get("addition"), 3, 50).set_index("reference")
    assert list(table.index) == ["constant", "least squares", "sum"]
    assert list(table["kind"]) == ["constant", "least squares", "limit"]
    # R1 + R2 are uniform on (-1, 1) each: variance 2 / 3
    assert table.loc["constant", "mse_same"] == pytest.approx(2 / 3, rel=0.1)
    assert table.loc["least squares", "mse_harder"] < 1e-12


@pytest.mark.parametrize("task", ["square_root", "square_root_many", "connectivity", "completion"])
def test_polynomials_are_for_symmetric_matrices(task):
    names = [reference.name for reference in closed_form.baselines_of(get(task), 12)]
    assert names[0] == "constant" and "least squares" in names and len(set(names)) == len(names)
    assert {"affine", "polynomial_10"} <= set(names) if task != "completion" else "affine" not in names


def test_a_reference_is_scored_on_at_most_so_many_problems(monkeypatch):
    seen = []
    slow = CONSTANT._replace(problems=7)
    pairs = [(slow, np.zeros_like), (LINEAR, np.zeros_like)]
    monkeypatch.setattr(closed_form, "fitted_baselines", lambda task, n: pairs)
    monkeypatch.setattr(closed_form, "errors_of", lambda predict, frozen: seen.append(len(frozen)) or np.zeros(2))
    closed_form_table(INVERSE, 3, 20)
    closed_form_table(INVERSE, 3, 5)
    assert seen == [7, 7, 20, 20, 5, 5, 5, 5]


@pytest.mark.parametrize("degree", [1, 2, 4])
def test_the_polynomial_is_least_squares_on_entries(degree):
    known, tested = frozen_inverse(4, 0.5, 300, FIT_STREAM), frozen_inverse(4, 0.5, 20)
    A, X, B = (part.numpy().astype(float) for part in (known.problem, known.answer, tested.problem))
    powers = np.stack([np.linalg.matrix_power(A, k).ravel() for k in range(degree + 1)], axis=1)
    coefficients = np.linalg.lstsq(powers, X.ravel(), rcond=None)[0]
    by_powers = sum(c * np.linalg.matrix_power(B, k) for k, c in enumerate(coefficients))
    assert polynomial_fit(degree)(A, X)(B) == pytest.approx(by_powers, rel=1e-5, abs=1e-6)


def test_a_polynomial_through_every_eigenvalue_is_the_inverse():
    A = np.concatenate([spd([1.0, 2.0, 1.0]), spd([2.0, 2.0, 1.0], seed=1)])
    assert affine_fit(A, np.linalg.inv(A))(A) == pytest.approx(1.5 * np.eye(3) - 0.5 * A)
    assert affine_fit(A, np.linalg.inv(A))(A) == pytest.approx(np.linalg.inv(A))


@pytest.mark.parametrize("degree", [1, 2, 3, 4, 10])
def test_a_matrix_polynomial_acts_on_eigenvalues(degree):
    scalar = np.polynomial.Chebyshev(np.random.default_rng(degree).normal(size=degree + 1), domain=[-2, 5])
    eigenvalues, turn = np.linalg.eigh(spd([0.5, 1.0, 3.0, 4.5])[0])
    assert matrix_polynomial(scalar, spd([0.5, 1.0, 3.0, 4.5])) == pytest.approx(
        ((turn * scalar(eigenvalues)) @ turn.T)[None], rel=1e-10, abs=1e-10
    )


def parts_of(frozen):
    """Problems and answers, float64."""
    return frozen.problem.numpy().astype(float), frozen.answer.numpy().astype(float)


@pytest.mark.parametrize("name", [name for name in BY_NAME if name not in ("lu", "least squares")])
def test_the_stated_products_are_made(name):
    known = frozen_inverse(5, 0.5, 50, FIT_STREAM)
    predict = BY_NAME[name].fit(*parts_of(known))
    Counting.products = 0
    predict(parts_of(known)[0].view(Counting))
    assert Counting.products == BY_NAME[name].products


@pytest.mark.parametrize("start", [transpose_start, definite_start])
def test_newton_schulz_squares_its_residual_until_it_is_the_inverse(start):
    A = frozen_inverse(6, 0.5, 30).problem.numpy().astype(float)
    X = start(A)
    for _ in range(5):
        residual, X = np.eye(6) - A @ X, newton_schulz(A, X, 1)
        assert np.eye(6) - A @ X == pytest.approx(residual @ residual, abs=1e-12)
    assert newton_schulz(A, start(A), 40) == pytest.approx(np.linalg.inv(A), abs=1e-9)


def test_the_transpose_start_takes_any_invertible_matrix():
    A = np.array([[[0.0, -3, 1], [2, 0, 0], [0, 1, 5]]])
    assert newton_schulz(A, transpose_start(A), 40) == pytest.approx(np.linalg.inv(A), abs=1e-12)


@pytest.mark.parametrize("A", [np.eye(3)[None] * 7, np.array([[[0.3]]])])
def test_the_definite_start_is_exact_where_the_norm_is_the_eigenvalue(A):
    assert definite_start(A) == pytest.approx(np.linalg.inv(A))


def test_lu_is_the_inverse():
    A = spd([1.0, 10.0, 1e4])
    assert BY_NAME["lu"].fit(None, None)(A) @ A == pytest.approx(np.eye(3)[None], abs=1e-10)


def small_set(X):
    X = torch.tensor(X, dtype=torch.float32)
    return FrozenSet(INVERSE, 0.5, torch.zeros_like(X), X, torch.zeros_like(X), np.ones(len(X)))


def test_scores_by_hand():
    test = small_set([[[1.0, 1], [1, 1]], [[3.0, 1], [1, 1]]])  # squared errors of "zero": 1 and 12 / 4
    mse, se = mean_with_error(errors_of(np.zeros_like, test))
    assert mse == 2 and se == pytest.approx(1.0)  # sd sqrt(2), of two
    mse, se = mean_with_error(errors_of(np.zeros_like, small_set([[[2.0]]])))
    assert mse == 4 and math.isnan(se)


@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_a_score_does_not_depend_on_the_batch(monkeypatch, batch):
    test = frozen_inverse(5, 0.1, 200)
    whole = [errors_of(predict, test) for _, predict in fitted_baselines(INVERSE, 5)]
    monkeypatch.setattr(closed_form, "BATCH", batch)
    for (_, predict), errors in zip(fitted_baselines(INVERSE, 5), whole):
        assert errors_of(predict, test) == pytest.approx(errors, rel=1e-9, abs=1e-18)


@pytest.mark.parametrize("n", [1, 2, 33])
def test_other_sizes(n):
    frame = closed_form_table(INVERSE, n, 3)
    values = frame.drop(columns=["reference", "kind", "products"]).to_numpy(float)
    assert np.isfinite(values).all() and frame["mse_same"].iloc[-1] < 1e-12


def test_the_published_tables_are_complete():
    by_table = {}
    for row in PUBLISHED:
        assert 0.009 < row.mse_same < 0.0125 and row.source and row.method
        by_table.setdefault(row.table, []).append(row)
    assert [len(rows) for rows in by_table.values()] == [6, 4, 1, 3]
    best = min(by_table["1"], key=lambda row: row.mse_same)
    assert (best.method, best.mse_same, best.mse_harder) == ("IRED", 0.0095, 0.2063) and "2406.11179" in best.source


def test_the_affine_fit_reaches_the_best_published_mse(table):
    best = min(row.mse_same for row in PUBLISHED)
    assert table.loc["affine", "mse_same"] == pytest.approx(best, abs=1e-4)
