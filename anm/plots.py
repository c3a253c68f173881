"""Figures of the study. Each function takes tidy data (anm.frames) and `ax`, and returns `ax`.

    ax = plots.seed_points(scores, references)            # a new axes
    plots.learning_curves(learning, references, ax=ax)    # one of yours

A strategy keeps its look in every figure (anm.looks; the report draws with `looks.style()`). Points carry
their run and seed as the artist's url ("tip:..."), which the report shows on hover.
"""

import matplotlib.ticker
import numpy as np
import pandas as pd

from anm.axes import (
    axes_or_new,
    by_strategy,
    legend,
    level_axis,
    lines,
    log_axes,
    log_if_wide,
    names,
    nothing,
    points,
    reference_lines,
    spread,
    step_axis,
    tips,
)
from anm.frames import in_order
from anm.looks import BAND, INK, MUTED, REFERENCE_LINES, WrittenOut, plain


def seed_points(scores: pd.DataFrame, references=None, ax=None):
    """MSE of every seed by strategy, the mean as a bar across them, and the reference lines.

    scores: columns run, strategy, seed, mse (one energy, one split). references: name -> MSE.
    """
    ax = axes_or_new(ax)
    strategies = in_order(scores["strategy"])
    for x, (_, look, mine) in enumerate(by_strategy(scores)):
        points(ax, x + spread(len(mine)), mine["mse"], tips(mine, "mse"), look)
        ax.hlines(mine["mse"].mean(), x - 0.32, x + 0.32, color=look[0], linewidth=2.4)
    log_if_wide(ax, scores["mse"], references)
    ax.set_xlim(-0.6, len(strategies) - 0.4)
    names(ax, strategies)
    return reference_lines(ax, references)


def overview(scores: pd.DataFrame, references=None, ax=None):
    """MSE of every seed of several energies (one split), strategies side by side within each energy.

    scores: columns run, energy, strategy, seed, mse. references: name -> MSE.
    """
    ax = axes_or_new(ax)
    energies, strategies = in_order(scores["energy"]), in_order(scores["strategy"])
    for place, (strategy, look, mine) in enumerate(by_strategy(scores)):
        x = mine["energy"].map(energies.index) + 0.8 * ((place + 0.5) / len(strategies) - 0.5)
        points(ax, x, mine["mse"], tips(mine, "mse"), look).set_label(plain(strategy))
    log_if_wide(ax, scores["mse"], references)
    ax.set_xlim(-0.6, len(energies) - 0.4)
    names(ax, energies)
    return reference_lines(ax, references)


def paired_differences(pairs: pd.DataFrame, comparison: pd.DataFrame, margin: float = 1.0, ax=None):
    """Per-seed differences from the baseline in percent of its mean, their interval, the equivalence band.

    pairs: strategy, seed, run, percent. comparison: strategy, percent, low, high. margin: half width of the
    band, in percent.
    """
    ax = axes_or_new(ax)
    strategies = in_order(comparison["strategy"])
    if not strategies:
        return nothing(ax, "no strategy shares a seed with none")
    ax.axvspan(
        -margin, margin, color=BAND, alpha=0.55, linewidth=0, label=f"within ±{margin:g} %: no difference that matters"
    )
    ax.axvline(0, color=INK, linewidth=1)
    for y, (strategy, look, row) in enumerate(by_strategy(comparison)):
        mine = pairs[pairs["strategy"] == strategy].sort_values("seed")
        points(ax, mine["percent"], y - 0.16 + 0.5 * spread(len(mine)), tips(mine, "percent", " %"), look)
        ax.plot([*row["low"], *row["high"]], [y + 0.22] * 2, color=look[0], linewidth=3, solid_capstyle="butt")
        ax.plot(row["percent"], [y + 0.22], marker="|", color=look[0], markersize=14, markeredgewidth=2.4)
    ax.set_yticks(range(len(strategies)), [plain(s, 14) for s in strategies])
    ax.set_ylim(len(strategies) - 0.4, -0.75)
    ax.set_xlabel("difference in MSE from none, % (left: better)")
    ax.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(5))
    ax.grid(axis="y", visible=False)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), handlelength=1.2)
    return ax


def learning_curves(learning: pd.DataFrame, references=None, ax=None):
    """MSE of the averaged weights by training step: mean over seeds, the band from lowest to highest seed."""
    ax = lines(axes_or_new(ax), learning, "step", "mse")
    log_if_wide(ax, learning["mse"], references)
    step_axis(ax, "MSE, same, averaged weights")
    return reference_lines(ax, references)


