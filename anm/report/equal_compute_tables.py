"""The tables of a comparison at equal compute: leaderboard, one answer against many, widths, all numbers."""

import numpy as np
import pandas as pd

from anm.analysis.declared_criteria import check_criteria, kind_of, listed
from anm.analysis.equal_compute import ComparisonResults
from anm.analysis.multiplier import bounded_text
from anm.report.equal_compute_answer import ends_text, multiplier_interval, multiplier_text
from anm.report.formatting import counted, interval_cell, number, number_cell, p_cell, percent, range_text
from anm.report.page import Cell, Html, html, items, paragraphs, table
from anm.study.plan import BASELINE

OUTCOMES = ("lower", "equivalent", "inconclusive", "higher")
KINDS = {
    "contrastive": "mined, contrastive",
    "unmined": "random, contrastive",
    "denoising": "mined, as inputs",
    "control": "none",
}


def leaderboard(results: ComparisonResults) -> Html:
    """Every arm over the regimes with a claim, the lowest error first."""
    rows = results.primary[results.primary["regime"].isin(results.passed) & (results.primary["n_seeds"] > 0)]
    found = {arm: part for arm in results.arms if len(part := rows[rows["arm"] == arm])}
    ratios = {arm: float(np.exp(np.log(part["ratio"]).mean())) for arm, part in found.items()}
    lines = [leader_row(results, arm, found[arm], ratios[arm]) for arm in sorted(ratios, key=ratios.get)]
    one = Cell("1.00", sort=1)
    base = [BASELINE, one, one, "baseline", one, KINDS["control"]]
    place = sum(ratio < 1 for ratio in ratios.values())
    lines.insert(place, base)
    columns = ["arm", "error ratio", "compute multiplier", "regimes", "cost of a step", "negatives"]
    caption = (
        f"Arms over {counted(len(results.passed), 'regime')}, lowest error first (below: lowest and highest regime)"
    )
    return table(caption, columns, lines)


def leader_row(results: ComparisonResults, arm: str, rows: pd.DataFrame, ratio: float) -> list:
    """One arm: ratio and multiplier over regimes with their ranges, cost, outcomes."""
    middle = rows["multiplier"].median()
    least, most = rows["smallest"].min(), rows["largest"].max()
    ends = [bounded_text(rows["multiplier"].agg(end), least, most) for end in ("min", "max")]
    costs = results.costs[(results.costs["arm"] == arm) & results.costs["regime"].isin(results.passed)]["counted"]
    counts = rows["outcome"].value_counts()
    lacking = len(results.passed) - len(rows)
    outcomes = ", ".join(
        [*(f"{counts[w]} {w}" for w in OUTCOMES if w in counts), *[f"{lacking} missing"] * (lacking > 0)]
    )
    return [
        arm,
        range_cell(rows["ratio"], ratio),
        interval_cell(bounded_text(middle, least, most) or "—", ends_text(*ends), middle),
        Cell(outcomes, sort=ratio),
        range_cell(costs, costs.mean()),
        KINDS[kind_of(results, arm)],
    ]


def range_cell(values: pd.Series, middle: float) -> Cell:
    """The middle of some values, their range below if they differ."""
    low, high = (number(value) for value in (values.min(), values.max()))
    return interval_cell(number(middle), f"{low} to {high}" if low != high else "—", middle)


def ratio_cell(row) -> Cell | None:
    """A ratio with its 95 % interval below; None without seeds."""
    if row is None or not row["n_seeds"]:
        return None
    return interval_cell(number(row["ratio"]), range_text(row["ci_low"], row["ci_high"], 3), row["ratio"])


def one_or_many(results: ComparisonResults) -> Html:
    """The regimes with one right answer beside those with many, arm by arm; empty without such a pair."""
    pair = answer_pair(results)
    if not pair:
        return Html("")
    rows = [
        [arm, *(outcome_cell(results, results.row(regime, arm)) for regime in pair)] for arm in results.arms_in(pair[0])
    ]
    return table(
        "Error over that of none, with one right answer and with many", ["arm", "one answer", "many answers"], rows
    )


