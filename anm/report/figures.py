"""The figures of the report: their panels, captions, and text alternatives."""

from functools import partial
from math import isfinite, nan

import pandas as pd

from anm.analysis import tidy_tables
from anm.analysis.results import StudyResults, of
from anm.analysis.statistics import MARGIN
from anm.records.schema import SPLITS
from anm.report import plots
from anm.report.formatting import difference_text, number
from anm.report.page import Html, figure
from anm.study.plan import BASELINE

LINES = ("constant", "affine", "published")


def headline(results: StudyResults) -> Html:
    """MSE of every seed, both splits, with reference lines; all energies in one panel."""
    draw = plots.seed_points_by_energy if len(results.energies) > 1 else plots.seed_points
    most = max(results.energies, key=results.problems, default="")  # its reference lines are the most precise
    shared = {split: lines(results, split, most) if len(results.tasks) == 1 else {} for split in SPLITS}
    panels = [
        (_title(results, "", split), partial(draw, rows.dropna(subset="mse"), shared[split]))
        for split in SPLITS
        for rows in [results.scores[results.scores["split"] == split]]
        if len(rows)
    ]
    return figure(
        "headline",
        panels,
        "Each mark is one seed; lower is better. The lines are reference errors, if there is one task: a constant "
        "answer, an affine fit of two numbers, and the best published network.",
        alt=_means(results),
    )


def seeds(results: StudyResults) -> Html:
    """MSE of every seed, one panel per energy; nothing for one energy, which the headline displays."""
    if len(results.energies) < 2:
        return Html("")

    def draw(energy: str, split: str):
        return partial(plots.seed_points, of(results.scores, energy, split).dropna(subset="mse"))

    return figure(
        "seeds",
        _by_energy_and_split(results, draw),
        "The same scores with one axis per energy. Each mark is one seed; each bar is the mean of a strategy.",
        alt=_means(results),
    )


def differences(results: StudyResults) -> Html:
    """Paired differences from no mining, with interval and equivalence margin."""

    def draw(energy: str, split: str):
        return partial(plots.paired_differences, *paired(results, energy, split), 100 * MARGIN)

    return figure(
        "differences",
        _by_energy_and_split(results, draw),
        "Difference of each seed from the run without mining at the same seed, in percent of the mean of none. Both "
        "had the same initial weights, problems and noise. Thick line: 95 % interval of the mean. With so few seeds "
        "it is too narrow: an interval without zero is a hint, and the tests below decide. Band: equivalence margin.",
        alt=_effects(results),
    )


def learning(results: StudyResults) -> Html:
    """Learning curves and the denoising loss."""
    curves, losses = tidy_tables.learning(results.records), tidy_tables.loss_curves(results.records)
    panels = []
    for energy in results.energies:
        references = lines(results, "same", energy)
        error = partial(plots.learning_curves, of(curves, energy), references)
        loss = partial(plots.loss_curves, of(losses, energy), "denoise")
        panels += [(_title(results, energy, "error"), error), (_title(results, energy, "denoising loss"), loss)]
    return figure(
        "learning",
        panels,
        "Left: error of the averaged weights during training, on a small frozen set. Lines: means over seeds. Bands: "
        "lowest to highest seed. Right: the denoising loss, which every strategy has.",
        alt="Error and denoising loss by training step, one line a strategy.",
    )


def landscape_steps(results: StudyResults) -> Html:
    """MSE by landscape steps at test time."""
    table = tidy_tables.landscape_steps(results.records)
    return figure(
        "landscape-steps",
        _with_references(results, plots.error_by_landscape_steps, table),
        "Error by the number of landscape steps per noise level at test time. If the line falls, more steps improve "
        "the answer. If it is flat or rises, they do not.",
        alt="Error by landscape steps per noise level, one line a strategy.",
    )


def conditions(results: StudyResults) -> Html:
    """MSE by the condition number of the problem."""
    return figure(
        "conditions",
        _with_references(results, plots.error_by_condition, tidy_tables.conditions(results.records)),
        "Error by the condition number of the problem, both axes logarithmic. The steeper the line, the more of the "
        "mean error comes from a few problems. The reference lines are means over all problems.",
        alt="Error by condition number, one line a strategy.",
    )


def ladder(results: StudyResults) -> Html:
    """MSE by the offset c."""
    table, offsets = tidy_tables.ladder(results.records), _offsets(results)
    panels = []
    for energy in results.energies:
        on = {split: lines(results, split, energy) for split in SPLITS}
        known = {name: {offsets[split]: on[split][name] for split in SPLITS if name in on[split]} for name in LINES}
        panels.append((_title(results, energy, "by offset"), partial(plots.error_by_offset, of(table, energy), known)))
    return figure(
        "ladder",
        panels,
        "Error by the offset c; problems are harder to the right. A smaller c allows eigenvalues of A nearer to zero. "
        "Training used the largest c only. Grey marks: reference errors where they are known.",
        alt="Error by difficulty, one line a strategy.",
    )


