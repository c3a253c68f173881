"""The answer of a comparison at equal compute: three sentences, their limits, and the verdict of every arm."""

import pandas as pd

from anm.analysis.declared_criteria import (
    arms_of,
    claims,
    declared_rows,
    inputs_pay,
    listed,
    mining_does_not_pay,
    mining_pays,
)
from anm.analysis.equal_compute import ComparisonResults
from anm.analysis.multiplier import bounded_text
from anm.report.equal_compute_figures import no_claim_reason
from anm.report.formatting import THIN, counted, format_range, number, percent, range_text
from anm.report.page import Html, html, paragraphs
from anm.study.plan import BASELINE

SAME_COMPUTE = "after the same compute"
MOST_NAMED = 2  # comparisons with a lower error that a sentence names one by one


def first_screen(results: ComparisonResults) -> Html:
    """The answer with its limits, and a notice if there are gaps or refused notebooks."""
    gaps, refused = len(results.missing), len(results.refused)
    counts = [f"{counted(refused, 'notebook')} refused"] * (refused > 0) + [counted(gaps, "incomplete run")] * (
        gaps > 0
    )
    notice = html('<p class="notice">{}: <a href="#what-is-missing">what is missing</a></p>', ", ".join(counts))
    parts = [paragraphs(answer_sentences(results), "verdict"), paragraphs([limits(results)], "scale")]
    return Html("\n").join([*parts, notice if counts else Html("")])


def answer_sentences(results: ComparisonResults) -> list[str]:
    """Three sentences: contrastive mining, mined inputs, and their control without negatives."""
    if not results.passed:
        unknown = any(results.gates[regime] is None for regime in results.family)
        reason = f"a run of {BASELINE} is missing" if unknown else "no regime of the declared family passes its gate"
        return [f"No answer{' yet' * unknown}: {reason}."]
    return [mining_sentence(results), inputs_sentence(results), control_sentence(results)]


def mining_sentence(results: ComparisonResults) -> str:
    """Whether contrastive training with mined negatives pays."""
    arms = arms_of(results, "contrastive")
    pays, not_pays = mining_pays(results).met, mining_does_not_pay(results).met
    verdict = "pays" if pays else "does not pay" if not_pays else "is not shown to pay"
    found = f"{SAME_COMPUTE}, {tally(results, arms)}{bound(results, arms)}"
    return f"Contrastive training with mined negatives {verdict}: {found}."


def inputs_sentence(results: ComparisonResults) -> str:
    """Whether mined wrong answers pay as inputs of the denoising loss."""
    met = inputs_pay(results).met
    verdict = "pay" if met else "are not shown to pay" if met is None else "do not pay by the declared criterion"
    arms = arms_of(results, "denoising")
    return f"Mined wrong answers as inputs of a denoising loss {verdict}: {tally(results, arms)}."


def control_sentence(results: ComparisonResults) -> str:
    """What the control without negatives gives."""
    arms = arms_of(results, "control")
    return f"Noise of every strength without any negatives ({listed(arms)}): {tally(results, arms)}."


def tally(results: ComparisonResults, arms: list[str]) -> str:
    """How many of the declared comparisons of these arms are lower and higher, the lower ones with their numbers."""
    rows, family = claims(results, arms), declared_rows(results, arms)
    counts = {word: rows[rows["outcome"] == word] for word in ("lower", "higher", "equivalent", "inconclusive")}
    lacking = len(family) - len(rows)
    total = counted(len(family), "comparison")
    lower = f"the error is lower than that of denoising alone in {len(counts['lower'])} of {total}"
    lower += f" ({gain_text(counts['lower'])})" if len(counts["lower"]) else ""
    others = [f"higher in {len(counts['higher'])}"]
    others += [f"{word} in {len(counts[word])}" for word in ("equivalent", "inconclusive") if len(counts[word])]
    others += [f"without a result in {lacking}"] * (lacking > 0)
    return f"{lower}, {', '.join(others)}"