def loss_curves(losses: pd.DataFrame, term: str = "loss", ax=None):
    """One term of the loss (loss, denoise, contrast, grad_norm) by training step."""
    rows = losses[losses["term"] == term].dropna(subset="value")
    ax = lines(axes_or_new(ax), rows, "step", "value")
    log_if_wide(ax, rows["value"])
    step_axis(
        ax, {"grad_norm": "gradient norm", "denoise": "denoising loss", "contrast": "contrastive loss"}.get(term, term)
    )
    legend(ax)
    return ax


def landscape_steps(steps: pd.DataFrame, references=None, ax=None):
    """MSE by landscape steps a noise level at test time (one split)."""
    ax = lines(axes_or_new(ax), steps, "steps", "mse", markers=True)
    log_if_wide(ax, steps["mse"], references)
    ax.set(xlabel="landscape steps a noise level", ylabel="MSE")
    return reference_lines(ax, references)


def conditions(bins: pd.DataFrame, references=None, ax=None):
    """MSE by condition number (one split): each bin at its geometric middle, on logarithmic axes."""
    middle = np.sqrt(bins["low"].clip(lower=1.0)) * np.sqrt(bins["high"].clip(lower=1.0))
    ax = lines(axes_or_new(ax), bins.assign(condition=middle).dropna(subset="mse"), "condition", "mse", markers=True)
    log_axes(ax, x=middle, y=bins["mse"])
    for part in ("major", "minor") if ax.get_xscale() == "log" else ():
        getattr(ax.xaxis, f"set_{part}_formatter")(WrittenOut(minor_thresholds=(1.2, 0.6)))
    ax.set(xlabel="condition number of A", ylabel="MSE")
    return reference_lines(ax, references)


def ladder(rungs: pd.DataFrame, references=None, ax=None):
    """MSE at each difficulty; harder to the right. references: name -> {offset: MSE}, known at some rungs."""
    ax = lines(axes_or_new(ax), rungs, "offset", "mse", markers=True)
    for name, known in (references or {}).items():
        ax.plot(
            list(known),
            list(known.values()),
            color=MUTED,
            marker="_",
            markersize=13,
            markeredgewidth=1.6,
            linestyle=REFERENCE_LINES.get(name, ":"),
            linewidth=1.1,
            label=name,
        )
    log_axes(ax, x=rungs["offset"], y=rungs["mse"])
    ax.set_xticks(sorted(rungs["offset"].unique()), [f"{c:g}" for c in sorted(rungs["offset"].unique())])
    ax.minorticks_off()
    ax.invert_xaxis()
    ax.set(xlabel="offset c of A = 2RRᵀ + cI (harder →)", ylabel="MSE")
    legend(ax)
    return ax


RIVALS = {
    "newton_schulz_best": "Newton-Schulz, best start",
    "newton_schulz_fitted": "Newton-Schulz, fitted",
    "conjugate_gradients": "conjugate gradients",
    "lu_float32": "LU in float32",
}
RIVAL_LINES = {
    "newton_schulz_best": ("-", None),
    "newton_schulz_fitted": ((0, (6, 2)), None),
    "conjugate_gradients": ((0, (1, 1.5)), None),
    "lu_float32": ("none", "_"),
}


def prices(thinking: pd.DataFrame, rivals: pd.DataFrame, ax=None):
    """MSE by the matrix products of an answer (one split): solvers in their looks, rivals as grey lines (`RIVAL_LINES`).

    thinking: columns of `frames.thinking`; a line for each number of landscape steps. rivals: rival, products, mse.
    """
    ax = axes_or_new(ax)
    for name, mine in rivals[rivals["products"] > 0].groupby("rival", sort=False):
        line, marker = RIVAL_LINES.get(name, (":", None))
        ax.plot(mine["products"], mine["mse"], color=MUTED, linewidth=1.3, linestyle=line, marker=marker, markersize=14)
    for strategy, (colour, marker, line), rows in by_strategy(thinking):
        for _, part in rows.groupby("landscape_steps"):
            group = part.groupby("products")["mse"].agg(["mean", "min", "max"])
            ax.fill_between(group.index, group["min"], group["max"], color=colour, alpha=0.18, linewidth=0)
            ax.plot(group.index, group["mean"], color=colour, linestyle=line, marker=marker)
        ax.plot([], [], color=colour, linestyle=line, marker=marker, label=plain(strategy))
    log_axes(ax, x=thinking["products"], y=pd.concat([thinking["mse"], rivals["mse"]]))
    ax.set(xlabel="n x n matrix products of an answer", ylabel="MSE")
    legend(ax)
    return ax


