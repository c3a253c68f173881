"""The figures of a comparison at equal compute: the forest plot and the error against compute."""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from anm.analysis.equal_compute import ComparisonResults, references
from anm.analysis.gate import MOST_OF_REFERENCE, GateResult
from anm.analysis.multiplier import bounded_text
from anm.report import equal_compute_plots as plots
from anm.report import plot_style
from anm.report.formatting import number
from anm.report.page import Html, figure
from anm.study.plan import BASELINE

SMALL = (4.3, 2.75)  # inches; three panels fit side by side on a laptop


def forest(results: ComparisonResults) -> Html:
    """Every arm's error ratio to the baseline in every regime; regimes without a claim are grey."""
    others = [f"{r} ({no_claim_reason(results, r)})" for r in results.regimes if not results.arms_in(r)]
    alone = f" The baseline alone ran in {', '.join(others)}." if others else ""
    return figure(
        "forest",
        forest_panels(results),
        "Error over that of none after the same compute, by regime: the ratio of geometric means over seeds, with its "
        "95 % interval. Left of the line: better than none. Band: the margin, ±5 %. Filled: significant after Holm. "
        "At the right: the compute multiplier; below 1, the arm wastes compute. Grey: no claim." + alone,
        alt=forest_text(results),
        size=SMALL,
        kind="small",
    )


def forest_panels(results: ComparisonResults) -> list[tuple]:
    """(title, what draws it) of each regime with arms."""
    rows = forest_rows(results)
    limits = plots.ratio_limits(rows[rows["regime"].isin(results.family)])
    panels = []
    for regime in (name for name in results.regimes if results.arms_in(name)):
        grey = "" if regime in results.passed else no_claim_reason(results, regime)
        panels.append((regime, partial(plots.forest, rows[rows["regime"] == regime], limits, grey)))
    return panels


def forest_rows(results: ComparisonResults) -> pd.DataFrame:
    """The primary comparisons with the arm as a category, its multiplier as text and a hover text."""
    rows = results.primary
    texts = [bounded_text(*row) for row in rows[["multiplier", "smallest", "largest"]].to_numpy(float)]
    tips = [
        f"{row['arm']}, {row['regime']}: {number(row['ratio'])} ({number(row['ci_low'])} to {number(row['ci_high'])}), "
        f"{row['n_seeds']} seeds, {row['outcome']}"
        for row in rows.to_dict("records")
    ]
    arms = pd.Categorical(rows["arm"], [BASELINE, *results.arms])
    return rows.assign(strategy=arms, text=texts, tip=tips)


def forest_text(results: ComparisonResults) -> str:
    """The forest plot for a reader who cannot see it."""
    return "; ".join(forest_rows(results)["tip"])


def no_claim_reason(results: ComparisonResults, regime: str) -> str:
    """Why a regime carries no claim, in a few words; empty if it carries one."""
    if regime in results.passed:
        return ""
    gate = results.gates[regime]
    if gate is None:
        return "no run of none"
    return f"fails its gate: {gate_failure(gate)}" if not gate.passed else "not in the declared family"


def gate_failure(gate: GateResult) -> str:
    """The part of a gate that failed, in numbers: the error over what it is compared with."""
    if gate.to_reference > MOST_OF_REFERENCE:
        return f"{number(gate.to_reference, 2)} of least squares"
    return f"{number(gate.to_limit, 2)} times the limit"


def write_forest(results: ComparisonResults, path: str | Path) -> Path:
    """Write the forest plot as a picture, such as docs/equal-compute.png; its path."""
    from matplotlib.figure import Figure

    panels = forest_panels(results)
    with plot_style.report_style():
        drawn = Figure(figsize=(3 * SMALL[0], -(-len(panels) // 3) * (SMALL[1] + 0.1)), layout="constrained")
        axes = np.ravel(drawn.subplots(-(-len(panels) // 3), 3, squeeze=False))
        for ax, (title, draw) in zip(axes, panels):
            draw(ax=ax).set_title(title)
        for ax in axes[len(panels) :]:
            ax.set_axis_off()
        drawn.savefig(path, dpi=110, metadata={"Software": None})
    return Path(path)


def error_by_compute(results: ComparisonResults) -> Html:
    """The error against compute, one panel a regime."""
    scores = results.scores[(results.scores["split"] == "same") & (results.scores["mse"] > 0)]
    panels = []
    for regime in (name for name in results.regimes if results.arms_in(name)):
        own = scores[scores["regime"] == regime]
        arms = pd.Categorical(own["arm"], [BASELINE, *results.arms])
        points = own.assign(strategy=arms, error=own["mse"], compute=own["compute"] / results.definition.budget(regime))
        if len(points):
            panels.append((regime, partial(plots.error_by_compute, points, lines(results, regime))))
    return figure(
        "compute",
        panels,
        "Error on problems as in training against the compute of the training, both logarithmic: geometric mean over "
        "seeds, with its 95 % interval. Each point is a training of that length with its own decay of the learning "
        "rate. Only none is trained to twice the budget. A curve below that of none is better at the same compute. "
        "The intervals hold what the seeds of an arm differ by; pairs of seeds, as in the first figure, are closer.",
        alt="Error by compute, one line an arm.",
    )


def lines(results: ComparisonResults, regime: str) -> dict[str, float]:
    """Reference errors: the constant answer and the best least squares."""
    table = references(results.definition.params(regime, BASELINE))
    best = {"least squares": "best least squares", "constant": "constant answer"}
    found = {name: table.loc[table["kind"] == kind, "mse_same"].min() for kind, name in best.items()}
    return {name: float(value) for name, value in found.items() if np.isfinite(value)}
