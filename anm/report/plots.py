"""Figures of the study. Each function takes tidy data (anm.analysis.tidy_tables) and `ax`, and returns `ax`.

    ax = plots.seed_points(scores, references)            # on new axes
    plots.learning_curves(learning, references, ax=ax)    # on axes of your own

A strategy has one style in all figures (anm.report.plot_style). Points carry their run and seed as the artist's
url ("tip:..."), which the report shows on hover.
"""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.ticker import MaxNLocator

from anm.analysis.tidy_tables import in_order
from anm.report import plot_helpers as parts
from anm.report.plot_style import BAND, INK, MUTED, REFERENCE_LINES, PlainLogFormatter, short_labels


def seed_points(scores: pd.DataFrame, references=None, ax=None):
    """MSE of every seed by strategy, with a bar at the mean and the reference lines.

    scores: columns run, strategy, seed, mse (one energy, one split). references: name -> MSE.
    """
    ax, strategies = parts.axes_or_new(ax), in_order(scores["strategy"])
    x = parts.places(scores["strategy"], strategies) + parts.seed_offsets(scores, 0.5)
    parts.points(ax, scores.assign(x=x), "x", "mse", labelled=False)
    for place, (_, (colour, *_), rows) in enumerate(parts.by_strategy(scores)):
        ax.hlines(rows["mse"].mean(), place - 0.32, place + 0.32, color=colour, linewidth=2.4)
    parts.log_if_wide(ax, scores["mse"], references)
    parts.category_axis(ax, strategies)
    return parts.reference_lines(ax, references)


def seed_points_by_energy(scores: pd.DataFrame, references=None, ax=None):
    """MSE of every seed (one split), the strategies side by side within each energy.

    scores: columns run, energy, strategy, seed, mse. references: name -> MSE.
    """
    ax, energies, strategies = parts.axes_or_new(ax), in_order(scores["energy"]), in_order(scores["strategy"])
    x = parts.places(scores["energy"], energies)
    x += parts.side_by_side(parts.places(scores["strategy"], strategies), len(strategies), 0.8)
    parts.points(ax, scores.assign(x=x), "x", "mse")
    parts.log_if_wide(ax, scores["mse"], references)
    parts.category_axis(ax, energies)
    return parts.reference_lines(ax, references)


def paired_differences(pairs: pd.DataFrame, comparison: pd.DataFrame, margin: float = 1.0, ax=None):
    """Differences from the baseline per seed, in percent of its mean, with their interval and the equivalence band.

    pairs: strategy, seed, run, percent. comparison: strategy, percent, low, high. margin: half width of the
    band, in percent.
    """
    ax, strategies = parts.axes_or_new(ax), in_order(comparison["strategy"])
    if not strategies:
        return parts.say_empty(ax, "no strategy shares a seed with none")
    band = f"within ±{margin:g} %: no difference that matters"
    ax.axvspan(-margin, margin, color=BAND, alpha=0.55, linewidth=0, label=band)
    ax.axvline(0, color=INK, linewidth=1)
    pairs = pairs[pairs["strategy"].isin(strategies)]
    y = parts.places(pairs["strategy"], strategies) - 0.16 + parts.seed_offsets(pairs, 0.25)
    parts.points(ax, pairs.assign(y=y), "percent", "y", value="percent", unit=" %", labelled=False)
    for place, (_, (colour, *_), row) in enumerate(parts.by_strategy(comparison)):
        ax.plot([*row["low"], *row["high"]], [place + 0.22] * 2, color=colour, linewidth=3, solid_capstyle="butt")
        ax.plot(row["percent"], [place + 0.22], marker="|", color=colour, markersize=14, markeredgewidth=2.4)
    ax.set_yticks(range(len(strategies)), short_labels(strategies, 14))
    ax.set(ylim=(len(strategies) - 0.4, -0.75), xlabel="difference in MSE from none, % (left: better)", ylabel="")
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.grid(axis="y", visible=False)
    return parts.legend(ax)


def learning_curves(learning: pd.DataFrame, references=None, ax=None):
    """MSE of the averaged weights by training step."""
    ax = parts.mean_lines(ax, learning, "step", "mse", markers=False)
    parts.log_if_wide(ax, learning["mse"], references)
    parts.step_axis(ax, "MSE, same, averaged weights")
    return parts.reference_lines(ax, references)


