"""The answer in README.md is that of the committed records."""

import pytest

from anm.report import gather_comparison
from anm.report.readme import END, START, answer_block, with_answer
from anm.utils.locations import PROJECT


def test_the_readme_has_the_answer_of_the_records():
    """After new runs: python -m anm.report.readme"""
    readme = (PROJECT / "README.md").read_text()
    assert with_answer(readme, answer_block(gather_comparison(PROJECT / "reports" / "equal-compute"))) == readme


def test_the_answer_goes_between_the_marks_and_nowhere_else():
    written = with_answer(f"before\n{START}\nold\n{END}\nafter\n", "new")
    assert written == f"before\n{START}\n\nnew\n\n{END}\nafter\n"
    assert with_answer(written, "new") == written


@pytest.mark.parametrize("text", ["", START, END])
def test_a_readme_without_marks_is_refused(text):
    with pytest.raises(ValueError, match="must hold the lines"):
        with_answer(text, "new")
