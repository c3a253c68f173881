"""The declared criteria, on synthetic comparisons that meet them or do not."""

import pytest
from comparisons import write_comparison

from anm.analysis.declared_criteria import arms_of, check_criteria, kind_of

CLEAR = {"random": 2.0, "adversarial": 1.4, "one-step-denoising": 0.8, "any-noise": 1.0}


def met(folder, factors, **options):
    return [found.met for found in check_criteria(write_comparison(folder, factors, **options))]


def test_arms_have_the_kind_of_their_settings(tmp_path):
    results = write_comparison(tmp_path)
    assert {arm: kind_of(results, arm) for arm in results.arms} == {
        "random": "unmined",
        "adversarial": "contrastive",
        "one-step-denoising": "denoising",
        "any-noise": "control",
    }
    assert arms_of(results, "contrastive") == ["adversarial"]


@pytest.mark.parametrize(
    "factors, expected",
    [
        (CLEAR, [False, True, True]),
        (CLEAR | {"adversarial": 0.8}, [True, False, True]),
        (CLEAR | {"adversarial": 0.92}, [True, False, True]),  # a small gain in two regimes counts
        (CLEAR | {("inverse-4", "adversarial"): 0.8}, [False, False, True]),  # one regime is not enough
        (CLEAR | {"any-noise": 0.7}, [False, True, False]),  # the control is lower: the gain is not from mining
        (CLEAR | {"one-step-denoising": 0.95}, [False, True, False]),  # a multiplier of 1.1
    ],
)
def test_the_criteria_follow_the_multipliers(tmp_path, factors, expected):
    assert met(tmp_path, factors) == expected


def test_a_regime_that_fails_its_gate_does_not_count(tmp_path):
    factors = CLEAR | {"adversarial": 0.8}
    assert met(tmp_path, factors, levels={"inverse-6": 0.029}) == [False, False, False]


def test_missing_runs_leave_a_criterion_undecided(tmp_path):
    skipped = [("inverse-6", "adversarial")]
    assert met(tmp_path / "a", CLEAR, skip=skipped) == [None, None, True]
    found = check_criteria(write_comparison(tmp_path / "b", CLEAR))
    assert "none such; the largest upper end is 0." in found[1].found
    assert "one-step-denoising in inverse-4 (1." in found[2].found