def gain_text(rows: pd.DataFrame) -> str:
    """Each comparison as "regime −12 %, multiplier 1.3"; the range of many."""
    if len(rows) > MOST_NAMED:
        low, high = rows.loc[rows["multiplier"].idxmin()], rows.loc[rows["multiplier"].idxmax()]
        ends = range_text(100 * (1 - rows["ratio"].max()), 100 * (1 - rows["ratio"].min()), 2)
        return f"by {ends}{THIN}%, multipliers {ends_text(multiplier_text(low), multiplier_text(high))}"
    parts = []
    for row in rows.to_dict("records"):
        name = f"{row['arm']}, " * (rows["arm"].nunique() > 1) + row["regime"]
        parts.append(f"{name} {percent(row['ratio'] - 1)}, multiplier {multiplier_text(row)}")
    return "; ".join(parts)


def bound(results: ComparisonResults, arms: list[str]) -> str:
    """How large the intervals let the multiplier be, as the end of a sentence; empty without intervals."""
    rows = claims(results, arms)
    if rows["multiplier_high"].isna().all():
        return ""
    highest = rows.loc[rows["multiplier_high"].idxmax()]
    if highest["multiplier_high"] > highest["largest"]:
        return f"; the multiplier's interval of {highest['arm']} in {highest['regime']} has no upper end"
    return f"; all intervals of its compute multiplier end below {highest['multiplier_high'] + 0.005:.2f}"


def multiplier_text(row) -> str:
    """The compute multiplier of a comparison, or its bound."""
    return bounded_text(row["multiplier"], row["smallest"], row["largest"]) or "unknown"


def multiplier_interval(row) -> str:
    """The interval of the multiplier, its ends within the points of the baseline."""
    if pd.isna(row["multiplier_low"]):
        return ""
    low, high = (
        bounded_text(row[name], row["smallest"], row["largest"]) for name in ("multiplier_low", "multiplier_high")
    )
    return ends_text(low, high)


def ends_text(low: str, high: str) -> str:
    """Two ends as "low to high", or the one text of both."""
    return low if low == high else f"{low} to {high}"


def limits(results: ComparisonResults) -> str:
    """How far the answer reaches, and the regimes without a claim."""
    params = [results.definition.params(regime, BASELINE) for regime in results.passed]
    texts = []
    if params:
        sizes, seeds = format_range(p.n for p in params), format_range(len(p.seed_list) for p in params)
        texts.append(
            f"Limits: {counted(len(params), 'regime')} of small problems (n = {sizes}), one kind of network, short "
            f"trainings, {seeds} seeds."
        )
    failed = [r for r in results.regimes if (gate := results.gates[r]) is not None and not gate.passed]
    unknown = [r for r in results.regimes if results.gates[r] is None]
    texts += [f"No claim on {listed(failed)}: the baseline fails the gate there."] * bool(failed)
    texts += [f"No claim on {listed(unknown)}: the baseline has no result there."] * bool(unknown)
    return " ".join(texts)


def comparison_verdict(results: ComparisonResults) -> str:
    """The answer in plain lines: the three sentences, their limits, then every arm in every regime with a claim."""
    lines = [*answer_sentences(results), limits(results)]
    for row in results.primary[results.primary["primary"].astype(bool)].to_dict("records"):
        lines.append(f"{row['regime']}, {row['arm']}: {outcome_text(row)}")
    return "\n".join([*lines, *(f"{r}: no claim ({no_claim_reason(results, r)})" for r in without_claim(results))])


def without_claim(results: ComparisonResults) -> list[str]:
    """The regimes on which nothing is claimed."""
    return [regime for regime in results.regimes if regime not in results.passed]


def outcome_text(row) -> str:
    """One comparison in words: outcome, ratio and multiplier with their intervals, p, seeds."""
    if not row["n_seeds"]:
        return "no result"
    p = f"p = {row['p_holm']:.2g}" if row["p_holm"] >= 0.001 else "p < 0.001"
    return (
        f"{row['outcome']}, error ratio {number(row['ratio'])} ({range_text(row['ci_low'], row['ci_high'], 3)}, {p}), "
        f"compute multiplier {multiplier_text(row)} ({multiplier_interval(row)}), "
        f"{counted(int(row['n_seeds']), 'seed')}"
    )
