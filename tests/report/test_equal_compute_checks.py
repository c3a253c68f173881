"""What a comparison rests on: gates, negatives, costs, declaration, gaps, tuning, origin, the earlier study."""

import pandas as pd
import pytest
from bs4 import BeautifulSoup
from comparisons import write_comparison
from studies import table_rows, write_study

from anm.report import equal_compute_checks as checks


def text_of(made) -> str:
    return BeautifulSoup(str(made), "html.parser").get_text(" ", strip=True)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return write_comparison(tmp_path_factory.mktemp("comparison"), {"random": 2.0}, skip=[("inverse-6", "adversarial")])


def test_the_gate_table_has_every_regime_and_the_reason_on_hover(results):
    made = checks.gate_table(results)
    rows = {row[0]: row for row in table_rows(made)}
    assert rows["inverse-4"][1] == "passed" and rows["inverse-20"][1] == "failed: no claim"
    assert rows["inverse-20"][4] == "0.00955"
    assert "Failed: the error of `none`" in str(made) and made.count('class="reference"') == 1


def test_negatives_that_teach_nothing_are_named():
    rows = [("a", "mined", level, 0.9 if level < 3 else 0.0, 0.0, 0.5) for level in range(5)]
    rows += [
        ("b", "mined", level, 0.0, 1.0 if level == 4 else 0.0, 0.01 if level in (1, 3) else 0.5) for level in range(5)
    ]
    found = checks.mining_problems(
        pd.DataFrame(rows, columns=["regime", "arm", "level", "false", "clipped", "accepted"])
    )
    assert found == [
        "More than half of the negatives are right answers: a (levels 0 to 2): mined.",
        "More than half of the negatives reach the answer bound: b (level 4): mined.",
        "Fewer than a tenth of the mining steps lowered the energy: b (levels 1, 3): mined.",
    ]


def test_good_negatives_give_no_warning_and_all_levels_are_listed(results):
    assert "notice" not in checks.mined(results) and "No arm mined nothing" in checks.mined(results)
    assert len(table_rows(checks.mined(results))) == 1 + 10 * 6  # arms with negatives by regime, less one missing


def test_costs_are_counted_and_measured(results):
    rows = {row[0]: row for row in table_rows(checks.step_costs(results))}
    assert rows["inverse-4, adversarial"][1] == "2.50" and "times its counted cost" in text_of(
        checks.step_costs(results)
    )


def test_synthetic_runs_have_no_declaration(results):
    assert "It is unknown which commit declared this comparison" in text_of(checks.declared(results))


def test_gaps_refusals_and_the_full_scale_are_told(results):
    said = text_of(checks.missing(results))
    assert "Of 13 declared runs, 12 are complete." in said and "inverse-6, adversarial: seeds 0 to 9" in said
    assert "n = 20 with 100,000 training steps" in said and "compared at n = 4 to 6" in said
    assert "In inverse-20, none does not pass the gate" in said


def test_a_complete_comparison_says_so(tmp_path):
    assert "All 13 declared runs are there" in text_of(checks.missing(write_comparison(tmp_path)))


def test_tuning_marks_the_chosen_trial(tmp_path, results):
    assert "There is no file of trials" in checks.declared(results)
    trials = "regime,arm,learning_rate,contrastive_weight,seeds,budget_steps,steps,error\n"
    trials += "inverse-4,random,0.001,0.5,1000,400,400,0.2\ninverse-4,random,0.01,0.5,1000,400,400,0.1\n"
    trials += "inverse-4,random,0.02,0.5,1000,400,400,\n"
    (tmp_path / "comparison.tuning.csv").write_text(trials)
    tuned = write_comparison(tmp_path)
    assert tuned.definition.tuned["inverse-4", "random"]["learning_rate"] == 0.01 and not tuned.refused
    rows = table_rows(checks.declared(tuned))
    assert [row[4] for row in rows[1:]] == ["", "chosen", ""] and rows[3][3] == "diverged"


def test_the_origin_links_each_notebook(results, monkeypatch):
    monkeypatch.chdir(results.folder)
    made = checks.origins(results)
    assert len(table_rows(made)) == 13 and 'href="./inverse-4--random.ipynb"' in made
    assert all(print_ in made for print_ in results.fingerprints.values())


def test_the_earlier_study_is_one_table_with_a_link(tmp_path, monkeypatch):
    assert checks.earlier_study(tmp_path / "nowhere") == ""
    write_study(tmp_path, change=0.05)
    (tmp_path / "summary.html").write_text("page")
    monkeypatch.chdir(tmp_path)
    made = checks.earlier_study(".")
    rows = table_rows(made)
    assert [row[0] for row in rows[1:]] == ["mlp, adversarial, same", "mlp, adversarial, harder"]
    assert "exploratory" in made and 'href="./summary.html"' in made
