"""The comparison on record: declared before its runs, unchanged since, and shown by the committed page."""

import re
import shutil
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from anm.analysis.declaration import check_declaration, copies_of, declared_files
from anm.report import build_comparison_report, gather_comparison
from anm.utils.git import run_git

REPORTS = Path(__file__).resolve().parents[2] / "reports"
RUNS, PAGE = REPORTS / "equal-compute", REPORTS / "summary.html"
pytestmark = pytest.mark.skipif(
    run_git(REPORTS, "rev-parse", "--is-shallow-repository") != "false",
    reason="this clone has no history, which tells when the comparison was declared",
)


@pytest.fixture(scope="module")
def results():
    return gather_comparison(RUNS)


def says(page: Path) -> str:
    """What a page shows in words and numbers; drawings and digits beyond those shown may differ between machines."""
    text = re.sub(r"<svg.*?</svg>", "", page.read_text(), flags=re.DOTALL)
    return re.sub(r'(data-sort|href)="[^"]*"', "", text)


def test_the_runs_are_younger_than_the_declaration_which_did_not_change(results):
    found = check_declaration(declared_files(RUNS.name), results.records, copies_of(RUNS.name, RUNS))
    assert found.holds, found


def test_every_run_was_made_with_committed_code_and_the_page_names_those_that_are_missing(results):
    assert not results.refused
    for run, record in results.records.items():
        assert record["provenance"]["git_dirty"] is False, run
    assert ("incomplete run" in says(PAGE)) == bool(results.missing)


def test_the_page_is_of_these_records_and_no_others(results):
    soup = BeautifulSoup(PAGE.read_text(), "html.parser")
    shown = {cell["title"] for cell in soup.find_all("td", title=re.compile("^[0-9a-f]{64}$"))}
    assert shown == set(results.fingerprints.values())


def test_the_committed_notebooks_make_the_committed_page(tmp_path):
    for name in (RUNS.name, "cpu"):
        shutil.copytree(REPORTS / name, tmp_path / name)
    made = build_comparison_report(tmp_path / RUNS.name, tmp_path / "summary.html", tmp_path / "cpu")
    assert says(made) == says(PAGE) and PAGE.stat().st_size < 2_000_000
