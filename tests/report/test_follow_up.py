"""A second comparison as the page of the first one shows it."""

import pytest
from bs4 import BeautifulSoup
from comparisons import REGIMES, write_comparison

from anm.report.follow_up import follow_up_answer, follow_up_section, follow_up_sentence, gather_follow_up

TWO = {name: REGIMES[name] for name in ("inverse-4", "inverse-6")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("second")


@pytest.fixture(scope="module")
def second(folder):
    factors = {("inverse-4", "random"): 0.5, ("inverse-6", "random"): 2.0, "any-noise": 3.0}
    return write_comparison(folder, factors, TWO)


def test_the_sentence_gives_each_arm_its_outcome_in_each_regime(second):
    said = follow_up_sentence(second)
    assert "(inverse-4 and inverse-6, 10 new seeds)" in said
    assert "random lower in inverse-4 (−5" in said and "), higher in inverse-6;" in said
    assert "any-noise higher in both." in said and said.index("adversarial") < said.index("any-n")


def test_a_regime_that_fails_its_gate_has_no_outcome(tmp_path):
    failed = write_comparison(tmp_path, {"random": 0.5}, TWO, levels={"inverse-6": 1.0})
    assert "inverse-6" not in follow_up_sentence(failed) and "lower in inverse-4" in follow_up_sentence(failed)
    cells = BeautifulSoup(follow_up_section(failed), "html.parser").find_all("td")
    assert "failed" in [cell.text for cell in cells] and any("no claim" in cell.text for cell in cells)


def test_without_a_regime_that_passes_there_is_no_answer(tmp_path):
    none = write_comparison(tmp_path, regimes=TWO, levels={"inverse-4": 1.0, "inverse-6": 1.0})
    assert "No answer" in follow_up_sentence(none)


def test_the_section_has_a_row_per_arm_and_names_its_page(second):
    soup = BeautifulSoup(follow_up_section(second), "html.parser")
    heads = [row.th.text for row in soup.tbody.find_all("tr")]
    assert heads == ["gate", "error of none", *second.arms]
    assert soup.find_all("a")[-1]["href"].endswith(f"{second.folder.name}/summary.html")


def test_without_a_second_comparison_the_page_says_nothing(tmp_path, second):
    assert gather_follow_up(tmp_path / "absent") is None
    assert follow_up_answer(None) == follow_up_section(None) == ""
    shown = BeautifulSoup(follow_up_answer(gather_follow_up(second.folder)), "html.parser")
    assert shown.p.text == follow_up_sentence(second)
