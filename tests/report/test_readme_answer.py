"""The answer in README.md is that of the committed records."""

import pytest

from anm.report import gather_comparison
from anm.report.readme import END, SECOND, START, answer_block, summary, with_answer
from anm.utils.locations import PROJECT


@pytest.fixture(scope="module")
def results():
    return gather_comparison(PROJECT / "reports" / "equal-compute")


@pytest.fixture(scope="module")
def second():
    return gather_comparison(PROJECT / "reports" / SECOND)


def test_the_readme_has_the_answer_of_the_records(results, second):
    """After new runs: python -m anm.report.readme"""
    readme = (PROJECT / "README.md").read_text()
    assert with_answer(readme, answer_block(results, second)) == readme


def test_the_summary_has_every_claim_of_the_records(results, second):
    """Its paragraphs on declarations come from git, which a copy may lack."""
    written = (PROJECT / "reports" / "SUMMARY.md").read_text()
    told, made = (
        [part for part in text.split("\n\n") if "declared in commit" not in part and "unknown which" not in part]
        for text in (written, summary(results, second))
    )
    assert told == made
    for found in (results, second):
        for row in found.primary[found.primary["claim"].astype(bool)].to_dict("records"):
            assert f"{row['ratio']:.3g}" in written, row


def test_the_answer_goes_between_the_marks_and_nowhere_else():
    written = with_answer(f"before\n{START}\nold\n{END}\nafter\n", "new")
    assert written == f"before\n{START}\n\nnew\n\n{END}\nafter\n"
    assert with_answer(written, "new") == written


@pytest.mark.parametrize("text", ["", START, END])
def test_a_readme_without_marks_is_refused(text):
    with pytest.raises(ValueError, match="must hold the lines"):
        with_answer(text, "new")
