"""The compute multiplier against values worked by hand and the inverted sign-flip test; bounds; ratios by point."""

import math

import numpy as np
import pandas as pd
import pytest

from anm.analysis.multiplier import bounded_text, compute_multiplier, error_ratios
from anm.analysis.statistics import sign_flip_p

COMPUTE = (250.0, 500.0, 1000.0, 2000.0)


def simulated(seeds, true=0.8, noise=0.05):
    """Errors of an arm and of a baseline whose error falls as compute ** -0.5, at four points."""
    random = np.random.default_rng(seeds)
    levels = np.exp(random.standard_normal(seeds))
    baseline = levels[:, None] * np.array(COMPUTE) ** -0.5
    arm = levels * (true * 1000) ** -0.5 * np.exp(noise * random.standard_normal(seeds))
    return arm, baseline


def test_four_by_two_by_hand():
    # four times the compute halves every seed's error; the arm's are lower by the square root of 2
    baseline = np.array([[1.0, 0.5], [2, 1], [4, 2], [8, 4]])
    found = compute_multiplier(baseline[:, 0] / math.sqrt(2), baseline, (100, 400), 400)
    assert found["multiplier"] == pytest.approx(0.5)  # half way in log compute: 200 of 400
    assert (found["smallest"], found["largest"], found["multiplier_seeds"]) == (0.25, 1, 4)
    assert (found["multiplier_low"], found["multiplier_high"]) == (0, math.inf)  # four seeds exclude nothing


def test_equal_errors_give_one():
    _, baseline = simulated(8)
    found = compute_multiplier(baseline[:, 2], baseline, COMPUTE, 1000)
    assert [found[name] for name in ("multiplier", "multiplier_low", "multiplier_high")] == pytest.approx([1, 1, 1])


@pytest.mark.parametrize("seeds", (6, 8, 12, 30))
def test_the_interval_brackets_the_multiplier(seeds):
    found = compute_multiplier(*simulated(seeds), COMPUTE, 1000)
    assert 0.5 < found["multiplier_low"] < found["multiplier"] < found["multiplier_high"] < 1.2


@pytest.mark.parametrize("seeds", (6, 9, 12))
def test_the_interval_inverts_the_sign_flip_test(seeds):
    arm, baseline = simulated(seeds)
    found = compute_multiplier(arm, baseline, COMPUTE, 1000)

    def p(multiplier):
        curves = [np.interp(math.log(multiplier * 1000), np.log(COMPUTE), np.log(row)) for row in baseline]
        return sign_flip_p(np.log(arm) - np.array(curves))

    low, high = found["multiplier_low"], found["multiplier_high"]
    assert min(p(low * 1.0001), p(found["multiplier"]), p(high * 0.9999)) > 0.05
    assert max(p(low * 0.9999), p(high * 1.0001)) <= 0.05


def test_units_and_scales_change_nothing():
    arm, baseline = simulated(12)
    found = compute_multiplier(arm, baseline, COMPUTE, 1000)
    other = compute_multiplier(7 * arm, 7 * baseline, np.array(COMPUTE) * 1e9, 1000e9)
    assert list(other.values()) == pytest.approx(list(found.values()))


def test_nothing_is_extrapolated():
    arm, baseline = simulated(8)
    better = compute_multiplier(arm / 10, baseline, COMPUTE, 1000)
    assert [better[name] for name in ("multiplier", "multiplier_low", "multiplier_high")] == [math.inf] * 3
    assert bounded_text(better["multiplier"], better["smallest"], better["largest"]) == "> 2"
    worse = compute_multiplier(arm * 10, baseline, COMPUTE, 1000)
    assert [worse[name] for name in ("multiplier", "multiplier_low", "multiplier_high")] == [0] * 3
    assert bounded_text(worse["multiplier"], worse["smallest"], worse["largest"]) == "< 0.25"
    assert (bounded_text(0.534, 0.25, 2), bounded_text(math.nan, 0.25, 2)) == ("0.53", "")


def test_the_end_of_the_points_is_not_a_bound():
    _, baseline = simulated(8)
    for place, expected in ((0, 0.25), (3, 2)):
        found = compute_multiplier(baseline[:, place], baseline, COMPUTE, 1000)
        assert found["multiplier"] == pytest.approx(expected)


def test_an_interval_may_be_open_at_one_end():
    arm, baseline = simulated(30, true=1.98, noise=0.2)
    found = compute_multiplier(arm, baseline, COMPUTE, 1000)
    assert 0.25 < found["multiplier_low"] < 2 and math.isinf(found["multiplier_high"])


def test_the_first_crossing_counts_where_the_curve_rises_again():
    curve = np.array([4.0, 1, 4, 0.5])  # reaches 2 at 250 * sqrt(2), and twice more
    found = compute_multiplier(np.full(8, 2.0), np.tile(curve, (8, 1)), COMPUTE, 1000)
    assert found["multiplier"] == pytest.approx(0.25 * math.sqrt(2))
    assert found["multiplier_low"] == pytest.approx(found["multiplier"]) == found["multiplier_high"]


def test_the_interval_holds_the_multiplier_where_subsets_cross_before_the_whole():
    # half of the seeds dip at the second point, the others at the third: their mean is reached only at the end
    dips = np.array([[4, 1, 8, 1.0], [8, 9, 1, 1.0]] * 4)
    found = compute_multiplier(np.full(8, 2.0), dips, COMPUTE, 1000)
    assert found["multiplier_low"] <= found["multiplier"] <= found["multiplier_high"]
    assert found["multiplier"] > 1


def test_seeds_without_a_usable_error_are_left_out():
    arm, baseline = simulated(9)
    expected = compute_multiplier(arm[3:], baseline[3:], COMPUTE, 1000)
    arm[0], baseline[1, 3], baseline[2, 0] = math.nan, 0, -1
    assert compute_multiplier(arm, baseline, COMPUTE, 1000) == expected and expected["multiplier_seeds"] == 6
    nothing = compute_multiplier(np.full(9, math.nan), baseline, COMPUTE, 1000)
    assert nothing["multiplier_seeds"] == 0 and math.isnan(nothing["multiplier"])


@pytest.mark.parametrize("seeds, compute", [(7, COMPUTE), (8, COMPUTE[:3]), (8, (1, 1, 2, 3)), (8, (4, 3, 2, 1))])
def test_a_wrong_shape_or_order_is_an_error(seeds, compute):
    arm, baseline = simulated(8)
    with pytest.raises(ValueError, match="give the baseline's errors as"):
        compute_multiplier(arm[:seeds], baseline, compute, 1000)


def test_the_ratio_at_each_point():
    none = pd.DataFrame({0.25: [4.0, 8, 16], 0.5: [2.0, 4, 8], 1.0: [1.0, 2, 4]})
    ratios = error_ratios(none * [2, 1, 0.5], none)
    assert list(ratios["point"]) == [0.25, 0.5, 1] and list(ratios["ratio"]) == pytest.approx([2, 1, 0.5])
