"""Paired statistics against values worked by hand, against other libraries, and where there is little data."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats
from statsmodels.stats.weightstats import ttost_paired

from anm.analysis.statistics import (
    compare,
    geometric_ratio,
    holm,
    lowest_holm,
    mean_interval,
    score_table,
    sign_flip_p,
    summarise,
    tost_p,
)

# 4 seeds x 2 strategies: differences 1, 3, 5, -1; mean 2
FOUR = {"none": {0: 10.0, 1: 20.0, 2: 30.0, 3: 40.0}, "random": {0: 11.0, 1: 23.0, 2: 35.0, 3: 39.0}}


def by_seed(values):
    return dict(enumerate(values))


def one_row(scores, **options):
    (row,) = compare(scores, **options).to_dict("records")
    return row


def test_four_by_two_by_hand():
    row = one_row(FOUR)
    assert (row["strategy"], row["against"], row["n_seeds"], row["missing"]) == ("random", "none", 4, ())
    assert (
        row["mean_difference"] == 2
        and row["relative"] == pytest.approx(2 / 25)
        and row["margin"] == pytest.approx(0.25)
    )
    # of 16 choices of sign for 1, 3, 5, 1 three sum to 8 or more: none minus, either 1 minus; and three to -8 or less
    assert row["p"] == pytest.approx(6 / 16) and row["p_holm"] == row["p"]
    assert -1 <= row["ci_low"] < 2 < row["ci_high"] <= 5
    # t = (2 - 0.25) / (sqrt(20 / 3) / 2) = 1.3555 on 3 degrees of freedom, the wrong side of the margin
    assert row["p_tost"] == pytest.approx(scipy_stats.t.cdf(1.75 / (math.sqrt(20 / 3) / 2), 3))
    assert not row["claim"] and not row["significant"] and not row["equivalent"]


def test_a_table_and_a_mapping_give_the_same_result():
    rows = [(name, seed, mse) for name, seeds in FOUR.items() for seed, mse in seeds.items()]
    table = pd.DataFrame(rows[::-1], columns=["strategy", "seed", "mse"])
    pd.testing.assert_frame_equal(compare(table), compare(FOUR))


def test_pairs_with_the_baseline_come_first_and_a_difference_is_strategy_minus_against():
    scores = {"adversarial": by_seed([3.0, 3, 3]), "random": by_seed([2.0, 2, 2]), "none": by_seed([1.0, 1, 1])}
    result = compare(scores)
    assert list(zip(result["strategy"], result["against"], result["mean_difference"])) == [
        ("adversarial", "none", 2),
        ("random", "none", 1),
        ("random", "adversarial", -1),
    ]


@pytest.mark.parametrize("seeds, floor", [(5, 0.0625), (6, 0.03125), (10, 0.001953125)])
def test_the_lowest_p_of_the_exact_test(seeds, floor):
    assert sign_flip_p(np.arange(1.0, seeds + 1)) == floor
    assert sign_flip_p(-np.arange(1.0, seeds + 1)) == floor


def test_sign_flips_against_an_enumeration(repeats=20):
    random = np.random.default_rng(3)
    for _ in range(repeats):
        d = random.normal(0.3, 1, 7)
        sums = [np.dot(signs, d) for signs in itertools.product((1, -1), repeat=7)]
        assert sign_flip_p(d) == pytest.approx(np.mean([abs(s) >= abs(d.sum()) - 1e-12 for s in sums]))


def test_more_seeds_than_can_be_enumerated_give_the_same_p_twice():
    d = np.random.default_rng(0).normal(0.4, 1, 20)
    assert 0 < sign_flip_p(d) == sign_flip_p(d) < 1
    assert sign_flip_p(d) == pytest.approx(scipy_stats.ttest_1samp(d, 0).pvalue, abs=0.02)


def test_holm_by_hand():
    # sorted 0.01, 0.02, 0.03 times 3, 2, 1, then never falling: 0.03, 0.04, 0.04
    assert holm(np.array([0.03, 0.01, 0.02])) == pytest.approx([0.04, 0.03, 0.04])
    assert holm(np.array([0.6, 0.7])) == pytest.approx([1.0, 1.0])
    assert holm(np.array([0.01, np.nan, 0.04])) == pytest.approx([0.02, np.nan, 0.04], nan_ok=True)
    assert len(holm(np.array([]))) == 0


def test_holm_runs_over_all_pairs_of_a_comparison():
    random = np.random.default_rng(1)
    base = random.normal(10, 1, 8)
    scores = {
        name: by_seed(base + shift + 0.1 * random.normal(size=8))
        for name, shift in [("none", 0), ("random", 1), ("adversarial", 0.02)]
    }
    result = compare(scores)
    assert list(result["p_holm"]) == pytest.approx(list(holm(result["p"].to_numpy())))
    assert result["p_holm"][0] == pytest.approx(3 / 128) and list(result["significant"]) == [True, False, True]


def test_tost_against_statsmodels_and_by_hand():
    random = np.random.default_rng(5)
    a, b = random.normal(10, 1, (2, 12))
    assert tost_p(a, b, 1.5) == ttost_paired(a, b, -1.5, 1.5)[0]
    d = a - b
    t = (1.5 - abs(d.mean())) / (d.std(ddof=1) / math.sqrt(12))
    assert tost_p(a, b, 1.5) == pytest.approx(scipy_stats.t.sf(t, 11))
    assert tost_p(a, b, 1.5) == tost_p(b, a, 1.5)


def test_equivalence_needs_the_margin_and_six_seeds():
    wiggle = np.array([1.0, -1, 1, -1, 1, -1, 1, -1])
    base = 100 + np.arange(8.0)
    inside = {"none": by_seed(base), "random": by_seed(base + 0.2 + 0.1 * wiggle)}
    row = one_row(inside)
    assert row["equivalent"] and row["claim"] and row["significant"]  # a real difference too small to matter
    assert not one_row({"none": by_seed(base), "random": by_seed(base + 1.2 + 0.1 * wiggle)})["equivalent"]
    few = {name: {seed: mse for seed, mse in seeds.items() if seed < 5} for name, seeds in inside.items()}
    assert one_row(few)["p_tost"] < 0.05 and not one_row(few)["equivalent"]


@pytest.mark.parametrize("seeds, claim", [(5, False), (6, True)])
def test_nothing_is_claimed_below_six_seeds(seeds, claim):
    base = np.arange(10.0, 10 + seeds)
    row = one_row({"none": by_seed(base), "random": by_seed(base + np.linspace(1, 2, seeds))})
    assert row["claim"] is claim and row["significant"] is claim
    assert row["ci_low"] > 0


def test_the_interval_brackets_the_mean_and_does_not_change():
    random = np.random.default_rng(0)
    for size in (3, 6, 10, 30):
        values = random.lognormal(0, 1, size)
        low, high = mean_interval(values)
        assert values.min() <= low < values.mean() < high <= values.max()
        assert (low, high) == mean_interval(values)


def test_the_interval_covers_a_known_mean_as_often_as_it_says(trials=300):
    random = np.random.default_rng(0)
    covered = sum(low <= 2 <= high for low, high in (mean_interval(random.normal(2, 1, 25)) for _ in range(trials)))
    assert 0.88 < covered / trials < 0.99


def test_the_interval_agrees_with_t_on_many_normal_values():
    values = np.random.default_rng(1).normal(5, 2, 400)
    half = scipy_stats.t.ppf(0.975, 399) * values.std(ddof=1) / 20
    assert mean_interval(values) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.05 * half)


def test_equal_differences():
    base = np.array([0.0101, 0.0099, 0.0104, 0.0097, 0.0102, 0.0100])
    row = one_row({"none": by_seed(base), "random": by_seed(base + 0.001)})
    assert row["ci_low"] == row["ci_high"] == pytest.approx(0.001)
    assert row["p"] == 0.03125 and row["p_tost"] == 1.0 and row["significant"] and not row["equivalent"]


def test_two_identical_strategies():
    base = by_seed([0.0101, 0.0099, 0.0104, 0.0097, 0.0102, 0.0100])
    row = one_row({"none": base, "random": base})
    assert row["mean_difference"] == row["ci_low"] == row["ci_high"] == 0
    assert row["p"] == 1 and row["p_tost"] == 0 and row["equivalent"] and not row["significant"]


def test_one_seed():
    row = one_row({"none": {3: 0.01}, "random": {3: 0.02}})
    assert row["n_seeds"] == 1 and row["mean_difference"] == pytest.approx(0.01) and row["relative"] == pytest.approx(1)
    assert row["p"] == 1 and math.isnan(row["ci_low"]) and math.isnan(row["p_tost"]) and not row["claim"]


def test_missing_seeds_are_left_out_and_named():
    scores = {"none": {0: 1.0, 1: 2.0, 2: 3.0, 5: 9.0}, "random": {0: 1.5, 1: 2.5, 2: math.nan, 4: 7.0}}
    row = one_row(scores)
    assert row["n_seeds"] == 2 and row["mean_difference"] == 0.5 and row["missing"] == (2, 4, 5)
    assert row["relative"] == pytest.approx(0.5 / 3.75)  # of all of the baseline's seeds


def test_no_seed_in_common():
    row = one_row({"none": {0: 1.0}, "random": {1: 1.0}})
    assert (
        row["n_seeds"] == 0
        and math.isnan(row["mean_difference"])
        and math.isnan(row["p"])
        and math.isnan(row["p_holm"])
    )
    assert not row["significant"] and not row["equivalent"]


def test_without_the_baseline_the_others_are_still_compared():
    scores = {"random": by_seed(range(1, 8)), "adversarial": by_seed(range(2, 9))}
    row = one_row(scores)
    assert row["mean_difference"] == 1 and row["significant"]
    assert (
        math.isnan(row["relative"])
        and math.isnan(row["margin"])
        and math.isnan(row["p_tost"])
        and not row["equivalent"]
    )


def test_nothing_to_compare():
    assert compare({}).empty and compare({"none": {0: 1.0}}).empty and summarise({}).empty
    assert "p_holm" in compare({}) and "mean" in summarise({})
    assert compare(pd.DataFrame(columns=["strategy", "seed", "mse"])).empty


def test_two_scores_at_one_seed_are_an_error():
    table = pd.DataFrame({"strategy": ["none"] * 2, "seed": [1, 1], "mse": [0.1, 0.2]})
    with pytest.raises(ValueError, match="none has two scores at seed 1"):
        compare(table)


def test_summaries_by_hand():
    rows = summarise({"none": {0: 1.0, 1: 3.0, 2: 5.0, 3: 7.0}, "random": {0: 2.0, 1: None}}).to_dict("records")
    assert rows[0]["mean"] == 4 and rows[0]["sd"] == pytest.approx(math.sqrt(20 / 3)) and rows[0]["n_seeds"] == 4
    assert 1 <= rows[0]["ci_low"] < 4 < rows[0]["ci_high"] <= 7 and rows[0]["missing"] == ()
    assert rows[1]["mean"] == 2 and rows[1]["missing"] == (1, 2, 3)
    assert math.isnan(rows[1]["sd"]) and math.isnan(rows[1]["ci_low"])


def test_the_score_table_keeps_the_order_given():
    table = score_table({"z": {2: 1.0}, "a": {0: math.inf, 2: 4.0}})
    assert list(table) == ["z", "a"] and list(table.index) == [0, 2]
    assert table["a"].tolist() == pytest.approx([math.nan, 4.0], nan_ok=True)


def test_a_geometric_ratio_gives_all_seeds_the_same_weight():
    scores = {"none": {0: 1e-10, 1: 1e-6, 2: 1e-8, 3: 5.0}, "random": {0: 2e-10, 1: 8e-6, 2: 4e-8, 4: 1.0}}
    found = geometric_ratio(scores, "random", "none")
    assert found["n_seeds"] == 3 and found["ratio"] == pytest.approx(4.0)
    assert 2 <= found["ci_low"] <= 4 <= found["ci_high"] <= 8.001 and found["p"] == 0.25
    nothing = geometric_ratio({"none": {0: 0.0}, "random": {0: 1.0}}, "random", "none")
    assert nothing["n_seeds"] == 0 and np.isnan(nothing["ratio"])


def test_the_lowest_adjusted_p_keeps_the_other_p_values():
    p, seeds = np.array([0.002, 0.5, np.nan, 0.04]), np.array([10, 6, 0, 8])
    lowest = lowest_holm(p, seeds)
    assert lowest[:2] == pytest.approx([3 * 2 / 2**10, 2 * 2 / 2**6]) and np.isnan(
        lowest[2]
    )  # the second is next after 0.002, and takes the factor 2
    assert lowest[3] == pytest.approx(2 * 2 / 2**8)
    assert lowest_holm(np.full(9, 0.5), np.full(9, 6)).min() == pytest.approx(9 * 2 / 2**6)