def sizes(rungs: pd.DataFrame, ax=None):
    """MSE by n (one split), as scored (thin) and after thinking longer (thick); columns of `frames.sizes`."""
    ax = axes_or_new(ax)
    for strategy, (colour, marker, line), mine in by_strategy(rungs):
        means = mine.groupby("n")[["mse", "mse_refined"]].mean()
        ax.plot(means.index, means["mse"], color=colour, linestyle=line, linewidth=0.9)
        ax.plot(means.index, means["mse_refined"], color=colour, linestyle=line, marker=marker, label=plain(strategy))
    log_axes(ax, y=pd.concat([rungs["mse"], rungs["mse_refined"]]))
    ax.set_xticks(sorted(rungs["n"].unique()))
    ax.set(xlabel="side of the matrices, n", ylabel="MSE")
    legend(ax)
    return ax


def spectra(rungs: pd.DataFrame, ax=None):
    """Relative squared error of every seed by spectrum, as scored (small) and after thinking longer (large)."""
    ax = axes_or_new(ax)
    places = {name: place for place, name in enumerate(rungs["spectrum"].unique())}
    strategies = in_order(rungs["strategy"])
    for place, (strategy, look, mine) in enumerate(by_strategy(rungs)):
        x = mine["spectrum"].map(places) + 0.7 * ((place + 0.5) / len(strategies) - 0.5)
        ax.scatter(x - 0.06, mine["relative"], s=10, color=look[0], marker=look[1], alpha=0.6, linewidth=0)
        points(ax, x + 0.06, mine["relative_refined"], tips(mine, "relative_refined"), look).set_label(plain(strategy))
    log_axes(ax, y=pd.concat([rungs["relative"], rungs["relative_refined"]]))
    conditions = rungs.groupby("spectrum")["condition"].first()
    ax.set_xticks(range(len(places)), [f"{plain(name, 14)}\n{conditions[name]:,.0f}" for name in places])
    ax.set(ylabel="squared error, relative", xlim=(-0.6, len(places) - 0.4))
    ax.grid(axis="x", visible=False)
    legend(ax)
    return ax


def energies(solving: pd.DataFrame, ax=None):
    """Energy on arrival at a noise level (thin) and after its landscape steps (thick), while solving `same`."""
    ax = axes_or_new(ax)
    for strategy, (colour, marker, line), mine in by_strategy(solving.dropna(subset="energy_after")):
        means = mine.groupby("level")[["energy_before", "energy_after"]].mean()
        ax.plot(means.index, means["energy_before"], color=colour, linestyle=line, linewidth=0.9)
        ax.plot(means.index, means["energy_after"], color=colour, linestyle=line, marker=marker, label=plain(strategy))
    log_if_wide(ax, solving[["energy_before", "energy_after"]].stack())
    return level_axis(ax, "energy")


def acceptance(solving: pd.DataFrame, ax=None):
    """Share of landscape steps that lowered the energy, by noise level, while solving `same`."""
    ax = axes_or_new(ax)
    for strategy, (colour, marker, line), mine in by_strategy(solving.dropna(subset="accepted")):
        means = 100 * mine.groupby("level")["accepted"].mean()
        ax.plot(means.index, means, color=colour, linestyle=line, marker=marker, label=plain(strategy))
    ax.set_ylim(-4, 104)
    return level_axis(ax, "accepted steps, %")


MINED = {
    "contrast": "contrastive loss",
    "gap": "energy of negative − of answer",
    "distance": "distance from the answer, RMS",
    "accepted": "accepted steps of the miner, %",
    "false": "negatives that are right, %",
    "residual": "residual of the negative",
}


def mined(mining: pd.DataFrame, quantity: str = "gap", ax=None):
    """What the miner made, by noise level (`frames.mining`); quantity: one of `MINED`."""
    return level_axis(_mined(mining, "level", quantity, ax), MINED[quantity])


def mined_over_training(history: pd.DataFrame, quantity: str = "gap", ax=None):
    """What the miner made, by training step (`frames.mining_history`); quantity: one of `MINED`."""
    ax = _mined(history, "step", quantity, ax)
    step_axis(ax, MINED[quantity])
    legend(ax)
    return ax


def _mined(table: pd.DataFrame, along: str, quantity: str, ax):
    """One line a strategy, mean over its runs."""
    ax = axes_or_new(ax)
    values = table.assign(
        gap=table["energy_negative"] - table["energy_positive"],
        accepted=100 * table["accepted"],
        false=100 * table["false"],
    )
    for strategy, (colour, marker, line), mine in by_strategy(values.dropna(subset=quantity)):
        means = mine.groupby(along)[quantity].mean()
        ax.plot(
            means.index,
            means,
            color=colour,
            linestyle=line,
            marker=marker if along == "level" else None,
            label=plain(strategy),
        )
    return ax