def loss_curves(losses: pd.DataFrame, term: str = "loss", ax=None):
    """One term of the loss (loss, denoise, contrast, grad_norm) by training step."""
    rows = losses[losses["term"] == term]
    ax = parts.mean_lines(ax, rows, "step", "value", markers=False)
    parts.log_if_wide(ax, rows["value"])
    labels = {"grad_norm": "gradient norm", "denoise": "denoising loss", "contrast": "contrastive loss"}
    parts.step_axis(ax, labels.get(term, term))
    return parts.legend(ax)


def error_by_landscape_steps(steps: pd.DataFrame, references=None, ax=None):
    """MSE by landscape steps per noise level at test time (one split)."""
    ax = parts.mean_lines(ax, steps, "steps", "mse")
    parts.log_if_wide(ax, steps["mse"], references)
    ax.set(xlabel="landscape steps per noise level", ylabel="MSE")
    return parts.reference_lines(ax, references)


def error_by_condition(bins: pd.DataFrame, references=None, ax=None):
    """MSE by condition number (one split): each bin at its geometric middle, both axes logarithmic."""
    middle = np.sqrt(bins["low"].clip(lower=1.0)) * np.sqrt(bins["high"].clip(lower=1.0))
    ax = parts.mean_lines(ax, bins.assign(condition=middle), "condition", "mse")
    parts.log_scale(ax, x=middle, y=bins["mse"])
    if ax.get_xscale() == "log":
        for set_formatter in (ax.xaxis.set_major_formatter, ax.xaxis.set_minor_formatter):
            set_formatter(PlainLogFormatter(minor_thresholds=(1.2, 0.6)))
    ax.set(xlabel="condition number of A", ylabel="MSE")
    return parts.reference_lines(ax, references)


def error_by_offset(rungs: pd.DataFrame, references=None, ax=None):
    """MSE at each offset c; harder to the right. references: name -> {offset: MSE}, where they are known."""
    ax = parts.mean_lines(ax, rungs, "offset", "mse")
    mark = {"color": MUTED, "marker": "_", "markersize": 13, "markeredgewidth": 1.6, "linewidth": 1.1}
    for name, known in (references or {}).items():
        line = REFERENCE_LINES.get(name, ":")
        ax.plot(list(known), list(known.values()), linestyle=line, label=name, **mark)
    parts.log_scale(ax, x=rungs["offset"], y=rungs["mse"])
    offsets = sorted(rungs["offset"].unique())
    ax.set_xticks(offsets, [f"{offset:g}" for offset in offsets])
    ax.minorticks_off()
    ax.invert_xaxis()
    ax.set(xlabel="offset c of A = 2RRᵀ + cI (harder →)", ylabel="MSE")
    return parts.legend(ax)


ITERATIVE_BASELINES = {
    "newton_schulz_best": "Newton-Schulz, best start",
    "newton_schulz_fitted": "Newton-Schulz, fitted",
    "conjugate_gradients": "conjugate gradients",
    "lu_float32": "LU in float32",
}
BASELINE_LINES = dict(zip(ITERATIVE_BASELINES, ("-", (0, (6, 2)), (0, (1, 1.5)), "none")))  # LU: a mark alone


def error_by_products(refined: pd.DataFrame, baselines: pd.DataFrame, ax=None):
    """MSE by the matrix products of an answer (one split). Grey: `ITERATIVE_BASELINES`.

    refined: columns of `tidy_tables.refinement`; one line for each number of landscape steps. baselines: method,
    products, mse.
    """
    ax = parts.axes_or_new(ax)
    for name, rows in baselines[baselines["products"] > 0].groupby("method", sort=False):
        marker = "_" if name == "lu_float32" else None
        style = {"linestyle": BASELINE_LINES.get(name, ":"), "marker": marker, "markersize": 14}
        ax.plot(rows["products"], rows["mse"], color=MUTED, linewidth=1.3, **style)
    for _, rows in refined.groupby("landscape_steps"):
        parts.mean_lines(ax, rows, "products", "mse")
    parts.log_scale(ax, x=refined["products"], y=pd.concat([refined["mse"], baselines["mse"]]))
    ax.set(xlabel="n x n matrix products per answer", ylabel="MSE")
    return parts.legend(ax)


