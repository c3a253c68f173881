"""The page of a comparison as a whole, in a browser and on paper."""

import re
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from comparisons import REGIMES, write_comparison
from studies import write_study

from anm.records.collect import RecordError
from anm.report import (
    answer_sentences,
    build_comparison_report,
    equal_compute_answer,
    equal_compute_checks,
    equal_compute_figures,
    equal_compute_tables,
    gather_comparison,
)
from anm.report.follow_up import follow_up_sentence
from anm.report.page import Html

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
FACTORS = {"random": 2.0, "adversarial": 1.4, "one-step-denoising": 0.8, ("inverse-6", "adversarial"): 0.5}
MODULES = (equal_compute_answer, equal_compute_checks, equal_compute_figures, equal_compute_tables)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A comparison in which inverse-6 fails its gate although an arm wins there, and an earlier study."""
    reports = tmp_path_factory.mktemp("reports")
    write_comparison(reports / "equal", FACTORS, levels={"inverse-6": 0.029})
    write_study(reports / "cpu", change=0.05)
    later = write_comparison(reports / "later", {"random": 0.5}, {"inverse-4": REGIMES["inverse-4"]})
    build_comparison_report(later.folder)
    return reports


@pytest.fixture(scope="module")
def page(folder):
    return build_comparison_report(folder / "equal", folder / "summary.html", folder / "cpu", folder / "later")


def test_the_page_has_the_answer_and_no_claim_on_a_failed_regime(page, folder):
    text = BeautifulSoup(page.read_text(), "html.parser").get_text(" ", strip=True)
    results = gather_comparison(folder / "equal")
    assert all(sentence in text for sentence in answer_sentences(results))
    assert "No claim on inverse-6 and inverse-20" in text and "in 0 of 1 comparison, higher in 1" in text
    assert page.stat().st_size < 2_000_000 and "Traceback" not in text
    assert text.index("Contrastive training") < text.index("Error against compute")


def test_the_page_links_its_notebooks_and_the_earlier_study_is_an_appendix(page, folder):
    links = re.findall(r'href="\./([^"]*)"', page.read_text())
    assert "equal/inverse-4--random.ipynb" in links and all((folder / link).exists() for link in links)
    assert "exploratory, at equal steps" in page.read_text()


def test_the_page_shows_the_comparison_that_was_declared_later_and_links_its_page(page, folder):
    text = BeautifulSoup(page.read_text(), "html.parser").get_text(" ", strip=True)
    assert follow_up_sentence(gather_comparison(folder / "later")) in text and "The second comparison" in text
    assert 'href="./later/summary.html"' in page.read_text()


def test_without_other_studies_there_is_no_appendix_and_no_second_comparison(folder, tmp_path):
    alone = build_comparison_report(folder / "equal", tmp_path / "alone.html")
    assert not any(text in alone.read_text() for text in ("Appendix", "One right answer", "second comparison"))


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(RecordError, match="no such folder"):
        build_comparison_report(tmp_path / "nowhere")


@pytest.mark.parametrize("width", [1440, 390])
def test_nothing_is_loaded_and_nothing_overflows(page, open_page, width):
    opened, log = open_page(page, width)
    assert log == [page.as_uri()]
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    outside = "[...document.querySelectorAll('#forest svg')].filter(s => s.getBoundingClientRect().right > innerWidth)"
    assert opened.evaluate(f"{outside}.length") == 0, "the comparison shows without sideways scrolling"


def test_the_first_screen_holds_answer_and_forest_and_the_page_is_short(page, open_page):
    opened, _ = open_page(page, 1440)
    panels = opened.locator("#forest .panels").bounding_box()
    assert opened.locator(".verdict").first.bounding_box()["y"] < 300 and panels["y"] + panels["height"] < 900
    assert opened.locator("#appendix-the-earlier-study").bounding_box()["y"] < 10 * 900


def test_folded_tables_stay_closed_on_paper(page, open_page, tmp_path):
    opened, _ = open_page(page)
    opened.emulate_media(media="print")
    opened.pdf(path=tmp_path / "page.pdf", format="A4")
    states = opened.evaluate("[...document.querySelectorAll('section details')].map(fold => fold.open)")
    tables = "[...document.querySelectorAll('section details table')]"
    shown = opened.evaluate(f"{tables}.map(table => table.checkVisibility({{contentVisibilityAuto: true}}))")
    assert len(states) >= 5 and not any(states) and not any(shown)


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(page, open_page, axe, width, scheme):
    opened, _ = open_page(page, width, scheme, bypass_csp=True)
    assert axe(opened) == []


def test_the_notebook_is_short_defines_nothing_and_displays_everything():
    kept = nbformat.read(NOTEBOOKS / "comparison.ipynb", as_version=4)
    assert len(kept.cells) <= 30
    for cell in kept.cells:
        pattern = r"^\s*(def|class|for|while) " if cell.cell_type == "code" else r"\d+\.\d+"
        assert not re.search(pattern, cell.source, re.MULTILINE)
    source = (NOTEBOOKS / "comparison.py").read_text()
    parts = [
        f"{module.__name__.rpartition('.')[2]}.{name}(comparison)"
        for module in MODULES
        for name, value in vars(module).items()
        if getattr(value, "__annotations__", {}).get("return") is Html
        and value.__module__ == module.__name__
        and list(value.__annotations__) == ["results", "return"]
    ]
    assert len(parts) >= 14 and [part for part in parts if part not in source] == []
