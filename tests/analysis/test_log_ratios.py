"""Paired log ratios against values worked by hand and other libraries; the declared family and its outcomes."""

import math

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from anm.analysis.log_ratios import (
    compare_with_baseline,
    correct_family,
    power,
    ratio_statistics,
    seeds_needed,
)
from anm.analysis.sign_flips import inverted_interval, typical_values

# 4 seeds x 2 arms: ratios 2, 2, 2 and 1/2
FOUR = {"none": {0: 1.0, 1: 2.0, 2: 4.0, 3: 8.0}, "random": {0: 2.0, 1: 4.0, 2: 8.0, 3: 4.0}}


def by_seed(values):
    return dict(enumerate(values))


def one_row(scores):
    (row,) = compare_with_baseline(scores).to_dict("records")
    return row


def random_logs(seeds, shift=0.0, deviation=0.1):
    return shift + deviation * np.random.default_rng(seeds).standard_normal(seeds)


def test_four_by_two_by_hand():
    row = one_row(FOUR)
    assert (row["arm"], row["n_seeds"], row["missing"]) == ("random", 4, ())
    assert row["ratio"] == pytest.approx(math.sqrt(2))  # (2 * 2 * 2 / 2) ** (1 / 4)
    # logs to base 2 are 1, 1, 1, -1; of 16 sign flips, 5 have a sum of 2 or more, and 5 of -2 or less
    assert row["p"] == 10 / 16 and row["sd_log"] == pytest.approx(math.log(2))
    assert (row["ci_low"], row["ci_high"]) == (0, math.inf)  # four seeds exclude nothing at 95 %


def test_six_seeds_by_hand():
    logs = np.log([1.1, 1.2, 1.3, 1.4, 1.5, 1.6])
    row = one_row({"none": by_seed(np.ones(6)), "random": by_seed(np.exp(logs))})
    # the exact test at 5 % rejects only the two most extreme of 64 flips: the interval is the range of the ratios
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((1.1, 1.6)) and row["p"] == 2 / 64
    # against a ratio of 1.05 or more, every subset's mean is above: p = 64 / 64
    assert row["p_equivalence"] == 1


def test_a_table_and_a_mapping_give_the_same_result():
    rows = [(name, seed, mse) for name, seeds in FOUR.items() for seed, mse in seeds.items()]
    table = pd.DataFrame(rows, columns=["strategy", "seed", "mse"])
    pd.testing.assert_frame_equal(compare_with_baseline(table), compare_with_baseline(FOUR))


@pytest.mark.parametrize("seeds", (8, 30))
def test_scaling_each_seed_changes_nothing_and_swapping_inverts(seeds):
    random = np.random.default_rng(seeds)
    none, arm = np.exp(random.standard_normal((2, seeds)))
    factor = np.exp(5 * random.standard_normal(seeds))  # an easier or harder seed, in both arms
    row = one_row({"none": by_seed(none), "random": by_seed(arm)})
    scaled = one_row({"none": by_seed(factor * none), "random": by_seed(factor * arm)})
    for name in ("ratio", "ci_low", "ci_high", "p", "p_equivalence", "sd_log", "seeds_needed"):
        assert scaled[name] == pytest.approx(row[name])
    swapped = one_row({"none": by_seed(arm), "random": by_seed(none)})
    found = [swapped["ratio"], swapped["ci_high"], swapped["ci_low"]]
    assert found == pytest.approx([1 / row["ratio"], 1 / row["ci_low"], 1 / row["ci_high"]])
    assert swapped["p"] == pytest.approx(row["p"]) and row["ci_low"] < row["ratio"] < row["ci_high"]


@pytest.mark.parametrize("seeds", (6, 8, 12, 30))
def test_equivalent_means_that_the_90_percent_interval_lies_inside_the_margin(seeds):
    results = set()
    for shift in (-0.06, -0.02, 0, 0.03, 0.05):
        logs = random_logs(seeds, shift, 0.03)
        low, high = inverted_interval(typical_values(logs), 0.9)
        inside = -math.log(1.05) < low and high < math.log(1.05)
        assert (ratio_statistics(logs)["p_equivalence"] < 0.05) == inside
        results.add(inside)
    assert results == {True, False}


def test_seeds_that_one_arm_lacks_are_left_out_and_named():
    none = {0: 1.0, 1: 2.0, 2: 4.0, 5: 9.0, 6: 1.0, 7: 1.0}
    row = one_row({"none": none, "random": {0: 2.0, 1: 4.0, 2: math.nan, 4: 7.0, 6: 0.0, 7: -1.0}})
    assert row["n_seeds"] == 2 and row["ratio"] == pytest.approx(2) and row["missing"] == (2, 4, 5, 6, 7)


