"""The tables that compare strategies."""

import pytest
from records import make_record, write_notebook
from studies import TEN, table_rows, write_study

from anm.analysis.folder import gather
from anm.analysis.training_time import EqualTime, at_equal_time, step_costs
from anm.report import comparison_tables


def test_without_the_baseline_the_direction_is_still_right(tmp_path):
    write_study(tmp_path, change=0.02, random=0.05)
    (tmp_path / "none.ipynb").unlink()
    (same,) = [row for row in table_rows(comparison_tables.pairs(gather(tmp_path))) if row[1] == "same"]
    assert same[0] == "adversarial against random" and same[2] == "—" and same[-2:] == ["10 of 10", "lower"]


def test_seeds_with_lower_error_are_counted(tmp_path):
    found = write_study(tmp_path, change=[-0.05] * 3 + [0.05] * 7)
    assert [row[-2] for row in table_rows(comparison_tables.pairs(found))[1:]] == ["3 of 10"] * 2


@pytest.mark.parametrize(
    ("change", "result"),
    [
        (-0.05, "lower"),
        (0.05, "higher"),
        (0.005, "higher, small"),
        ([1e-4, -1e-4] * 5, "equivalent"),
        ([0.05, -0.04] * 5, "inconclusive"),
    ],
)
def test_every_pair_has_its_result(tmp_path, change, result):
    assert [row[-1] for row in table_rows(comparison_tables.pairs(write_study(tmp_path, change=change)))[1:]] == [
        result
    ] * 2


def test_a_strategy_with_a_longer_step_is_compared_at_equal_time(tmp_path):
    """A step of adversarial takes twice as long, so 250 of its steps take as long as 500 of none."""
    for strategy, seconds in {"none": 0.01, "adversarial": 0.02}.items():
        record = make_record(strategy, seeds=range(6))
        record["provenance"]["seconds_per_step"] = seconds
        record["curves"] |= {
            "mse_step": [100, 500],
            "mse_same": [[0.04] * 6, [0.02 if strategy == "none" else 0.012] * 6],
        }
        write_notebook(tmp_path / f"{strategy}.ipynb", record)
    found = gather(tmp_path)
    # at step 250 adversarial is at 0.04 - 0.028 * 150 / 400 = 0.0295 (+47.5 %), against 0.02
    assert at_equal_time(found, "mlp", "adversarial") == EqualTime(250, pytest.approx(0.475), 0, 6)
    assert at_equal_time(found, "mlp", "none") is None
    none, adversarial = table_rows(comparison_tables.costs(found))[1:]
    assert none == ["none", "0.0100", "1.0", "—", "—", "—"]
    assert adversarial == ["adversarial", "0.0200", "2.0", "250", "+47\u202f%", "0 of 6"]


def test_steps_of_different_sizes_are_not_compared(tmp_path):
    """Ten seeds in one stack, and in two of five: a step of the latter is half the work."""
    write_study(tmp_path, change=None)
    for chunk in (range(5), range(5, 10)):
        write_notebook(tmp_path / f"adversarial-{chunk[0]}.ipynb", make_record("adversarial", seeds=chunk))
    assert step_costs(gather(tmp_path), "mlp") == {}
    write_notebook(tmp_path / "adversarial-0.ipynb", make_record("adversarial", seeds=TEN))
    (tmp_path / "adversarial-5.ipynb").unlink()
    assert step_costs(gather(tmp_path), "mlp") == {"none": 1.0, "adversarial": 1.0}


def test_seeds_that_span_decades_are_compared_by_ratios_too(tmp_path):
    scores = [1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4]
    for strategy, factor in (("none", 1.0), ("adversarial", 2.0)):
        record = make_record(strategy, seeds=range(7), mse=[factor * mse for mse in scores])
        write_notebook(tmp_path / f"{strategy}.ipynb", record)
    head, row = table_rows(comparison_tables.geometric_ratios(gather(tmp_path)))
    assert row == ["adversarial", "same", "1.0 × 10⁻¹⁰ to 0.00010", "2.0 2.0 to 2.0", "0.016", "7"]


def test_errors_after_refinement_are_compared_by_ratios(tmp_path):
    for strategy, factor in (("none", 1.0), ("adversarial", 3.0)):
        harder = [factor * 1e-3] * 6
        record = make_record(strategy, seeds=range(6), energy="residual", mse_harder=harder)
        write_notebook(tmp_path / f"{strategy}.ipynb", record)
    head, row = table_rows(comparison_tables.geometric_ratios(gather(tmp_path)))
    assert row[:2] == ["adversarial", "c = 0.02, 100 refinement steps"] and row[3].startswith("3.0")
