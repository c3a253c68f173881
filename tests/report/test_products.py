"""The section on energies that multiply matrices: its tables follow from the numbers."""

import json

import pandas as pd
import pytest
from records import make_record, write_notebook
from studies import table_rows

from anm.analysis import tidy_tables
from anm.analysis.results import StudyResults
from anm.report import build_report, gather, products


@pytest.fixture
def found(tmp_path):
    for strategy in ("none", "adversarial"):
        record = make_record(strategy, energy="residual", mse_harder=[0.02, 0.05, 0.04])
        write_notebook(tmp_path / f"{strategy}.ipynb", record)
    return gather(tmp_path)


def with_baselines(found, monkeypatch, *rows):
    """What `thresholds` gives if the iterative baselines have these (method, products, mse) on harder."""
    table = pd.DataFrame(rows, columns=["method", "products", "mse"]).assign(split="harder")
    monkeypatch.setattr(StudyResults, "iterative", table)
    return list(products.thresholds(found, "residual"))


def test_a_threshold_is_reached_when_every_seed_is_below_it(found, monkeypatch):
    # Of three seeds the worst has 0.05 / (1 + steps). It is below 1e-3 after 100 refinement steps only, which take
    # 4 * 100 + 8 products without landscape steps.
    (reached,) = with_baselines(
        found,
        monkeypatch,
        ("conjugate_gradients", 4, 1e-2),
        ("conjugate_gradients", 8, 1e-9),
        ("newton_schulz_best", 16, 1e-4),
    )
    assert reached == (1e-3, "conjugate_gradients", 8.0, {"none": 408.0, "adversarial": 408.0})
    row = table_rows(products.products_needed(found))[1]
    assert row == ["residual, error below 0.001", "conjugate gradients", "8", "408 (51 ×)", "408 (51 ×)"]
    assert "residual contains the equation A X = I" in products.description(found)


def test_a_strategy_with_one_seed_above_never_reaches_a_threshold(tmp_path, monkeypatch):
    for strategy, harder in {"none": [0.02, 0.05, 0.04], "adversarial": [0.02, 5.0, 0.04]}.items():
        write_notebook(tmp_path / f"{strategy}.ipynb", make_record(strategy, energy="residual", mse_harder=harder))
    found = gather(tmp_path)
    assert with_baselines(found, monkeypatch, ("conjugate_gradients", 8, 1e-9)) == [
        (1e-3, "conjugate_gradients", 8.0, {"none": 408.0, "adversarial": None})
    ]
    assert table_rows(products.products_needed(found))[1][-1] == "never"


def test_lu_is_no_iterative_baseline_and_an_unreached_error_is_no_threshold(found, monkeypatch):
    assert with_baselines(found, monkeypatch, ("lu_float32", 1, 1e-12), ("conjugate_gradients", 4, 1e-2)) == []


def test_every_seed_is_displayed_after_each_number_of_refinement_steps(found):
    text = str(products.seeds(found))
    assert text.count("<tr>") == 1 + 2 * 3 * 3 and "(18 rows)" in text  # head, runs, seeds, refinement steps


def test_an_energy_without_products_has_no_such_section(tmp_path):
    write_notebook(tmp_path / "none.ipynb", make_record("none"))
    page = build_report(tmp_path).read_text()
    assert 'id="energies-that-multiply-matrices"' not in page and 'id="the-sweep"' not in page
    assert 'id="one-answer-level-by-level"' in page


def test_the_file_of_a_feed_forward_network_is_a_row_and_a_wrong_one_is_refused(tmp_path, found):
    record = make_record("none", energy="bilinear")
    kept = {
        "schema": 1,
        "layers": "bilinear",
        "params": record["params"],
        "provenance": record["provenance"],
        "results": {split: {"offset": 0.5, "problems": 9, "mse": [1e-7, 2e-7, 3e-7]} for split in ("same", "harder")},
    }
    (tmp_path / "direct.json").write_text(json.dumps(kept))
    (tmp_path / "direct-2.json").write_text('{"schema": 1}')
    again = gather(tmp_path)
    assert "1.0 to 3.0 × 10⁻⁷" in str(products.error_ranges(again))
    (refused,) = again.refused
    assert refused.path.name == "direct-2.json" and "missing" in refused.reason


def test_tables_hold_a_row_per_seed(found):
    table = tidy_tables.refinement(found.records)
    assert len(table) == 2 * 3 * 3 * 2 * 3  # runs, seeds, splits, with and without landscape steps, refinement steps
    assert set(tidy_tables.sizes(found.records)["n"]) == {4, 8, 16}
    assert len(tidy_tables.spectrum_errors(found.records)) == 2 * 2 * 3


def test_a_seed_that_diverged_counts(tmp_path, monkeypatch):
    record = make_record("none", energy="residual", mse_harder=[0.02, 0.05, 0.04])
    for entry in record["results"]["thinking"] + record["results"]["thinking_only"]:
        entry["harder"][1] = None
    write_notebook(tmp_path / "none.ipynb", record)
    found = gather(tmp_path)
    assert with_baselines(found, monkeypatch, ("conjugate_gradients", 4, 1e-12)) == []
    assert "; 1 not finite" in str(products.error_ranges(found))
