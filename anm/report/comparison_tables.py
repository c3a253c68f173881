"""The tables that compare strategies: every pair, ratios of geometric means, the cost of a step."""

from collections.abc import Iterator

import pandas as pd

from anm.analysis import tidy_tables
from anm.analysis.gaps import unequal
from anm.analysis.results import StudyResults, of, seeds_of
from anm.analysis.statistics import MIN_SEEDS, geometric_ratio
from anm.analysis.training_time import at_equal_time, step_costs
from anm.records.schema import SPLITS
from anm.report.answer import outcome
from anm.report.formatting import difference_cell, interval_cell, number, number_cell, p_cell, percent, range_text
from anm.report.page import Html, paragraphs, table
from anm.study.plan import BASELINE

DECADE = 10.0  # if the seeds of none span a larger factor, strategies are also compared by geometric means


def pairs(results: StudyResults) -> Html:
    """Every pair of strategies, both splits, with its tests and its result."""
    columns = ["pair", "problems", "difference, in % of the mean of none", "p", "p (Holm)", "p (equivalence)"]
    rows = []
    for _, row in results.comparison.iterrows():
        lower, seeds = results.seeds_lower(row) if row["n_seeds"] else (0, 0)
        name = f"{results.prefix(row['energy'])}{row['strategy']} against {row['against']}"
        tests = (p_cell(row[name]) for name in ("p", "p_holm", "p_tost"))
        kind = "no claim: unequal settings" if unequal(results, row["energy"]) else outcome(row)
        rows.append([name, row["split"], difference_cell(row), *tests, f"{lower} of {seeds}", kind])
    columns += ["seeds with lower error", "result"]
    caption = "Every pair of strategies (small: a difference within the equivalence margin)"
    return table(caption, columns, rows, fold=len(rows) > 20) if rows else Html("")


def costs(results: StudyResults) -> Html:
    """The time per step of each strategy, and its error at equal training time where runs took equal steps."""
    columns = ["strategy", "seconds per step", "in steps of none", "steps in the training time of none"]
    columns += ["error then, against none", "seeds with lower error"]
    rows = []
    for energy in results.energies:
        costs, scores = step_costs(results, energy), of(results.scores, energy)
        for name in results.strategies(energy):
            seconds = scores.loc[scores["strategy"] == name, "seconds_per_step"].mean()
            then = at_equal_time(results, energy, name)
            equal = [None] * 3
            if then:
                equal = [f"{then.steps:,.0f}", percent(then.change), f"{then.lower} of {then.seeds}"]
            own = [number_cell(seconds, 3), number_cell(costs.get(name), 2)]
            rows.append([f"{results.prefix(energy)}{name}", *own, *equal])
    caption = "Cost of a training step, and error at equal training time (on the problems of the learning curve)"
    if not any(row[-1] for row in rows):
        caption, columns, rows = "Cost of a training step", columns[:3], [row[:3] for row in rows]
    return table(caption, columns, rows) if rows else Html("")


def geometric_ratios(results: StudyResults) -> Html:
    """Ratios of geometric means to none, wherever its seeds span more than a decade; exploratory."""
    columns = ["strategy", "problems", "seeds of none span", "ratio to none", "p (uncorrected)", "paired seeds"]
    rows = []
    for energy, problems, scores in _wide_scores(results):
        span = range_text(min(scores[BASELINE].values()), max(scores[BASELINE].values()), 2)
        for name in [name for name in scores if name != BASELINE]:
            row = geometric_ratio(scores, name, BASELINE)
            interval = range_text(row["ci_low"], row["ci_high"], 2)
            ratio = interval_cell(number(row["ratio"], 2), interval, row["ratio"])
            if row["n_seeds"] >= MIN_SEEDS:
                strategy = f"{results.prefix(energy)}{name}"
                rows.append([strategy, problems, span, ratio, number_cell(row["p"], 2), row["n_seeds"]])
    why = (
        "Where the seeds of none span more than a factor of ten, the worst seeds dominate the mean. There, this table "
        "compares geometric means. This was not declared before the runs."
    )
    found = table("Geometric-mean ratio to none (exploratory, uncorrected)", columns, rows)
    return paragraphs([why]) + found if rows else Html("")


def _wide_scores(results: StudyResults) -> Iterator[tuple[str, str, dict[str, dict[int, float]]]]:
    """(energy, problems, strategy -> {seed: MSE}) for each comparison by geometric means."""
    refined = standard_refinement(results)
    for energy in results.energies:
        for split in SPLITS if not unequal(results, energy) else ():
            scores = seeds_of(of(results.scores, energy, split))
            base = [mse for mse in scores.get(BASELINE, {}).values() if mse > 0]
            if len(base) >= MIN_SEEDS and max(base) >= DECADE * min(base):
                yield energy, split, scores
        rows = of(refined, energy, "hardest")
        if rows["products"].notna().any():
            steps = rows["refine_steps"].max()
            scores = seeds_of(rows[rows["refine_steps"] == steps])
            if scores.get(BASELINE):
                yield energy, f"c = 0.02, {steps:.0f} refinement steps", scores


def standard_refinement(results: StudyResults) -> pd.DataFrame:
    """`tidy_tables.refinement`, only the rows with each run's own number of landscape steps."""
    refined = tidy_tables.refinement(results.records)
    standard = {run: record["params"].get("landscape_steps") for run, record in results.records.items()}
    return refined[refined["landscape_steps"] == refined["run"].map(standard)]
