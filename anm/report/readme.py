"""The answer in README.md and its picture, from the records.

    python -m anm.report.readme

writes both from reports/equal-compute. A test holds README.md to the records.
"""

import textwrap
from pathlib import Path

from anm.analysis.equal_compute import ComparisonResults, gather_comparison
from anm.report.equal_compute_answer import answer_sentences, limits
from anm.report.equal_compute_figures import write_forest
from anm.utils.locations import PROJECT

START, END = "<!-- answer: written by python -m anm.report.readme -->", "<!-- end of answer -->"


def main(project: Path = PROJECT) -> None:
    """Write the answer into README.md and the forest plot into docs/equal-compute.png."""
    results = gather_comparison(project / "reports" / "equal-compute")
    readme = project / "README.md"
    readme.write_text(with_answer(readme.read_text(), answer_block(results)))
    write_forest(results, project / "docs" / "equal-compute.png")


def answer_block(results: ComparisonResults) -> str:
    """The sentences of the answer as a list, then their limits, in Markdown."""
    sentences = [wrapped(sentence, "- ", "  ") for sentence in answer_sentences(results)]
    return "\n".join([*sentences, "", wrapped(limits(results))])


def wrapped(text: str, first: str = "", rest: str = "") -> str:
    """The text in lines of at most 120 characters."""
    return textwrap.fill(text, 120, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)


def with_answer(readme: str, block: str) -> str:
    """The text of README.md with this answer between its two marks. Raises `ValueError` without them."""
    before, start, rest = readme.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise ValueError(f"README.md: must hold the lines {START!r} and {END!r}, between which the answer goes")
    return f"{before}{START}\n\n{block}\n\n{END}{after}"


if __name__ == "__main__":
    main()
