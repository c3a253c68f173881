"""The report's section on energies made of products: what it says follows from the numbers."""

import json

import pandas as pd
import pytest
from records import make_record, write_notebook

from anm import frames
from anm.report import build_report, gather, products, verdict
from anm.report.findings import Findings
from anm.report.words import details, rounding


@pytest.fixture
def found(tmp_path):
    for strategy in ("none", "adversarial"):
        write_notebook(
            tmp_path / f"{strategy}.ipynb", make_record(strategy, energy="residual", mse_harder=[0.02, 0.05, 0.04])
        )
    return gather(tmp_path)


def priced(found, monkeypatch, *rows):
    table = pd.DataFrame(rows, columns=["rival", "products", "mse"]).assign(split="harder")
    monkeypatch.setattr(Findings, "rivals", table)
    return list(products.milestones(found, "residual"))


def test_a_milestone_is_the_price_at_which_every_seed_is_below_it(found, monkeypatch):
    # of three seeds the worst has 0.05 / (1 + steps): below 1e-3 with 100 further steps alone, at 4 * 100 + 8 products without landscape steps
    (reached,) = priced(
        found,
        monkeypatch,
        ("conjugate_gradients", 4, 1e-2),
        ("conjugate_gradients", 8, 1e-9),
        ("newton_schulz_best", 16, 1e-4),
    )
    assert reached == (1e-3, {"none": 408.0, "adversarial": 408.0}, "conjugate_gradients", 8.0)
    text = str(products.say(found))
    assert (
        "is told the equation A X = I" in text
        and "the best rival (conjugate gradients) needs 8 matrix products; residual: none 408 matrix products (51 times as many)"
        in text
    )


def test_a_strategy_of_which_one_seed_stays_above_never_gets_there(tmp_path, monkeypatch):
    for strategy, harder in {"none": [0.02, 0.05, 0.04], "adversarial": [0.02, 5.0, 0.04]}.items():
        write_notebook(tmp_path / f"{strategy}.ipynb", make_record(strategy, energy="residual", mse_harder=harder))
    found = gather(tmp_path)
    assert priced(found, monkeypatch, ("conjugate_gradients", 8, 1e-9)) == [
        (1e-3, {"none": 408.0, "adversarial": None}, "conjugate_gradients", 8.0)
    ]
    assert "adversarial never gets there" in str(products.say(found))


def test_after_the_longest_thinking_strategies_are_compared_too(tmp_path, monkeypatch):
    for strategy, factor in (("none", 1.0), ("adversarial", 3.0)):
        write_notebook(
            tmp_path / f"{strategy}.ipynb",
            make_record(strategy, seeds=range(6), energy="residual", mse_harder=[factor * 1e-3] * 6),
        )
    monkeypatch.setattr(Findings, "rivals", pd.DataFrame(columns=["rival", "products", "mse", "split"]))
    assert (
        "After 100 further steps on c = 0.02, errors of residual against those of none as ratios of geometric means, not declared before and not corrected: adversarial × 3.0"
        in str(products.say(gather(tmp_path)))
    )


def test_the_limit_is_no_rival_and_what_nobody_reaches_is_no_milestone(found, monkeypatch):
    assert priced(found, monkeypatch, ("lu_float32", 1, 1e-12), ("conjugate_gradients", 4, 1e-2)) == []


def test_every_seed_is_shown_at_every_budget(found):
    text = str(products.seeds(found))
    assert text.count("<tr>") == 1 + 2 * 3 * 3 and "(18 rows)" in text  # head, runs, seeds, budgets


def test_an_energy_without_products_has_no_such_section(tmp_path):
    write_notebook(tmp_path / "none.ipynb", make_record("none"))
    page = build_report(tmp_path).read_text()
    assert 'id="leaving-the-plateau"' not in page and 'id="the-sweep"' not in page and 'id="an-answer-forming"' in page


def test_a_direct_network_s_file_is_a_row_and_another_is_refused(tmp_path, found):
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
    assert "1.0 to 3.0 × 10⁻⁷" in str(products.reached(again))
    assert [(refused.path.name, refused.reason) for refused in again.refused] == [
        ("direct-2.json", "params is NoneType, not dict")
    ]


def test_tables_hold_a_row_a_seed(found):
    table = frames.thinking(found.records)
    assert len(table) == 2 * 3 * 3 * 2 * 3  # runs, seeds, splits, with and without landscape steps, budgets
    assert set(frames.sizes(found.records)["n"]) == {4, 8, 16} and len(frames.spectra(found.records)) == 2 * 2 * 3


def test_seeds_that_span_decades_are_compared_by_ratios_too(tmp_path, monkeypatch):
    spread = [1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4]
    for strategy, factor in (("none", 1.0), ("adversarial", 2.0)):
        write_notebook(
            tmp_path / f"{strategy}.ipynb",
            make_record(strategy, seeds=range(7), energy="residual", mse=[factor * mse for mse in spread]),
        )
    monkeypatch.setattr(
        Findings,
        "rivals",
        pd.DataFrame([["lu_float32", 1, 1e-4, "same"]], columns=["rival", "products", "mse", "split"]),
    )
    found = gather(tmp_path)
    text = " ".join([verdict(found), *details(found, "residual")])
    assert "Seeds of none span 1.0 × 10⁻¹⁰ to 0.00010 on problems as in training" in text
    assert "adversarial × 2.0 (95\u202f% interval 2.0 to 2.0, p = 0.016, 7 seeds)" in text
    assert "on harder problems, so that" not in text, "those seeds lie close together"
    assert (
        "With the residual energy, problems as in training cannot tell: every mean, 1.59 to 3.17 × 10⁻⁵, is at the limit of single precision (LU in float32: 0.0001)"
        in text
    )


def test_one_strategy_at_the_limit_of_single_precision_is_no_excuse_for_another(tmp_path, monkeypatch):
    for strategy, mse in (("none", 1e-14), ("adversarial", 1e-8)):
        write_notebook(tmp_path / f"{strategy}.ipynb", make_record(strategy, energy="residual", mse=[mse] * 3))
    monkeypatch.setattr(
        Findings,
        "rivals",
        pd.DataFrame([["lu_float32", 1, 1e-14, "same"]], columns=["rival", "products", "mse", "split"]),
    )
    assert rounding(gather(tmp_path), "residual") == ""


def test_a_seed_that_diverged_counts(tmp_path, monkeypatch):
    record = make_record("none", energy="residual", mse_harder=[0.02, 0.05, 0.04])
    for entry in record["results"]["thinking"] + record["results"]["thinking_only"]:
        entry["harder"][1] = None
    write_notebook(tmp_path / "none.ipynb", record)
    found = gather(tmp_path)
    assert priced(found, monkeypatch, ("conjugate_gradients", 4, 1e-12)) == []
    assert "; 1 not finite" in str(products.reached(found))