def test_no_seed_in_common_and_one_seed():
    nothing = one_row({"none": {0: 1.0}, "random": {1: 1.0}})
    assert nothing["n_seeds"] == 0 and all(math.isnan(nothing[name]) for name in ("ratio", "ci_low", "p", "sd_log"))
    single = one_row({"none": {0: 1.0}, "random": {0: 2.0}})
    assert single["ratio"] == pytest.approx(2) and single["p"] == 1
    assert (single["ci_low"], single["ci_high"]) == (0, math.inf) and math.isnan(single["seeds_needed"])


def test_without_the_baseline_there_is_no_comparison():
    with pytest.raises(ValueError, match="no scores of the baseline 'none', only of \\['random'\\]"):
        compare_with_baseline({"random": {0: 1.0}})
    assert compare_with_baseline({"none": {0: 1.0}}).empty


def family(*rows):
    """A table of comparisons: (n_seeds, ratio, p, p_equivalence) each."""
    table = pd.DataFrame(rows, columns=["n_seeds", "ratio", "p", "p_equivalence"])
    return table.assign(sd_log=0.054)


def test_the_outcomes_of_a_family_by_hand():
    table = family(
        (30, 0.8, 0.001, 1.0),
        (30, 1.2, 0.002, 1.0),
        (30, 1.1, 0.03, 0.9),  # 0.03 * 3 = 0.09 after Holm
        (30, 0.99, 0.004, 0.01),  # a difference, but too small to matter
        (5, 0.5, 0.0625, 1.0),
        (0, math.nan, math.nan, math.nan),
    )
    found = correct_family(table)
    # six declared comparisons: factors 6, 5, 4, 3, 2, and the missing one has p = 1
    assert found["p_holm"][:5].tolist() == pytest.approx([0.006, 0.010, 0.09, 0.016, 0.125])
    assert math.isnan(found["p_holm"][5])
    assert list(found["outcome"]) == ["lower", "higher", "inconclusive", "equivalent", "no claim", "no claim"]
    assert list(found["significant"]) == [True, True, False, True, False, False]
    assert list(found["claim"]) == [True] * 4 + [False] * 2


def test_holm_against_statsmodels():
    p = np.random.default_rng(0).random(20) ** 3
    found = correct_family(family(*[(30, 0.9, value, 1.0) for value in p]))
    assert found["p_holm"].to_numpy() == pytest.approx(multipletests(p, method="holm")[1])


def test_rows_outside_the_family_claim_nothing_and_do_not_change_it():
    table = family((30, 0.8, 0.01, 1.0), (30, 0.8, 1e-6, 1.0), (30, 1.0, 0.9, 1e-6))
    found = correct_family(table, pd.Series([True, False, False]))
    assert found["p_holm"][0] == 0.01 and found["p_holm"][1:].isna().all()
    assert list(found["outcome"]) == ["lower", "no claim", "no claim"] and not found["equivalent"].any()
    assert found["seeds_needed_holm"][0] == 12 and found["seeds_needed_holm"][1:].isna().all()


def test_more_comparisons_need_more_seeds():
    assert list(correct_family(family((30, 0.8, 0.01, 1.0)))["seeds_needed_holm"]) == [12]
    many = correct_family(family(*[(30, 0.8, 0.01, 1.0)] * 35))["seeds_needed_holm"]
    assert set(many) == {seeds_needed(0.054, alpha=0.05 / 35)} and many[0] > 20


@pytest.mark.parametrize(
    "seeds, deviation, alpha", [(8, 0.054, 0.05), (30, 0.13, 0.05), (30, 1.0, 0.01), (6, 0.04, 0.001)]
)
def test_power_against_statsmodels(seeds, deviation, alpha):
    expected = TTestPower().power(math.log(1.05) / deviation, seeds, alpha)
    assert power(seeds, deviation, alpha=alpha) == pytest.approx(expected, rel=1e-6)
    assert power(seeds, deviation, 1 / 1.05, alpha) == pytest.approx(expected, rel=1e-6)


def test_the_power_of_a_large_effect_is_a_number():
    assert [power(seeds, deviation) for seeds in (6, 30) for deviation in (0, 1e-6, 0.005)] == pytest.approx([1] * 6)


def test_the_seeds_needed_are_the_fewest_with_the_power():
    assert [seeds_needed(deviation) for deviation in (0.054, 0.13)] == [12, 58]
    for deviation in (0.054, 0.13, 1.0):
        needed = int(seeds_needed(deviation))
        assert power(needed - 1, deviation) < 0.8 <= power(needed, deviation)
    assert seeds_needed(0.0) == 6  # the exact test needs six
    assert seeds_needed(0.0, alpha=0.05 / 35) == 11  # 2 / 2^11 is below 0.05 / 35
    assert math.isnan(seeds_needed(math.nan)) and math.isinf(seeds_needed(1e3))