def solving(results: StudyResults) -> Html:
    """Energy and acceptance by noise level while solving."""
    table = tidy_tables.solving(results.records)
    panels = []
    for energy in results.energies:
        for name, draw in (("energy", plots.energy_by_level), ("acceptance", plots.acceptance_by_level)):
            panels.append((_title(results, energy, name), partial(draw, of(table, energy))))
    return figure(
        "solving",
        panels,
        "Solving starts at the noisiest level on the left and ends at level 0 on the right. Left: energy before (thin) "
        "and after (thick) the landscape steps of a level. Right: share of the steps that lowered the energy and were "
        "accepted.",
        alt="Energy before and after the landscape steps and share of accepted steps, by noise level.",
    )


def mining(results: StudyResults) -> Html:
    """Properties of the negatives, by noise level and over training."""
    table, history = tidy_tables.mining(results.records), tidy_tables.mining_history(results.records)
    titles = {"contrast": "contrastive loss", "gap": "energy gap", "distance": "distance from the answer"}
    right = "No negative solves its problem"
    if (table["false"] > 0).any() or (history["false"] > 0).any():
        titles["false"] = "right answers"
        right = "Right answers: the share of negatives that solve the problem"
    views = ((plots.mining_by_level, table, ""), (plots.mining_by_step, history, ", during training"))
    panels = [
        (_title(results, energy, f"{title}{when}"), partial(draw, of(rows, energy), quantity))
        for energy in results.energies
        for quantity, title in titles.items()
        for draw, rows, when in views
    ]
    return figure(
        "mining",
        panels,
        "Negatives by noise level in the last quarter of training, and by training step. Contrastive loss: at ln 2 = "
        "0.69 the energy does not separate negatives from answers; near 0 it separates them completely, and they "
        "teach nothing more. Energy gap: the negative's energy minus the answer's; it is near 0 for a hard negative. "
        f"Distance from the answer. {right} (residual below the setting false_negative_residual, or below 0.1 if that "
        "is off).",
        alt=f"{', '.join(titles.values())}, one line a strategy with negatives.".capitalize(),
    )


def lines(results: StudyResults, split: str, energy: str) -> dict[str, float]:
    """The known reference lines of an energy's figure: name -> MSE."""
    known = {name: results.reference(name, split, energy) for name in LINES}
    return {name: value for name, value in known.items() if isfinite(value)}


def paired(results: StudyResults, energy: str, split: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Paired differences from the baseline and their comparison, both in percent of its mean.

    Differences: columns strategy, seed, run, percent. Comparison: strategy, percent, low, high.
    """
    rows = of(results.scores, energy, split).dropna(subset="mse")
    base = rows[rows["strategy"] == BASELINE].set_index("seed")["mse"]
    pairs = rows[(rows["strategy"] != BASELINE) & rows["seed"].isin(base.index)]
    unit = base.mean() / 100 or nan
    pairs = pairs.assign(percent=(pairs["mse"] - pairs["seed"].map(base)) / unit)
    found = results.comparison
    if "against" not in found:
        return pairs, pd.DataFrame(columns=["strategy", "percent", "low", "high"])
    found = of(found, energy, split)
    found = found[(found["against"] == BASELINE) & (found["n_seeds"] > 0)]
    in_percent = {"percent": "mean_difference", "low": "ci_low", "high": "ci_high"}
    found = found.assign(**{name: found[column] / unit for name, column in in_percent.items()})
    return pairs, found.assign(strategy=found["strategy"].astype(rows["strategy"].dtype))


def _by_energy_and_split(results: StudyResults, draw) -> list[tuple]:
    """A panel for each energy and split: draw(energy, split) -> what draws it."""
    return [(_title(results, energy, split), draw(energy, split)) for energy in results.energies for split in SPLITS]


def _with_references(results: StudyResults, draw, table: pd.DataFrame) -> list[tuple]:
    """A panel for each energy and split: draw(rows, reference lines)."""
    return _by_energy_and_split(
        results, lambda energy, split: partial(draw, of(table, energy, split), lines(results, split, energy))
    )


def _title(results: StudyResults, energy: str, what: str) -> str:
    """A panel's title: the energy if there are several, then split or content."""
    names = {results.difficulty(name) for name in ([energy] if energy else results.energies)}
    known = what in _offsets(results) and len(names) == 1
    offset = f", {names.pop()} = {_offsets(results)[what]:g}" if known else ""
    return f"{results.prefix(energy) if energy else ''}{what}{offset}"


def _offsets(results: StudyResults) -> dict[str, float]:
    return results.scores.groupby("split")["offset"].first().to_dict()


def _means(results: StudyResults) -> str:
    """The mean of every strategy, as text."""
    parts = [
        f"{energy} {split}: {row['strategy']} {number(row['mean'])}"
        for energy in results.energies
        for split in SPLITS
        for _, row in results.means(energy, split).iterrows()
    ]
    return f"Mean MSE by strategy. {'; '.join(parts)}."


def _effects(results: StudyResults) -> str:
    """Every difference from the baseline, as text."""
    table = results.comparison
    rows = table[table["against"] == BASELINE] if "against" in table else table
    texts = (f"{row['energy']} {row['split']}: {row['strategy']} {difference_text(row)}" for _, row in rows.iterrows())
    return "; ".join(texts)
