"""The crossed bootstrap against values worked by hand, and a resampling by loops."""

import math

import numpy as np
import pytest

from anm.analysis.crossed_bootstrap import crossed_ratio, resampling_weights


def random_errors(seeds=8, problems=40):
    return np.exp(np.random.default_rng(0).standard_normal((2, seeds, problems)))


def ends(found):
    return [found[name] for name in ("ci_low", "ci_high")]


def test_four_by_two_by_hand():
    errors = np.array([[1.0, 3], [2, 2], [3, 1], [4, 4]])  # means 2, 2, 2, 4
    baseline = np.array([[1.0, 1], [1, 1], [1, 1], [1, 1]])
    found = crossed_ratio(errors, baseline)
    assert found["ratio"] == pytest.approx(32 ** (1 / 4)) and (found["n_seeds"], found["problems"]) == (4, 2)
    assert 1 <= found["ci_low"] < found["ratio"] < found["ci_high"] <= 4


def test_the_same_resampling_by_loops():
    errors, baseline = random_errors(5, 7)
    seed_weights, problem_weights = resampling_weights(5, 7, 50)
    resampled = []
    for seeds, problems in zip(np.rint(5 * seed_weights).astype(int), np.rint(7 * problem_weights).astype(int)):
        assert seeds.sum() == 5 and problems.sum() == 7
        drawn = np.ix_(np.repeat(range(5), seeds), np.repeat(range(7), problems))
        resampled.append(np.log(errors[drawn].mean(1)).mean() - np.log(baseline[drawn].mean(1)).mean())
    expected = np.exp(np.quantile(resampled, [0.05, 0.95]))
    assert ends(crossed_ratio(errors, baseline, resamples=50, level=0.9)) == pytest.approx(expected)


def test_the_weights_are_drawn_independently_with_the_variance_of_draws_with_replacement():
    seeds, problems = resampling_weights(10, 20, 5000)
    assert (10 * seeds).var() == pytest.approx(0.9, rel=0.03) and (20 * problems).var() == pytest.approx(0.95, rel=0.03)
    assert abs(np.corrcoef(seeds[:, 0], problems[:, 0])[0, 1]) < 0.06


def test_a_constant_ratio_has_no_uncertainty():
    _, baseline = random_errors()
    found = crossed_ratio(3 * baseline, baseline)
    assert [found["ratio"], *ends(found)] == pytest.approx([3, 3, 3])


def test_the_interval_brackets_the_ratio_and_scales_with_it():
    errors, baseline = random_errors()
    found = crossed_ratio(errors, baseline)
    assert found["ci_low"] < found["ratio"] < found["ci_high"] and found == crossed_ratio(errors, baseline)
    assert ends(crossed_ratio(7 * errors, baseline)) == pytest.approx([7 * end for end in ends(found)])
    level = np.exp(np.random.default_rng(1).standard_normal((8, 1)))
    assert ends(crossed_ratio(level * errors, level * baseline)) == pytest.approx(ends(found))


def test_seeds_and_problems_both_widen_the_interval():
    random = np.random.default_rng(0)
    by_seed, by_problem = np.exp(0.1 * random.standard_normal((10, 1))), np.exp(0.3 * random.standard_normal(90))
    baseline = np.ones((10, 90))

    def width(errors):
        return np.ptp(np.log(ends(crossed_ratio(errors, baseline))))

    seeds, problems, both = (width(baseline * each) for each in (by_seed, by_problem, by_seed * by_problem))
    assert both == pytest.approx(math.hypot(seeds, problems), rel=0.1)
    # 1.96 standard errors on each side; a bootstrap has the variance of N values, not of N - 1
    assert seeds == pytest.approx(2 * 1.96 * np.log(by_seed).std() / math.sqrt(10), rel=0.1)
    assert problems == pytest.approx(2 * 1.96 * by_problem.std() / by_problem.mean() / math.sqrt(90), rel=0.1)


def test_seeds_that_are_not_finite_are_left_out():
    errors, baseline = random_errors()
    expected = crossed_ratio(errors[2:], baseline[2:])
    errors[0, 3], baseline[1, 0] = math.nan, math.inf
    assert crossed_ratio(errors, baseline) == expected and expected["n_seeds"] == 6
    few = crossed_ratio(errors[:3], baseline[:3])
    assert few["n_seeds"] == 1 and math.isnan(few["ratio"]) and math.isnan(few["ci_low"])


def test_other_problems_are_an_error():
    errors, baseline = random_errors()
    with pytest.raises(ValueError, match=r"\(8, 40\) and \(8, 39\): both must be"):
        crossed_ratio(errors, baseline[:, 1:])
