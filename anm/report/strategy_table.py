"""The table of strategies: the scores of each, and the references below them."""

from anm.analysis.results import StudyResults, of
from anm.records.schema import SPLITS
from anm.report.formatting import (
    difference_cell,
    interval_cell,
    number,
    number_cell,
    p_cell,
    published_cell,
    range_text,
)
from anm.report.page import Cell, Html, table
from anm.study.plan import BASELINE

REFERENCE_NAMES = {
    "constant": "constant: the mean answer",
    "affine": "affine: c₀I + c₁A",
    "polynomial_2": "polynomial in A, degree 2",
    "polynomial_4": "polynomial in A, degree 4",
    "polynomial_10": "polynomial in A, degree 10",
    "newton_schulz_16": "Newton-Schulz, 16 iterations",
    "newton_schulz_20": "Newton-Schulz, 20 iterations",
    "newton_schulz_spd_10": "Newton-Schulz for definite A, 10 iterations",
    "lu": "LU in float64",
}
COLUMNS = ["strategy", "MSE same", "MSE harder", "difference from none, same, in % of its mean", "p (Holm)", "seeds"]
COLUMNS += ["MSE same / affine fit"]


def strategies(results: StudyResults) -> Html:
    """Every strategy with its scores and its difference from no mining; the references below."""
    rows = [_strategy(results, energy, name) for energy in results.energies for name in results.strategies(energy)]
    references = results.references.assign(task="")
    if len(results.tasks) > 1:
        references["task"] = references["energy"].str.rpartition(": ")[0] + ": "
    references = references.drop_duplicates(["task", "reference", "problems"])
    several = references["problems"].nunique() > 1
    others = [_reference(row, several) for row in references.to_dict("records")]
    if best := results.published:
        scores = [published_cell(best.mse_same), published_cell(best.mse_harder)]
        others.append([f"published: {best.method}", *scores, *[None] * 4])
    kinds = [""] * len(rows) + ["reference"] * len(others)
    caption = "Strategies; below them, baselines without training (± standard error over problems)"
    return table(caption, COLUMNS, rows + others, kinds=kinds)


def _strategy(results: StudyResults, energy: str, name: str) -> list:
    scores = of(results.scores, energy)
    scores = scores[scores["strategy"] == name]
    means = {split: _mean(results, energy, name, split) for split in SPLITS}
    row = results.difference(energy, name, "same") if name != BASELINE else None
    compared = [None] * 2 if row is None else [difference_cell(row), p_cell(row["p_holm"])]
    seeds = sorted(set(scores["seed"]))
    return [
        f"{results.prefix(energy)}{name}",
        *(mean_cell(row) for row in means.values()),
        *compared,
        Cell(len(seeds), title=f"seeds {', '.join(map(str, seeds))}"),
        number_cell(means["same"]["mean"] / results.reference("affine", "same", energy)) if means["same"] else None,
    ]


def _mean(results: StudyResults, energy: str, name: str, split: str) -> dict | None:
    """The row of the summary; None without a finite score."""
    rows = results.means(energy, split)
    rows = rows[rows["strategy"] == name].dropna(subset="mean") if len(rows) else rows
    return rows.iloc[0].to_dict() if len(rows) else None


def mean_cell(row: dict | None) -> Cell | None:
    """A mean over seeds, its interval below."""
    return row and interval_cell(number(row["mean"], 4), range_text(row["ci_low"], row["ci_high"]), row["mean"])


def _reference(row: dict, several: bool) -> list:
    """A row of the references; the number of problems in its name if there are several."""
    name = REFERENCE_NAMES.get(row["reference"], row["reference"].replace("_", " "))
    name = row["task"] + name
    scores = [
        interval_cell(number(row[f"mse_{split}"], 4), f"± {number(row[f'mse_{split}_se'], 2)}", row[f"mse_{split}"])
        for split in SPLITS
    ]
    return [f"{name}, {row['problems']:,} problems" if several else name, *scores, *[None] * 4]
