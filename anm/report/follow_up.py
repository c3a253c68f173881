"""A second declared comparison, as the page and the answer of the first one show it."""

from pathlib import Path

from anm.analysis.declaration import check_declaration, copies_of, declaration_sentences, declared_files
from anm.analysis.declared_criteria import claims, listed
from anm.analysis.equal_compute import ComparisonResults, gather_comparison
from anm.report.equal_compute_answer import answer_sentences, multiplier_text
from anm.report.equal_compute_tables import outcome_cell
from anm.report.formatting import counted, format_range, number_cell, percent
from anm.report.page import Html, html, link, paragraphs, table
from anm.study.plan import BASELINE


def follow_up_sentence(results: ComparisonResults) -> str:
    """Every arm of the second comparison with its outcome in every regime with a claim, in one sentence."""
    if not results.passed:
        return f"A second comparison, declared after the first one: {answer_sentences(results)[0]}"
    seeds = format_range(len(results.definition.params(regime, BASELINE).seed_list) for regime in results.passed)
    arms: dict[str, list[str]] = {}
    for arm in results.arms:
        arms.setdefault(outcomes_text(results, arm), []).append(arm)
    found = "; ".join(f"{listed(group)} {outcomes}" for outcomes, group in arms.items() if outcomes)
    return (
        f"A second comparison, declared after the first one ({listed(results.passed)}, {seeds} new seeds), found these "
        f"errors against denoising alone: {found}."
    )


def outcomes_text(results: ComparisonResults, arm: str) -> str:
    """An arm's regimes by outcome, a lower error with its change and multiplier; empty without a claim."""
    found: dict[str, list[str]] = {}
    for row in claims(results, [arm]).to_dict("records"):
        size = f" ({percent(row['ratio'] - 1)}, multiplier {multiplier_text(row)})" * (row["outcome"] == "lower")
        found.setdefault(row["outcome"], []).append(f"{row['regime']}{size}")
    if len(found) == 1 and "lower" not in found and len(results.passed) == 2:
        return f"{next(iter(found))} in both"
    return ", ".join(f"{outcome} in {listed(where)}" for outcome, where in found.items())


def gather_follow_up(folder: str | Path) -> ComparisonResults | None:
    """The second comparison, or None where there is no such folder."""
    return gather_comparison(folder) if Path(folder).is_dir() else None


def follow_up_answer(results: ComparisonResults | None) -> Html:
    """The sentence as a paragraph; empty without a second comparison."""
    return paragraphs([follow_up_sentence(results)], "scale") if results else Html("")


def follow_up_section(results: ComparisonResults | None) -> Html:
    """A table of arms by regimes, when it was declared, and a link to its own page; empty without a comparison."""
    if not results:
        return Html("")
    name, gates = results.definition.name, [results.gates[regime] for regime in results.regimes]
    declared = check_declaration(declared_files(name), results.records, copies_of(name, results.folder))
    rows = [
        ["gate", *("unknown" if gate is None else "passed" if gate.passed else "failed" for gate in gates)],
        ["error of none", *(None if gate is None else number_cell(gate.error, 3) for gate in gates)],
    ]
    rows += [[arm, *(outcome_cell(results, results.row(r, arm)) for r in results.regimes)] for arm in results.arms]
    caption = f"Error over that of none in the second comparison ({counted(len(results.regimes), 'regime')})"
    return html(
        "{}\n{}\n<p>{}</p>",
        paragraphs([" ".join(declaration_sentences(declared))], "finding"),
        table(caption, ["arm", *results.regimes], rows),
        link(results.folder / "summary.html", "The whole second comparison"),
    )
