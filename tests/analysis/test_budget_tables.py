"""Scores by budget point and comparisons at equal compute, from records made by hand."""

import math

import numpy as np
import pandas as pd
import pytest

from anm.analysis.budget_tables import COMPARISON_COLUMNS, SCORE_COLUMNS, budget_scores, comparisons
from anm.analysis.log_ratios import compare_logs
from anm.analysis.multiplier import MULTIPLIER_COLUMNS, compute_multiplier

STEP = 1000  # FLOPs of a step of `none`
BUDGET = 400
SEEDS = tuple(range(8))


def make_run(seeds, steps, cost, errors):
    """A record with points after these steps, of a strategy whose step costs `cost` steps of `none`.

    errors (points, seeds) on `same`; on `harder` ten times as much; after one scalar 0.9 times.
    """
    points = []
    for count, row in zip(steps, np.asarray(errors, float).tolist()):
        split = {"mse": row, "scaled": [0.9 * value for value in row], "scale": [1.05] * len(row)}
        harder = split | {"mse": [10 * value for value in row], "scaled": [9 * value for value in row]}
        flops = round(count * cost * STEP)
        points.append({"share": count / steps[-1], "steps": count, "flops": flops, "same": split, "harder": harder})
    compute = {"step_flops": round(cost * STEP), "baseline_flops": STEP, "steps": steps[-1]}
    seeds = ",".join(map(str, seeds))
    return {"params": {"seeds": seeds}, "compute": compute, "results": {"budgets": points}}


def power_law(steps, cost=1.0, factor=1.0, seeds=SEEDS, noise=0.03, stream=1):
    """Errors that fall with the root of compute; seeds differ, in all arms alike, and a little by themselves."""
    levels = np.exp(np.random.default_rng(0).standard_normal(20))[list(seeds)]
    own = np.exp(noise * np.random.default_rng(stream).standard_normal(len(seeds)))
    return factor * np.outer((cost * np.array(steps)) ** -0.5, levels * own)


NONE_STEPS, ARM_STEPS = (100, 200, 400, 800), (47, 95, 190)  # a step of the arm costs 2.1 steps of none


@pytest.fixture
def records():
    """A regime with `none` and an arm that costs 2.1 times as much, and wins 20 % at equal compute."""
    none = make_run(SEEDS, NONE_STEPS, 1, power_law(NONE_STEPS))
    arm = make_run(SEEDS, ARM_STEPS, 2.1, power_law(ARM_STEPS, 2.1, 0.8, stream=2))
    return {"none.ipynb": none, "arm.ipynb": arm, "other.ipynb": none}


LABELS = {"none.ipynb": ("inverse-4", "none"), "arm.ipynb": ("inverse-4", "adversarial")}


def pick(table, **values):
    """The only row with these values."""
    for name, value in values.items():
        table = table[table[name] == value]
    (row,) = table.to_dict("records")
    return row


PRIMARY = {"split": "same", "score": "mse", "point": 1.0}


def test_scores_have_a_row_per_seed_split_and_point(records):
    scores = budget_scores(records, LABELS)
    assert list(scores) == SCORE_COLUMNS and len(scores) == 8 * 2 * (4 + 3)
    assert set(scores["run"]) == set(LABELS)  # the run without a label is left out
    row = pick(scores, arm="adversarial", seed=3, split="harder", steps=95)
    error = power_law(ARM_STEPS, 2.1, 0.8, stream=2)[1, 3]
    assert row["compute"] == pytest.approx(95 * 2.1) and row["flops"] == 199_500 and row["regime"] == "inverse-4"
    assert (row["mse"], row["scaled"], row["scale"]) == pytest.approx((10 * error, 9 * error, 1.05))
    assert row["share"] == 0.5


def test_null_scores_are_missing_and_records_without_budgets_have_no_rows(records):
    records["arm.ipynb"]["results"]["budgets"][2]["same"]["mse"][5] = None
    scores = budget_scores(records, LABELS)
    assert math.isnan(pick(scores, arm="adversarial", seed=5, split="same", steps=190)["mse"])
    row = pick(comparisons(scores, {"inverse-4": BUDGET}, ["inverse-4"]), **PRIMARY)
    assert row["n_seeds"] == 7 and row["missing"] == (5,) and row["multiplier_seeds"] == 7
    old = {"old.ipynb": {"params": {"seeds": "0-2"}, "results": {}}}
    assert budget_scores(old, {"old.ipynb": ("inverse-4", "none")}).empty


def test_a_point_without_scores_on_harder_has_rows_of_same_alone(records):
    for name in LABELS:
        del records[name]["results"]["budgets"][0]["harder"]
    scores = budget_scores(records, LABELS)
    assert len(scores) == 8 * (2 * (4 + 3) - 2)
    table = comparisons(scores, {"inverse-4": BUDGET}, ["inverse-4"])
    counts = table[table["score"] == "mse"].set_index(["split", "point"])["n_seeds"]
    assert counts.tolist() == [8, 8, 8, 0, 8, 8] and counts["harder", 0.25] == 0
    assert pick(table, split="harder", score="mse", point=1.0)["smallest"] == pytest.approx(200 / 399)


def test_comparisons_match_points_by_compute(records):
    table = comparisons(budget_scores(records, LABELS), {"inverse-4": BUDGET}, ["inverse-4"])
    assert list(table) == COMPARISON_COLUMNS and len(table) == 2 * 2 * 3  # splits, scores, points
    none, arm = power_law(NONE_STEPS), power_law(ARM_STEPS, 2.1, 0.8, stream=2)
    for place, point in enumerate((0.25, 0.5, 1)):
        row = pick(table, split="same", score="mse", point=point)
        expected = compare_logs(pd.Series(arm[place]), pd.Series(none[place]))
        assert row["missing"] == expected.pop("missing") == ()
        assert {name: row[name] for name in expected} == pytest.approx(expected)
        assert pick(table, split="harder", score="scaled", point=point)["ratio"] == pytest.approx(expected["ratio"])