def outcome_cell(results: ComparisonResults, row) -> Cell | None:
    """A ratio with its outcome, the interval below; None without seeds."""
    if not row["n_seeds"]:
        return None
    text = f"{number(row['ratio'])}, {claimed(results, row)}"
    return interval_cell(text, range_text(row["ci_low"], row["ci_high"], 3), row["ratio"])


def claimed(results: ComparisonResults, row) -> str:
    """The outcome of a comparison; "no claim" in regimes that carry none."""
    return row["outcome"] if row["regime"] in results.passed else "no claim"


def answer_pair(results: ComparisonResults) -> list[str]:
    """The regimes that differ in the number of right answers: [one, many]; empty without a pair."""
    tasks = {results.definition.params(regime, BASELINE).task: regime for regime in results.regimes}
    return (
        [tasks["square_root"], tasks["square_root_many"]] if {"square_root", "square_root_many"} <= tasks.keys() else []
    )


def widths(results: ComparisonResults) -> Html:
    """Each regime that repeats another one at a different width, arm by arm; empty without one."""
    parts = []
    for wide, usual in width_pairs(results):
        arms = [arm for arm in results.arms_in(wide) if arm in results.arms_in(usual)]
        pairs = [(arm, results.row(usual, arm), results.row(wide, arm)) for arm in arms]
        known = [(arm, a, b) for arm, a, b in pairs if a["n_seeds"] and b["n_seeds"]]
        changed = [arm for arm, a, b in known if (a["ratio"] < 1) != (b["ratio"] < 1)]
        numbers = [f"{regime} ({results.definition.params(regime, BASELINE).width})" for regime in (usual, wide)]
        text = (
            f"The ratio changes its side of 1 for {listed(changed)}."
            if changed
            else (f"No ratio changes its side of 1 with the width ({counted(len(known), 'arm')}).")
        )
        rows = [[arm, ratio_cell(a), ratio_cell(b)] for arm, a, b in pairs]
        parts += [paragraphs([text if known else "There is no result yet."], "finding")]
        parts += [table("Error over that of none at two widths", ["arm", *numbers], rows)]
    return Html("\n").join(parts)


def width_pairs(results: ComparisonResults) -> list[tuple[str, str]]:
    """(regime outside the family, regime of the family) with the same task and n, and another width."""
    params = {regime: results.definition.params(regime, BASELINE) for regime in results.regimes}
    return [
        (other, usual)
        for other in results.regimes
        for usual in results.family
        if other not in results.family
        and (params[other].task, params[other].n) == (params[usual].task, params[usual].n)
        and params[other].width != params[usual].width
    ]


def robustness(results: ComparisonResults) -> Html:
    """Whether the answer depends on one fitted scalar, the budget, the difficulty or the test problems."""
    rows = results.primary[results.primary["regime"].isin(results.passed) & (results.primary["n_seeds"] > 0)]
    texts = [switched(results, rows, {"score": "scaled"}, "After one fitted scalar per seed")]
    texts += [switched(results, rows, {"point": point}, f"At {name} of the budget") for point, name in EARLIER.items()]
    texts.append(harder_sentence(results, rows))
    return paragraphs([*texts, *problem_sentences(results)], "finding")


EARLIER = {0.25: "a quarter", 0.5: "half"}


def switched(results: ComparisonResults, rows: pd.DataFrame, change: dict, when: str) -> str:
    """How often a ratio lies on the other side of 1 under another score or point, with the largest change."""
    others = [results.row(row["regime"], row["arm"], **change) for row in rows.to_dict("records")]
    pairs = [(row, other) for row, other in zip(rows.to_dict("records"), others) if other["n_seeds"]]
    if not pairs:
        return f"{when}, there is no result."
    moved = [f"{a['arm']} in {a['regime']}" for a, b in pairs if (a["ratio"] < 1) != (b["ratio"] < 1)]
    sizes = [b["ratio"] / a["ratio"] - 1 for a, b in pairs]
    largest = max(sizes, key=abs)
    names = f": {', '.join(moved)}" if 0 < len(moved) <= 6 else ""
    return (
        f"{when}, {len(moved)} of {counted(len(pairs), 'ratio')} lie on the other side of 1{names}. "
        f"The largest change of a ratio is {percent(largest)}."
    )


