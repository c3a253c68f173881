"""The comparisons on record: declared before their runs, unchanged since, and shown by the committed pages."""

import re
import shutil
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from anm.analysis.declaration import check_declaration, copies_of, declared_files
from anm.report import build_comparison_report, gather_comparison
from anm.study.cli import FRONT_PARTS, FULL_SCALE
from anm.utils.git import run_git

REPORTS = Path(__file__).resolve().parents[2] / "reports"
FIRST, SECOND = "equal-compute", "connectivity"
PAGES = {FIRST: REPORTS / "summary.html", SECOND: REPORTS / SECOND / "summary.html"}
pytestmark = pytest.mark.skipif(
    run_git(REPORTS, "rev-parse", "--is-shallow-repository") != "false",
    reason="this clone has no history, which tells when the comparison was declared",
)


@pytest.fixture(scope="module", params=PAGES)
def results(request):
    return gather_comparison(REPORTS / request.param)


def says(page: Path) -> str:
    """What a page shows in words and numbers; drawings and digits beyond those shown may differ between machines."""
    text = re.sub(r"<svg.*?</svg>", "", page.read_text(), flags=re.DOTALL)
    return re.sub(r'(data-sort|href)="[^"]*"', "", text)


def test_the_runs_are_younger_than_the_declaration_which_did_not_change(results):
    name = results.definition.name
    found = check_declaration(declared_files(name), results.records, copies_of(name, results.folder))
    assert found.holds, found


def test_every_run_was_made_with_committed_code_and_the_page_names_those_that_are_missing(results):
    assert not results.refused
    for run, record in results.records.items():
        assert record["provenance"]["git_dirty"] is False, run
    assert ("incomplete run" in says(PAGES[results.definition.name])) == bool(results.missing)


def test_the_page_is_of_these_records_and_no_others(results):
    soup = BeautifulSoup(PAGES[results.definition.name].read_text(), "html.parser")
    shown = {cell["title"] for cell in soup.find_all("td", title=re.compile("^[0-9a-f]{64}$"))}
    assert shown == set(results.fingerprints.values())


@pytest.mark.parametrize("name", PAGES)
def test_the_committed_notebooks_make_the_committed_page(name, tmp_path):
    for folder in (FIRST, *FRONT_PARTS.values(), FULL_SCALE):
        shutil.copytree(REPORTS / folder, tmp_path / folder)
    others = {role: tmp_path / folder for role, folder in FRONT_PARTS.items() if name == FIRST}
    page = PAGES[name]
    made = build_comparison_report(
        tmp_path / name, tmp_path / page.relative_to(REPORTS), part=tmp_path / FULL_SCALE, **others
    )
    assert says(made) == says(page) and page.stat().st_size < 2_000_000
