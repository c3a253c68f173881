"""The inverted sign-flip test against values worked by hand, an enumeration of shifts, and the t interval."""

import numpy as np
import pytest
from scipy import stats

from anm.analysis.sign_flips import inverted_interval, one_sided_p, two_sided_p, typical_values
from anm.analysis.statistics import sign_flip_p

SIZES = (6, 7, 8, 11, 16)


def test_four_differences_by_hand():
    values = typical_values(np.array([1.0, 3, 5, -1]))
    by_hand = [-1, 0, 1, 1, 1, 5 / 3, 2, 2, 2, 7 / 3, 3, 3, 3, 4, 5]  # the means of all 15 subsets
    assert values == pytest.approx(by_hand)
    # of 16 flips, 1 + 2 of those means reach the sum of the data from below: p = 2 * 3 / 16
    assert one_sided_p(values) == (3 / 16, 15 / 16) and two_sided_p(values) == 6 / 16
    # at 50 %, a shift is rejected with at most 4 of 16 flips on a side: the fourth means from both ends
    assert inverted_interval(values, 0.5) == (1, 3)
    assert inverted_interval(values) == (-np.inf, np.inf)


@pytest.mark.parametrize("seeds", SIZES)
def test_the_interval_is_the_set_of_shifts_that_are_not_rejected(seeds):
    random = np.random.default_rng(seeds)
    for _ in range(3):
        differences = random.standard_exponential(seeds)
        for level in (0.95, 0.9):
            low, high = inverted_interval(typical_values(differences), level)
            inside, outside = [low + 1e-6, (low + high) / 2, high - 1e-6], [low - 1e-6, high + 1e-6]
            assert all(sign_flip_p(differences - shift) > 1 - level for shift in inside)
            assert all(sign_flip_p(differences - shift) <= 1 - level for shift in outside)


@pytest.mark.parametrize("seeds", (1, 2, 5, *SIZES))
def test_p_is_the_exact_test_s(seeds):
    random = np.random.default_rng(seeds)
    for shift in (-0.5, 0, 1):
        differences = random.normal(shift, 1, seeds).round(1)  # rounded, so that some sums are equal
        assert two_sided_p(typical_values(differences)) == pytest.approx(sign_flip_p(differences), abs=1e-15)


def test_p_of_many_seeds_is_near_the_other_random_flips():
    differences = np.random.default_rng(0).normal(0.3, 1, 30)
    p = two_sided_p(typical_values(differences))
    assert p == pytest.approx(sign_flip_p(differences), abs=5e-3) and 0.01 < p < 0.5


@pytest.mark.parametrize("seeds", [*SIZES, 17, 30])
def test_p_is_below_5_percent_exactly_if_the_interval_excludes_zero(seeds):
    random = np.random.default_rng(seeds)
    values = typical_values(random.normal(2 / np.sqrt(seeds), 1, (40, seeds)))
    low, high = inverted_interval(values)
    excluded = (low > 0) | (high < 0)
    assert (excluded == (two_sided_p(values) < 0.05)).all() and 0 < excluded.sum() < 40


@pytest.mark.parametrize("seeds, level, finite", [(5, 0.95, False), (6, 0.95, True), (4, 0.9, False), (5, 0.9, True)])
def test_the_fewest_seeds_with_an_interval(seeds, level, finite):
    ends = inverted_interval(typical_values(np.arange(1.0, seeds + 1)), level)
    assert np.isfinite(ends).all() == finite
    assert ends == ((1, seeds) if finite else (-np.inf, np.inf))


@pytest.mark.parametrize("seeds", (8, 30))
def test_shifts_scales_and_signs(seeds):
    differences = np.random.default_rng(1).standard_normal(seeds)
    low, high = inverted_interval(typical_values(differences))
    assert low < differences.mean() < high
    assert inverted_interval(typical_values(2 - 3 * differences)) == pytest.approx((2 - 3 * high, 2 - 3 * low))
    values = typical_values(differences)
    assert one_sided_p(values, 0.1) == pytest.approx(one_sided_p(typical_values(differences - 0.1)))


def test_the_interval_is_near_the_t_interval_on_normal_differences():
    differences = np.random.default_rng(2).normal(5, 2, 30)
    expected = stats.t.interval(0.95, 29, differences.mean(), stats.sem(differences))
    assert inverted_interval(typical_values(differences)) == pytest.approx(expected, abs=0.03)


def test_equal_differences():
    for seeds in (6, 30):
        assert inverted_interval(typical_values(np.full(seeds, 0.7))) == pytest.approx((0.7, 0.7))
        assert two_sided_p(typical_values(np.zeros(seeds))) == 1


def test_rows_are_independent():
    differences = np.random.default_rng(3).standard_normal((3, 17))
    values = typical_values(differences)
    for row, expected in zip(differences, np.transpose(inverted_interval(values))):
        assert inverted_interval(typical_values(row)) == pytest.approx(expected)
    assert two_sided_p(values) == pytest.approx([two_sided_p(typical_values(row)) for row in differences])
