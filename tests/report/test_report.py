"""The page as a whole: its notebook, hostile records, and its behaviour in a browser."""

import re
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from records import make_record, write_notebook
from studies import write_study

from anm.analysis.results import StudyResults
from anm.records.collect import RecordError
from anm.report import (
    answer,
    build_report,
    comparison_tables,
    data_files,
    figures,
    gallery,
    gather,
    observations,
    products,
    published_tables,
    run_tables,
    strategy_table,
    sweeps,
    verdict,
)
from anm.report.page import Html

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
ATTACK = "<img src=x onerror=\"pwned('{}')\"></script><script>pwned('{}')</script>"


def hostile_records() -> dict[str, dict]:
    """A record for each place that foreign text can come from: file name -> record."""

    def attack(place):
        return ATTACK.format(place, place)

    made = {
        "names.ipynb": make_record(attack("strategy"), seeds=(0, 1, 2)),
        "energy.ipynb": make_record("none", energy=attack("energy")),
        "formula.ipynb": make_record("$\\frac{1}{0$ {{7*7}} {0.__class__}"),
        "params.ipynb": make_record(
            "random",
            precision=attack("precision"),
            device=attack("param device"),
            checkpoint_dir=attack("folder"),
            **{attack("key"): attack("value")},
        ),
        "spreadsheet.ipynb": make_record('=HYPERLINK("http://evil.example")'),
    }
    for seed, name in enumerate(("git_commit", "anm", "python", "torch", "device", "started", "host", "cpu", "gpu")):
        made[f"{name}.ipynb"] = make_record("none", seeds=[seed])
        origin = made[f"{name}.ipynb"]["provenance"]
        (origin["machine"] if name in origin["machine"] else origin)[name] = attack(name)
    made["<img src=x onerror=pwned('file')>\"'&.ipynb"] = make_record("adversarial")
    return made


