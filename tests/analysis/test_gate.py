"""The gate on references worked by hand and on the stored floors; missing references."""

import math

import pandas as pd
import pytest

from anm.analysis.gate import check_gate
from anm.baselines.floors import read_floors

KINDS = {"mean": "constant", "affine": "least squares", "linear": "least squares", "newton": "classical", "lu": "limit"}


def references(**scores):
    return pd.DataFrame([{"reference": name, "kind": KINDS[name], "mse_same": mse} for name, mse in scores.items()])


ALL = references(mean=10.0, affine=1.0, linear=2.0, newton=1e-6, lu=0.01)


def test_between_the_limit_and_half_of_least_squares_it_passes():
    gate = check_gate([0.1, 0.4], ALL)  # geometric mean 0.2
    assert gate.passed and gate.error == pytest.approx(0.2)
    assert gate.to_reference == pytest.approx(0.2) and gate.to_limit == pytest.approx(20)
    assert gate.sentence == (
        "Passed: the error of `none`, 0.2, is 0.2 times that of the best least-squares reference (affine, 1), "
        "and 20 times the limit (lu, 0.01)."
    )


@pytest.mark.parametrize("error, passed", [(0.4999, True), (0.5001, False), (0.1001, True), (0.0999, False)])
def test_the_two_thresholds(error, passed):
    assert check_gate([error], ALL).passed is passed


def test_a_failure_says_why():
    plateau = check_gate([0.99] * 3, ALL)
    assert plateau.sentence == (
        "Failed: the error of `none`, 0.99, is 0.99 times that of the best least-squares reference (affine, 1); "
        "the gate allows at most 0.5."
    )
    assert check_gate([0.02], ALL).sentence == (
        "Failed: the error of `none`, 0.02, is 2 times the limit (lu, 0.01); the gate requires at least 10."
    )
    both = check_gate([0.9], references(affine=1.0, lu=0.8))
    assert not both.passed and "at most 0.5, and 1.1 times the limit" in both.sentence


def test_a_limit_of_zero_or_none():
    known = check_gate([0.1], references(affine=1.0, lu=0.0))
    assert known.passed and math.isinf(known.to_limit) and known.sentence.endswith("and above the limit (lu, 0).")
    unknown = check_gate([0.1], references(affine=1.0))
    assert unknown.passed and unknown.sentence.endswith("above the limit, taken as 0 because the task states none.")
    solved = check_gate([0.0, 0.1], references(affine=1.0, lu=0.0))
    assert not solved.passed and solved.error == 0 and "1 times the limit (lu, 0)" in solved.sentence


def test_without_least_squares_the_constant_counts():
    gate = check_gate([1.0], references(mean=10.0, lu=0.01))
    assert gate.passed and gate.to_reference == pytest.approx(0.1)
    assert "that of the constant (mean, 10; the task has no least-squares reference)" in gate.sentence
    with pytest.raises(ValueError, match="neither least squares nor a constant"):
        check_gate([1.0], references(newton=1.0))


def test_seeds_without_a_finite_error_are_left_out():
    assert check_gate([0.2, math.nan, math.inf], ALL).error == pytest.approx(0.2)
    with pytest.raises(ValueError, match="no finite error of `none` at the budget: finish its run first"):
        check_gate([math.nan], ALL)


@pytest.mark.parametrize(
    "task, n, error, passed",
    [
        ("inverse", 20, 0.0095, False),  # IRED's published errors; of addition, any error
        ("completion", 20, 0.0174, False),
        ("addition", 20, 1e-3, False),
        ("inverse", 4, 0.0014, True),
        ("connectivity", 8, 0.1, True),
    ],
)
def test_known_regimes(task, n, error, passed):
    floors = read_floors().query("task == @task and n == @n").rename(columns={"same": "mse_same"})
    assert check_gate([error], floors).passed is passed