def harder_sentence(results: ComparisonResults, rows: pd.DataFrame) -> str:
    """The ratios on harder problems; against twice the compute where the baseline has no score at the budget."""
    pairs = [(row, *harder_ratio(results, row["regime"], row["arm"])) for row in rows.to_dict("records")]
    pairs = [(row, found) for row, found, _ in pairs if found["n_seeds"]]
    if not pairs:
        return "On harder problems, there is no result."
    lower = [f"{row['arm']} in {row['regime']}" for row, found in pairs if found["ratio"] < 1]
    note = (
        ""
        if all(harder_ratio(results, row["regime"], row["arm"])[1] == 1 for row, _ in pairs)
        else (
            f" There, {BASELINE} was scored only at the end of its training, with up to twice the compute of the arms."
        )
    )
    names = f": {', '.join(lower)}" if 0 < len(lower) <= 6 else ""
    return f"On harder problems, {len(lower)} of {counted(len(pairs), 'ratio')} are below 1{names}.{note}"


def harder_ratio(results: ComparisonResults, regime: str, arm: str) -> tuple[dict, float]:
    """An arm against the baseline on `harder`, and the baseline's compute over that of the arm (1 or more)."""
    row = results.row(regime, arm, split="harder")
    if row["n_seeds"]:
        return row, 1.0
    return results.against_end(regime, arm)


def every_comparison(results: ComparisonResults) -> Html:
    """All numbers of every arm in every regime."""
    columns = ["regime, arm", "error / none", "over seeds and problems", "after one scalar", "harder", "multiplier"]
    columns += ["p (Holm)", "outcome", "seeds", "SD of log ratio", "seeds needed for 5 %"]
    lines = []
    for row in results.primary.to_dict("records"):
        regime, arm = row["regime"], row["arm"]
        lines.append(
            [
                f"{regime}, {arm}",
                ratio_cell(row),
                ratio_cell(results.crossed.get((regime, arm))),
                ratio_cell(results.row(regime, arm, score="scaled")),
                ratio_cell(harder_ratio(results, regime, arm)[0]),
                interval_cell(multiplier_text(row), multiplier_interval(row) or "—", row["multiplier"])
                if row["n_seeds"]
                else None,
                p_cell(row["p_holm"]),
                claimed(results, row),
                row["n_seeds"],
                number_cell(row["sd_log"], 2),
                number_cell(row["seeds_needed"], 4),
            ]
        )
    return table("Every comparison: ratios and multipliers with 95 % intervals", columns, lines, fold=True)


def problem_sentences(results: ComparisonResults) -> list[str]:
    """How much wider the intervals are that hold for new problems too."""
    pairs = [
        (np.log(found["ci_high"] / found["ci_low"]) / np.log(row["ci_high"] / row["ci_low"]), row, found)
        for row in results.primary.to_dict("records")
        if (found := results.crossed.get((row["regime"], row["arm"]))) and row["ci_low"] > 0 and found["ci_low"] > 0
    ]
    if not pairs:
        return []
    wider = float(np.median([ratio for ratio, *_ in pairs]))
    lost = [f"{r['arm']} in {r['regime']}" for _, r, f in pairs if outside(r) and not outside(f)]
    names = f": {', '.join(lost)}" if 0 < len(lost) <= 6 else ""
    text = (
        f"An interval over seeds and problems is {number(wider, 2)} times as wide as one over seeds (median of "
        f"{counted(len(pairs), 'comparison')}, in logarithms). It holds 1 in {len(lost)} of those whose interval over "
        f"seeds does not{names}."
    )
    return [text]


def outside(row) -> bool:
    """Whether an interval excludes 1."""
    return row["ci_low"] > 1 or row["ci_high"] < 1


def criteria(results: ComparisonResults) -> Html:
    """The declared criteria and whether they are met."""
    words = {True: "met", False: "not met", None: "not decided, because runs lack"}
    found = check_criteria(results)
    return items([html("{}: <strong>{}</strong> ({}).", each.text, words[each.met], each.found) for each in found])