def test_the_multiplier_stands_at_the_full_budget(records):
    table = comparisons(budget_scores(records, LABELS), {"inverse-4": BUDGET}, ["inverse-4"])
    row = pick(table, **PRIMARY)
    none, arm = power_law(NONE_STEPS), power_law(ARM_STEPS, 2.1, 0.8, stream=2)
    expected = compute_multiplier(arm[2], none.T, NONE_STEPS, 190 * 2.1)
    assert {name: row[name] for name in MULTIPLIER_COLUMNS} == pytest.approx(expected)
    # an error of 0.8 needs 1 / 0.8 ** 2 = 1.56 times the compute
    assert row["multiplier"] == pytest.approx(1.56, rel=0.05)
    assert row["multiplier_low"] < row["multiplier"] < row["multiplier_high"]
    assert table.loc[table["point"] < 1, "multiplier"].isna().all()


def test_the_family_is_the_primary_comparison_of_all_regimes_that_passed(records):
    labels, all_records, strong = {}, {}, {"a": 0.8, "b": 1.01, "failed": 0.5}
    for stream, (regime, factor) in enumerate(strong.items()):
        arms = {"none": (NONE_STEPS, 1, 1), "random": (ARM_STEPS, 2.1, factor), "mined": (ARM_STEPS, 2.1, 0.9)}
        for place, (arm, (steps, cost, gain)) in enumerate(arms.items()):
            errors = power_law(steps, cost, gain, stream=10 * stream + place)
            all_records[f"{regime}--{arm}"] = make_run(SEEDS, steps, cost, errors)
            labels[f"{regime}--{arm}"] = (regime, arm)
    scores = budget_scores(all_records, labels)
    table = comparisons(scores, dict.fromkeys(strong, BUDGET), ["a", "b"])
    family = table[table["primary"]]
    assert set(zip(family["regime"], family["arm"])) == {(r, a) for r in "ab" for a in ("random", "mined")}
    assert (family[list(PRIMARY)] == list(PRIMARY.values())).all(axis=None) and len(family) == 4
    lowest = family["p"].min()
    assert family["p_holm"].min() == pytest.approx(4 * lowest)  # once over four, not over each regime
    assert table.loc[~table["primary"], "outcome"].eq("no claim").all()
    assert pick(table, regime="failed", arm="random", **PRIMARY)["ratio"] < 0.6  # shown, but without a claim
    assert pick(table, regime="a", arm="random", **PRIMARY)["outcome"] == "lower"


def test_missing_arms_and_points_are_named(records):
    del records["arm.ipynb"]["results"]["budgets"][2]
    scores = budget_scores(records, LABELS)
    arms = {"inverse-4": ["none", "adversarial", "random"]}
    table = comparisons(scores, {"inverse-4": BUDGET}, ["inverse-4"], arms)
    unfinished, absent = (pick(table, arm=arm, **PRIMARY) for arm in ("adversarial", "random"))
    for row in (unfinished, absent):
        assert row["n_seeds"] == 0 and row["missing"] == SEEDS and row["outcome"] == "no claim"
        assert math.isnan(row["ratio"]) and math.isnan(row["multiplier"])
    assert pick(table, arm="adversarial", split="same", score="mse", point=0.5)["n_seeds"] == 8


@pytest.mark.parametrize("count, paired", [(189, 0), (190, 8), (191, 8), (192, 0)])
def test_a_point_further_than_a_step_of_the_arm_is_not_compared(records, count, paired):
    steps = (47, 95, count)  # the budget is 190.5 of the arm's steps
    records["arm.ipynb"] = make_run(SEEDS, steps, 2.1, power_law(steps, 2.1))
    row = pick(comparisons(budget_scores(records, LABELS), {"inverse-4": BUDGET}, []), **PRIMARY)
    assert row["n_seeds"] == paired


def test_runs_of_other_seeds_are_pooled_and_the_same_seed_twice_is_an_error(records):
    expected = comparisons(budget_scores(records, LABELS), {"inverse-4": BUDGET}, [])
    none = records.pop("none.ipynb")
    labels = {"arm.ipynb": LABELS["arm.ipynb"]}
    for name, seeds in (("first", SEEDS[:3]), ("second", SEEDS[3:])):
        errors = power_law(NONE_STEPS)[:, list(seeds)]
        records[name], labels[name] = make_run(seeds, NONE_STEPS, 1, errors), ("inverse-4", "none")
    pooled = comparisons(budget_scores(records, labels), {"inverse-4": BUDGET}, [])
    pd.testing.assert_frame_equal(pooled, expected)
    records["again"], labels["again"] = none, ("inverse-4", "none")
    with pytest.raises(ValueError, match="none in inverse-4: two runs have scores of the same seed"):
        comparisons(budget_scores(records, labels), {"inverse-4": BUDGET}, [])


def test_nothing_to_compare():
    scores = budget_scores({}, {})
    assert comparisons(scores, {}, []).empty and comparisons(scores, {"inverse-4": 10}, []).empty
    assert list(comparisons(scores, {}, [])) == COMPARISON_COLUMNS


def test_without_the_baseline_every_seed_is_missing(records):
    scores = budget_scores(records, {"arm.ipynb": LABELS["arm.ipynb"]})
    row = pick(comparisons(scores, {"inverse-4": BUDGET}, ["inverse-4"]), **PRIMARY)
    assert row["n_seeds"] == 0 and row["missing"] == SEEDS and math.isnan(row["multiplier"])