def error_by_size(rungs: pd.DataFrame, ax=None):
    """MSE by n (one split), as scored (thin) and after refinement (thick); columns of `tidy_tables.sizes`."""
    ax = _thin_and_thick(ax, rungs, "n", "mse", "mse_refined")
    parts.log_scale(ax, y=pd.concat([rungs["mse"], rungs["mse_refined"]]))
    ax.set_xticks(sorted(rungs["n"].unique()))
    ax.set(xlabel="side of the matrices, n", ylabel="MSE")
    return parts.legend(ax)


def error_by_spectrum(rungs: pd.DataFrame, ax=None):
    """Relative squared error of every seed by spectrum, as scored (small marks) and after refinement (large)."""
    ax, strategies, spectra = parts.axes_or_new(ax), in_order(rungs["strategy"]), list(rungs["spectrum"].unique())
    x = parts.places(rungs["spectrum"], spectra) + parts.side_by_side(
        parts.places(rungs["strategy"], strategies), len(strategies), 0.7
    )
    for _, (colour, marker, _), rows in parts.by_strategy(rungs.assign(x=x - 0.06)):
        small = {"s": 10, "color": colour, "marker": marker, "alpha": 0.6, "linewidth": 0, "edgecolor": "none"}
        sns.scatterplot(rows, x="x", y="relative", ax=ax, legend=False, **small)
    parts.points(ax, rungs.assign(x=x + 0.06), "x", "relative_refined", value="relative_refined")
    parts.log_scale(ax, y=pd.concat([rungs["relative"], rungs["relative_refined"]]))
    conditions = rungs.groupby("spectrum")["condition"].first()
    labels = [f"{label}\n{conditions[name]:,.0f}" for label, name in zip(short_labels(spectra, 14), spectra)]
    ax.set_xticks(range(len(spectra)), labels)
    ax.set(xlim=(-0.6, len(spectra) - 0.4), xlabel="", ylabel="squared error, relative")
    ax.grid(axis="x", visible=False)
    return parts.legend(ax)


def energy_by_level(solving: pd.DataFrame, ax=None):
    """Energy on arrival at a noise level (thin) and after its landscape steps (thick), while solving `same`."""
    rows = solving.dropna(subset="energy_after")
    ax = _thin_and_thick(ax, rows, "level", "energy_before", "energy_after")
    parts.log_if_wide(ax, solving[["energy_before", "energy_after"]].stack())
    return parts.level_axis(ax, "energy")


def acceptance_by_level(solving: pd.DataFrame, ax=None):
    """Share of landscape steps that lowered the energy, by noise level, while solving `same`."""
    percent = solving.assign(accepted=100 * solving["accepted"])
    ax = parts.mean_lines(ax, percent, "level", "accepted", errorbar=None)
    ax.set_ylim(-4, 104)
    return parts.level_axis(ax, "accepted steps, %")


MINING_QUANTITIES = {
    "contrast": "contrastive loss",
    "gap": "energy of negative − of answer",
    "distance": "distance from the answer, RMS",
    "accepted": "accepted steps of the miner, %",
    "false": "negatives that are right, %",
    "residual": "residual of the negative",
}


def mining_by_level(mining: pd.DataFrame, quantity: str = "gap", ax=None):
    """One of `MINING_QUANTITIES` by noise level (`tidy_tables.mining`), mean over a strategy's runs."""
    ax = parts.mean_lines(ax, _in_percent(mining), "level", quantity, errorbar=None)
    return parts.level_axis(ax, MINING_QUANTITIES[quantity])


def mining_by_step(history: pd.DataFrame, quantity: str = "gap", ax=None):
    """One of `MINING_QUANTITIES` by training step (`tidy_tables.mining_history`), mean over a strategy's runs."""
    ax = parts.mean_lines(ax, _in_percent(history), "step", quantity, markers=False, errorbar=None)
    parts.step_axis(ax, MINING_QUANTITIES[quantity])
    return parts.legend(ax)


def _in_percent(mining: pd.DataFrame) -> pd.DataFrame:
    """The table with its shares in percent and the energy gap between negative and answer."""
    gap = mining["energy_negative"] - mining["energy_positive"]
    return mining.assign(gap=gap, accepted=100 * mining["accepted"], false=100 * mining["false"])


def _thin_and_thick(ax, table: pd.DataFrame, x: str, before: str, after: str):
    """Means of two columns, one pair of lines a strategy: `before` thin, `after` thick with markers."""
    ax = parts.mean_lines(ax, table, x, before, markers=False, errorbar=None, linewidth=0.9)
    return parts.mean_lines(ax, table, x, after, errorbar=None)