@pytest.fixture(scope="session")
def hostile_page(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    for name, record in hostile_records().items():
        write_notebook(folder / name, record)
    write_notebook(folder / "error.ipynb", error=(ATTACK.format("ename", "ename"), ATTACK.format("error", "error")))
    write_notebook(folder / "javascript:pwned('file').ipynb", records=0)
    return build_report(folder)


@pytest.fixture(scope="session")
def clean_page(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("clean")
    write_study(folder, change=0.05, random=0.001)
    write_notebook(folder / "failed.ipynb", error=("TrainingError", "loss is not finite at step 3"))
    return build_report(folder)


def test_a_record_is_data_never_markup(hostile_page):
    soup = BeautifulSoup(hostile_page.read_text(), "html.parser")
    assert len(soup.find_all("script")) == 1 and [link["href"] for link in soup.find_all("link")] == ["data:,"]
    assert not soup.find_all(["img", "iframe", "object", "embed", "form", "base"])
    for element in soup.find_all(True):
        assert not [name for name in element.attrs if name.lower().startswith("on")], element.name
        address = element.attrs.get("href", "#")
        assert address.startswith(("#", "./", "data:")), address
    text = soup.get_text()
    for place in (
        "strategy",
        "energy",
        "precision",
        "key",
        "value",
        "torch",
        "device",
        "started",
        "host",
        "gpu",
        "ename",
        "error",
    ):
        assert f"pwned('{place}')" in text, f"{place} should show as text"
    assert soup.find(title=ATTACK.format("git_commit", "git_commit")), "a commit is cut short; hovering shows it whole"
    assert "{{7*7}} {0.__class__}" in text and "$\\frac{1}{0$" in text


# --- the page ------------------------------------------------------------------------------------------------------


def test_the_page_and_its_notebook_are_written(clean_page):
    text = clean_page.read_text()
    assert clean_page.name == "summary.html" and len(text) < 5_000_000
    assert sorted(p.name for p in clean_page.parent.iterdir() if "summary" in p.name) == [
        "summary.analysis.ipynb",
        "summary.html",
    ]
    kept = nbformat.read(clean_page.with_name("summary.analysis.ipynb"), as_version=4)
    assert any('runs = "."' in cell.source for cell in kept.cells)
    assert verdict(gather(clean_page.parent)).split("\n")[0] in text and "loss is not finite at step 3" in text
    assert text.index("mining raises the error") < text.index("<figure") < text.index("<nav")


def test_the_same_records_give_the_same_page_and_one_elsewhere_finds_its_notebooks(clean_page, tmp_path):
    again = build_report(clean_page.parent, tmp_path / "deep" / "other.html")
    address = r'(?<=<a href="\./)[^"]*(?=\.ipynb")'
    assert re.sub(address, "", again.read_text()) == re.sub(address, "", clean_page.read_text())
    found = [f"{link}.ipynb" for link in re.findall(address, again.read_text())]
    assert len(found) == 3 and all((again.parent / link).is_file() for link in found)


def test_an_empty_folder_makes_a_page_that_says_so(tmp_path):
    text = build_report(tmp_path).read_text()
    assert "No answer yet: there is no finished run." in text and "There is no valid run." in text


def test_a_missing_folder_is_an_error_that_names_it(tmp_path):
    with pytest.raises(RecordError, match="nowhere.*no such folder"):
        build_report(tmp_path / "nowhere")


# --- in a browser --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_request_leaves_the_page_and_nothing_is_wrong_in_it(clean_page, open_page, width, scheme):
    page, log = open_page(clean_page, width, scheme)
    page.evaluate("document.querySelectorAll('details').forEach(fold => fold.open = true)")
    assert log == [clean_page.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    small = page.evaluate("[...document.querySelectorAll('svg')].map(s => s.getBoundingClientRect().width)")
    assert min(small) > 300, "figures fill a phone"


def test_first_screen_holds_answer_and_figure(clean_page, open_page):
    page, _ = open_page(clean_page, 1440)
    assert page.locator(".verdict").first.bounding_box()["y"] < 300
    box = page.locator("figure").first.bounding_box()
    assert box["y"] + box["height"] < 900


@pytest.mark.parametrize("width", [1440, 390])
def test_hostile_records_run_nothing(hostile_page, open_page, width):
    page, log = open_page(hostile_page, width)
    assert log == [hostile_page.as_uri()]
    assert page.evaluate("typeof pwned") == "undefined" and page.locator("img").count() == 0


def test_even_without_its_policy_the_page_runs_nothing_hostile(hostile_page, open_page, tmp_path):
    bare = tmp_path / "bare.html"
    bare.write_text(re.sub(r"<meta[^>]*Content-Security-Policy[^>]*>", "", hostile_page.read_text()))
    page, log = open_page(bare)
    assert log == [bare.as_uri()]


def test_tables_sort_by_number(clean_page, open_page):
    page, _ = open_page(clean_page)
    heading = page.locator("#strategies ~ * th", has_text="MSE same").first
    heading.locator("button").click()
    rows = "[...document.querySelector('#strategies ~ * table').tBodies[0].rows]"
    column = f"{rows}.map(row => parseFloat(row.cells[1].dataset.sort))"
    rising = page.evaluate(column)
    assert rising == sorted(rising) and heading.get_attribute("aria-sort") == "ascending"
    heading.locator("button").click()
    assert page.evaluate(column) == rising[::-1]


def test_the_data_can_be_saved(clean_page, open_page, tmp_path):
    page, _ = open_page(clean_page, accept_downloads=True)
    with page.expect_download() as saved:
        page.locator("a.download", has_text="scores.csv").click()
    saved.value.save_as(tmp_path / "scores.csv")
    assert (tmp_path / "scores.csv").read_text().startswith("run,strategy,energy")


def test_the_page_prints_with_its_folds_as_they_are(clean_page, open_page, tmp_path):
    page, _ = open_page(clean_page)
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    printed = page.pdf(path=tmp_path / "page.pdf", format="A4")
    assert printed.startswith(b"%PDF")
    states = page.evaluate("[...document.querySelectorAll('section details')].map(fold => fold.open)")
    assert states and not any(states)


@pytest.mark.parametrize(("width", "wide_font"), [(1440, False), (390, False), (390, True)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(clean_page, open_page, axe, width, wide_font, scheme):
    page, _ = open_page(clean_page, width, scheme, wide_font, bypass_csp=True)
    assert axe(page) == []


# --- the notebook --------------------------------------------------------------------------------------------------


def test_the_notebook_is_short_defines_nothing_and_its_prose_holds_no_number():
    kept = nbformat.read(NOTEBOOKS / "analysis.ipynb", as_version=4)
    assert len(kept.cells) <= 30
    for cell in kept.cells:
        if cell.cell_type == "code":
            assert not re.search(r"^\s*(def|class|for|while) ", cell.source, re.MULTILINE)
        else:
            assert not re.search(r"\d+\.\d+", cell.source), "prose repeats no number by hand"


def test_the_notebook_displays_everything():
    source = (NOTEBOOKS / "analysis.py").read_text()
    modules = [answer, comparison_tables, data_files, figures, gallery, observations, products, published_tables]
    parts = [
        f"{module.__name__.rpartition('.')[2]}.{name}(study)"
        for module in [*modules, run_tables, strategy_table, sweeps]
        for name, value in vars(module).items()
        if getattr(value, "__annotations__", None) == {"results": StudyResults, "return": Html}
    ]
    assert len(parts) > 40 and [part for part in parts if part not in source] == []
