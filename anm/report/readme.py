"""The answer in README.md, its picture, and reports/SUMMARY.md, which shows the report where HTML is not displayed.

    python -m anm.report.readme

writes them from reports/equal-compute, and from the second comparison if it has runs. A test holds the texts to the
records.
"""

import textwrap
from pathlib import Path

from anm.analysis.declaration import check_declaration, copies_of, declaration_sentences, declared_files
from anm.analysis.equal_compute import ComparisonResults, gather_comparison
from anm.report.equal_compute_answer import answer_sentences, limits, multiplier_text
from anm.report.equal_compute_figures import write_forest
from anm.report.follow_up import follow_up_sentence
from anm.utils.locations import PROJECT

SECOND = "connectivity"  # the comparison that was declared after the first one
START, END = "<!-- answer: written by python -m anm.report.readme -->", "<!-- end of answer -->"


def main(project: Path = PROJECT) -> None:
    """Write the answer into README.md and the forest plot into docs/equal-compute.png."""
    results, second = (gather_comparison(project / "reports" / name) for name in ("equal-compute", SECOND))
    readme = project / "README.md"
    readme.write_text(with_answer(readme.read_text(), answer_block(results, second)))
    (project / "reports" / "SUMMARY.md").write_text(summary(results, second))
    write_forest(results, project / "docs" / "equal-compute.png")


def answer_block(results: ComparisonResults, second: ComparisonResults) -> str:
    """The sentences of the answer as a list, their limits, and the second comparison, in Markdown."""
    sentences = [wrapped(sentence, "- ", "  ") for sentence in answer_sentences(results)]
    return "\n".join([*sentences, "", wrapped(limits(results)), "", wrapped(follow_up_sentence(second))])


def summary(results: ComparisonResults, second: ComparisonResults) -> str:
    """The report in short, in Markdown: answer, picture, every declared comparison, gates, declaration."""
    parts = [
        "# Do mined negatives help at equal compute?",
        answer_block(results, second),
        "![Error ratio to none with its interval and the compute multiplier](../docs/equal-compute.png)",
        wrapped(
            "Error over that of `none` after the same compute, with its 95 % interval; in brackets the compute "
            "multiplier. **Bold**: significant after Holm's correction. Everything else is in summary.html, which "
            "is one file: download it and open it in a browser."
        ),
        *details(results),
        "## The second comparison",
        *details(second),
    ]
    return "\n\n".join(parts) + "\n"


def details(results: ComparisonResults) -> list[str]:
    """Every declared comparison, the gates, and the declaration."""
    name = results.definition.name
    declared = check_declaration(declared_files(name), results.records, copies_of(name, results.folder))
    gates = "\n".join(f"- {regime}: {gate_text(results, regime)}" for regime in results.regimes)
    return [comparison_table(results), gates, wrapped(" ".join(declaration_sentences(declared)))]


def comparison_table(results: ComparisonResults) -> str:
    """Arms by regimes with a claim: ratio, interval and multiplier."""
    rows = {(row["regime"], row["arm"]): row for row in results.primary.to_dict("records")}
    lines = ["| arm | " + " | ".join(results.passed) + " |", "|---" * (1 + len(results.passed)) + "|"]
    for arm in results.arms:
        cells = [cell(rows.get((regime, arm))) for regime in results.passed]
        lines.append("| " + " | ".join([arm, *cells]) + " |")
    return "\n".join(lines)


def cell(row: dict | None) -> str:
    """One comparison: ratio, interval and multiplier; empty without seeds."""
    if row is None or not row["n_seeds"]:
        return ""
    ratio = f"**{row['ratio']:.3g}**" if row["significant"] else f"{row['ratio']:.3g}"
    return f"{ratio} ({row['ci_low']:.3g} to {row['ci_high']:.3g}) [{multiplier_text(row)}]"


def gate_text(results: ComparisonResults, regime: str) -> str:
    """Whether a regime passed its gate, in a sentence."""
    gate = results.gates[regime]
    return gate.sentence if gate else "no result of `none`."


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
