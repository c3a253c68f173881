"""The tables of a comparison, read as text."""

import re

import pytest
from bs4 import BeautifulSoup
from comparisons import REGIMES, write_comparison
from studies import table_rows

from anm.report import equal_compute_tables as tables

FACTORS = {"random": 2.0, "adversarial": 1.4, "one-step-denoising": 0.8, ("inverse-4-wide", "adversarial"): 0.9}
SETTINGS = {"n": 3, "answer_bound": 1.5, "budget_steps": 400}
ROOTS = {task: {"task": task, **SETTINGS} for task in ("square_root", "square_root_many")}


def first(cell: str) -> float:
    """The number that a cell starts with."""
    return float(re.match(r"[\d.]+", cell)[0])


def text_of(made) -> str:
    return BeautifulSoup(str(made), "html.parser").get_text(" ", strip=True)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return write_comparison(tmp_path_factory.mktemp("comparison"), FACTORS)


def test_the_leaderboard_starts_with_the_lowest_error(results):
    head, *rows = table_rows(tables.leaderboard(results))
    names = [row[0] for row in rows]
    assert names[0] == "one-step-denoising" and names[-2:] == ["adversarial", "random"] and "none" in names
    assert first(rows[0][1]) == pytest.approx(0.8, rel=0.05) and rows[0][3] == "2 lower" and rows[0][4] == "1.30"
    assert rows[-1][2].startswith("0.25") or rows[-1][2].startswith("< 0.25")
    assert len(rows) == 5 and len(head) == 6


def test_a_missing_run_shows_in_the_leaderboard_and_its_row_stays(tmp_path):
    results = write_comparison(tmp_path, FACTORS, skip=[("inverse-6", "random")])
    rows = {row[0]: row for row in table_rows(tables.leaderboard(results))}
    assert rows["random"][3] == "1 higher, 1 missing"
    every = {row[0]: row for row in table_rows(tables.every_comparison(results))}
    assert every["inverse-6, random"][1] == "—" and every["inverse-6, random"][8] == "0"


def test_every_comparison_has_both_intervals_and_all_scores(results):
    head, *rows = table_rows(tables.every_comparison(results))
    assert len(rows) == 4 + 4 + 1
    row = dict(zip(head, {row[0]: row for row in rows}["inverse-4, adversarial"]))
    assert first(row["error / none"]) == pytest.approx(1.4, rel=0.05) == first(row["over seeds and problems"])
    assert first(row["harder"]) == pytest.approx(1.4 * 2**0.5, rel=0.05)  # against twice the compute
    assert row["outcome"] == "higher" and row["seeds"] == "10"


def test_one_answer_stands_beside_many(tmp_path, results):
    assert tables.one_or_many(results) == ""
    factors = {("square_root_many", "random"): 0.7, ("square_root", "random"): 2}
    pair = write_comparison(tmp_path, factors, ROOTS, levels={"square_root": 1e-5, "square_root_many": 0.02})
    head, *rows = table_rows(tables.one_or_many(pair))
    assert head[1:] == ["one answer↕", "many answers↕"] or head[1:] == ["one answer", "many answers"]
    assert rows[0][0] == "random" and first(rows[0][1]) == pytest.approx(2, rel=0.05) and ", lower" in rows[0][2]


def test_the_width_check_says_which_sign_changes(results, tmp_path):
    assert tables.width_pairs(results) == [("inverse-4-wide", "inverse-4")]
    assert "changes its side of 1 for adversarial." in text_of(tables.widths(results))
    same = write_comparison(tmp_path, {"adversarial": 1.4})
    assert "No ratio changes its side of 1 with the width (1 arm)." in text_of(tables.widths(same))


def test_sentences_on_scalar_budget_and_harder(results):
    said = text_of(tables.robustness(results))
    assert "After one fitted scalar per seed, 0 of 8 ratios lie on the other side of 1." in said
    assert "At a quarter of the budget" in said and "At half of the budget" in said
    assert "with up to twice the compute of the arms" in said


def test_intervals_over_problems_are_wider(results):
    said = text_of(tables.robustness(results))
    assert "times as wide as one over seeds (median of 9 comparisons" in said


def test_each_criterion_has_its_result(results):
    said = text_of(tables.criteria(results))
    assert "Contrastive mining pays" in said and said.count("met") == 3


def test_a_failed_regime_is_in_no_average(tmp_path):
    factors = FACTORS | {("inverse-6", "adversarial"): 0.1}
    results = write_comparison(tmp_path, factors, REGIMES, levels={"inverse-6": 0.029})
    rows = {row[0]: row for row in table_rows(tables.leaderboard(results))}
    assert first(rows["adversarial"][1]) == pytest.approx(1.4, rel=0.05) and rows["adversarial"][3] == "1 higher"
    every = {row[0]: row for row in table_rows(tables.every_comparison(results))}
    assert every["inverse-6, adversarial"][7] == "no claim"
