"""What there is to see in each figure, in numbers: one sentence an energy, made from the same table as the figure."""

import math

import pandas as pd

from anm import frames
from anm.page import Html, paragraphs
from anm.report.findings import BASELINE, Findings
from anm.report.numbers import capital, number, percent
from anm.report.words import tag

LAST = 0.2  # share of training that "the end" means
TEACHES = 0.01  # a contrastive loss below this has next to no gradient
LEVEL = 0.005  # a change below this share of the error counts as level


def learning(findings: Findings) -> Html:
    """Whether training had levelled off."""

    def say(rows: pd.DataFrame) -> str:
        return f"change of the error over the last fifth of training: {_by_strategy(rows, _end_change)}"

    return _sentences(findings, frames.learning(findings.records).dropna(subset="mse"), say)


def thinking(findings: Findings) -> Html:
    """What more landscape steps than the standard buy."""

    def say(rows: pd.DataFrame) -> str:
        standard, most = _standard_steps(findings, rows), int(rows["steps"].max())
        parts = [
            f"{split}: {_by_strategy(mine, lambda r: _change(r, 'steps', standard, most))}"
            for split, mine in rows.groupby("split", sort=False)
        ]
        return f"change of the error from {standard} to {most} landscape steps a level, {'; '.join(parts)}"

    return _sentences(findings, frames.landscape_steps(findings.records).dropna(subset="mse"), say)


def conditions(findings: Findings) -> Html:
    """How much of the error the worst-conditioned problems make."""

    def say(rows: pd.DataFrame) -> str:
        rows = _first_strategy(rows[(rows["split"] == "same") & (rows["problems"] > 0)])
        worst = rows[rows["low"] == rows["low"].max()]
        share = _ratio((worst["mse"] * worst["problems"]).sum(), (rows["mse"] * rows["problems"]).sum())
        among = worst["problems"].sum() / rows["problems"].sum()
        return (
            f"the {percent(among, sign=False)} of problems with a condition number of {number(worst['low'].iloc[0])} or more "
            f"make {percent(share, sign=False)} of the error on same ({rows['strategy'].iloc[0]})"
        )

    return _sentences(findings, frames.conditions(findings.records).dropna(subset="mse"), say)


def ladder(findings: Findings) -> Html:
    """How much worse the hardest rung is than the easiest."""

    def say(rows: pd.DataFrame) -> str:
        easy, hard = rows["offset"].max(), rows["offset"].min()
        return f"change of the error from c = {easy:g} to c = {hard:g}: {_by_strategy(rows, lambda r: _change(r, 'offset', easy, hard))}"

    return _sentences(findings, frames.ladder(findings.records).dropna(subset="mse"), say)


def solving(findings: Findings) -> Html:
    """How many landscape steps were kept."""

    def say(rows: pd.DataFrame) -> str:
        return f"share of landscape steps that lowered the energy: {_by_strategy(rows, lambda r: percent(r['accepted'].mean(), sign=False))}"

    return _sentences(findings, frames.solving(findings.records).dropna(subset="accepted"), say)


def mining(findings: Findings) -> Html:
    """How far from the answer the negatives are, and at which levels they still teach."""

    def say(rows: pd.DataFrame) -> str:
        return (
            f"mean distance of a negative from the answer, RMS: {_by_strategy(rows, lambda r: number(r['distance'].mean()))}; "
            f"levels whose contrastive loss is above {TEACHES}, so that negatives still teach: {_by_strategy(rows, _teaching)}; at the other "
            "levels with negatives they are told apart at once, and a strategy can change little there"
        )

    return _sentences(findings, frames.mining(findings.records).dropna(subset="distance"), say)


def _teaching(rows: pd.DataFrame) -> str:
    """The levels at which negatives still teach, with the loss and the share that are in fact right, or none."""
    means = rows.groupby("level")[["contrast", "false"]].mean()
    means = means[means["contrast"] > TEACHES]
    return (
        " and ".join(
            f"level {level:.0f} ({number(row['contrast'], 2)}, {percent(row['false'], sign=False)} of the negatives in fact right)"
            for level, row in means.iterrows()
        )
        or "none"
    )


def _sentences(findings: Findings, table: pd.DataFrame, say) -> Html:
    """`say(rows)` for each energy that has rows, as paragraphs."""
    return paragraphs(
        (
            capital(f"{say(rows)}.") if not tag(findings, energy) else f"{tag(findings, energy)}{say(rows)}."
            for energy in findings.energies
            for rows in [table[table["energy"] == energy]]
            if len(rows)
        ),
        "finding",
    )


def _by_strategy(rows: pd.DataFrame, value) -> str:
    """ "none <value>, random <value>, ..." """
    return ", ".join(f"{s} {value(rows[rows['strategy'] == s])}" for s in frames.in_order(rows["strategy"]))


def _first_strategy(rows: pd.DataFrame) -> pd.DataFrame:
    names = frames.in_order(rows["strategy"])
    return rows[rows["strategy"] == (BASELINE if BASELINE in names else names[0])]


def _at(rows: pd.DataFrame, column: str, value: float) -> float:
    """Mean error over seeds where the column has this value; NaN where it never has."""
    return float(rows.loc[rows[column] == value, "mse"].mean())


def _change(rows: pd.DataFrame, column: str, start: float, end: float) -> str:
    """A change in percent, or as a factor where it is more than twofold."""
    ratio = _ratio(_at(rows, column, end), _at(rows, column, start))
    return percent(ratio - 1) if 0.5 < ratio < 2 else f"× {number(ratio, 2)}"


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def _end_change(rows: pd.DataFrame) -> str:
    last = rows["step"].max()
    start = rows.loc[rows["step"] <= (1 - LAST) * last, "step"].max()
    level = abs(_ratio(_at(rows, "step", last), _at(rows, "step", start)) - 1) < LEVEL
    return f"{_change(rows, 'step', start, last)}{' (level)' if level else ''}"


def _standard_steps(findings: Findings, rows: pd.DataFrame) -> int:
    """The landscape steps of the primary score, if measured here; else the fewest measured."""
    used = [record["params"].get("landscape_steps") for record in findings.records.values()]
    known = [steps for steps in sorted(set(rows["steps"])) if steps in used]
    return int(known[0] if known else rows["steps"].min())
