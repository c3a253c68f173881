"""The main numbers of each figure as a small table."""

import math
from collections.abc import Callable

import pandas as pd

from anm.analysis import tidy_tables
from anm.analysis.results import StudyResults, of
from anm.records.schema import SPLITS
from anm.report.formatting import counted, number, number_cell, percent
from anm.report.page import Html, html, paragraphs, table
from anm.study.plan import BASELINE

END = 0.2  # the share of training that counts as its end
TEACHES = 0.01  # with a smaller contrastive loss, a negative has almost no gradient
FAR, NEAR = 3, 1.5  # times the median of a strategy's seeds: far from it, and near
LEVEL = 0.005  # an error that changes by a smaller share has levelled off


def learning(results: StudyResults) -> Html:
    """Whether training had levelled off."""
    rows = tidy_tables.learning(results.records).dropna(subset="mse")
    return _by_strategy(results, {"": rows}, "Change of the error over the last fifth of training", _end_change)


def landscape_steps(results: StudyResults) -> Html:
    """The effect of more landscape steps than the standard number."""
    rows = tidy_tables.landscape_steps(results.records).dropna(subset="mse")
    if rows.empty:
        return Html("")
    used = [record["params"].get("landscape_steps") for record in results.records.values()]
    known = [steps for steps in sorted(set(rows["steps"])) if steps in used]
    first, last = int(known[0] if known else rows["steps"].min()), int(rows["steps"].max())
    caption = f"Change of the error from {first} to {last} landscape steps per level"
    splits = {f", {split}": rows[rows["split"] == split] for split in SPLITS}
    shown = _by_strategy(results, splits, caption, lambda own: _change(own, "steps", first, last))
    return html("{}\n{}", shown, paragraphs(undescended_seeds(rows[rows["split"] == "same"], first), "finding"))


def undescended_seeds(rows: pd.DataFrame, standard: int) -> list[str]:
    """A sentence per seed that is like the others with the standard number of steps, but far above them with fewer."""
    said = []
    for (energy, strategy), own in rows.groupby(["energy", "strategy"], observed=True):
        errors = own.pivot_table(index="seed", columns="steps", values="mse")
        ratios = errors / errors.median()
        few = [steps for steps in errors if 0 < steps < standard]
        if standard not in errors or not few:
            continue
        for seed in errors.index[(ratios[few].max(axis=1) > FAR) & (ratios[standard] < NEAR)]:
            steps = ratios.loc[seed, few].idxmax()
            said.append(
                f"{energy}, {strategy}: with {counted(int(steps), 'landscape step')} per level, seed {seed} has an "
                f"error of {number(errors.loc[seed, steps])}, the median is {number(errors[steps].median())}. So few "
                f"steps leave a part of the start (docs/sampler.md)."
            )
    return said


def conditions(results: StudyResults) -> Html:
    """The share of the error that comes from the problems with the largest condition numbers."""
    rows = tidy_tables.conditions(results.records).dropna(subset="mse")
    rows = rows[(rows["split"] == "same") & (rows["problems"] > 0)]
    cells = []
    for energy in results.energies:
        own = of(rows, energy)
        if len(own):
            names = tidy_tables.in_order(own["strategy"])
            strategy = BASELINE if BASELINE in names else names[0]
            own = own[own["strategy"] == strategy]
            worst = own[own["low"] == own["low"].max()]
            among = worst["problems"].sum() / own["problems"].sum()
            share = _ratio((worst["mse"] * worst["problems"]).sum(), (own["mse"] * own["problems"]).sum())
            low = number_cell(worst["low"].iloc[0], 3)
            cells.append([f"{energy}, {strategy}", low, percent(among, sign=False), percent(share, sign=False)])
    columns = ["energy, strategy", "condition number from", "share of the problems", "share of the error"]
    return table("The problems with the largest condition numbers (same)", columns, cells) if cells else Html("")


def ladder(results: StudyResults) -> Html:
    """The error on the hardest problems against that on the easiest."""
    rows = tidy_tables.ladder(results.records).dropna(subset="mse")
    if rows.empty:
        return Html("")
    easy, hard = rows["offset"].max(), rows["offset"].min()
    caption = f"Change of the error from c = {easy:g} to c = {hard:g}"
    return _by_strategy(results, {"": rows}, caption, lambda own: _change(own, "offset", easy, hard))


def solving(results: StudyResults) -> Html:
    """The share of landscape steps that were accepted."""
    rows = tidy_tables.solving(results.records).dropna(subset="accepted")
    caption = "Share of landscape steps that lowered the energy"
    return _by_strategy(results, {"": rows}, caption, lambda own: percent(own["accepted"].mean(), sign=False))


def mining(results: StudyResults) -> Html:
    """How far from the answer negatives are, and at which noise levels they still teach."""
    rows = tidy_tables.mining(results.records).dropna(subset="distance")
    cells = []
    for energy in results.energies:
        for name in tidy_tables.in_order(of(rows, energy)["strategy"]):
            own = of(rows, energy)[of(rows, energy)["strategy"] == name]
            means = own.groupby("level")[["contrast", "false"]].mean()
            levels = [
                f"level {level:.0f}: {number(row['contrast'], 2)} ({percent(row['false'], sign=False)})"
                for level, row in means[means["contrast"] > TEACHES].iterrows()
            ]
            cells.append([f"{energy}, {name}", number_cell(own["distance"].mean(), 3), "; ".join(levels) or "none"])
    columns = ["energy, strategy", "mean distance from the answer, RMS", "contrastive loss (share of right answers)"]
    caption = f"Noise levels where negatives still teach: contrastive loss above {TEACHES}"
    return table(caption, columns, cells) if cells else Html("")


def _by_strategy(results: StudyResults, parts: dict[str, pd.DataFrame], caption: str, value: Callable) -> Html:
    """A row per energy and part, a column per strategy. value(rows) -> text."""
    names = tidy_tables.in_order(name for rows in parts.values() for name in rows["strategy"])
    cells = []
    for energy in results.energies:
        for part, rows in parts.items():
            own = {name: rows[(rows["energy"] == energy) & (rows["strategy"] == name)] for name in names}
            if any(map(len, own.values())):
                cells.append([f"{energy}{part}", *(value(own[name]) if len(own[name]) else None for name in names)])
    return table(caption, ["energy", *names], cells) if cells else Html("")


def _change(rows: pd.DataFrame, column: str, start: float, end: float) -> str:
    """A change of the mean error, as a factor if above twofold."""
    first, last = (float(rows.loc[rows[column] == value, "mse"].mean()) for value in (start, end))
    ratio = _ratio(last, first)
    return percent(ratio - 1) if 0.5 < ratio < 2 else f"× {number(ratio, 2)}"


def _end_change(rows: pd.DataFrame) -> str:
    """The change of the error at the end of training."""
    last = rows["step"].max()
    start = rows.loc[rows["step"] <= (1 - END) * last, "step"].max()
    means = rows.groupby("step")["mse"].mean()
    level = abs(_ratio(means[last], means.get(start, math.nan)) - 1) < LEVEL
    return f"{_change(rows, 'step', start, last)}{' (level)' if level else ''}"


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan
