"""Figures of the study. Each function takes tidy data (anm.frames) and `ax`, and returns `ax`.

    ax = plots.seed_points(scores, references)            # a new axes
    plots.learning_curves(learning, references, ax=ax)    # one of yours

A strategy keeps its look in every figure (anm.looks; the report draws with `looks.style()`). Points carry
their run and seed as the artist's url ("tip:..."), which the report shows on hover.
"""

import matplotlib
import matplotlib.pyplot as plt
import matplotlib.ticker
import numpy as np
import pandas as pd

from anm.frames import in_order
from anm.looks import BAND, INK, MUTED, REFERENCE_LINES, WrittenOut, looks, plain

LOG_FROM = 20.0  # axes whose values span a larger factor are logarithmic


def seed_points(scores: pd.DataFrame, references=None, ax=None):
    """MSE of every seed by strategy, the mean as a bar across them, and the reference lines.

    scores: columns run, strategy, seed, mse (one energy, one split). references: name -> MSE.
    """
    ax = _axes(ax)
    strategies = in_order(scores["strategy"])
    for x, (_, look, mine) in enumerate(_by_strategy(scores)):
        _points(ax, x + _spread(len(mine)), mine["mse"], _tips(mine, "mse"), look)
        ax.hlines(mine["mse"].mean(), x - 0.32, x + 0.32, color=look[0], linewidth=2.4)
    _log_if_wide(ax, scores["mse"], references)
    ax.set_xlim(-0.6, len(strategies) - 0.4)
    _names(ax, strategies)
    return reference_lines(ax, references)


def overview(scores: pd.DataFrame, references=None, ax=None):
    """MSE of every seed of several energies (one split), strategies side by side within each energy.

    scores: columns run, energy, strategy, seed, mse. references: name -> MSE.
    """
    ax = _axes(ax)
    energies, strategies = in_order(scores["energy"]), in_order(scores["strategy"])
    for place, (strategy, look, mine) in enumerate(_by_strategy(scores)):
        x = mine["energy"].map(energies.index) + 0.8 * ((place + 0.5) / len(strategies) - 0.5)
        points = _points(ax, x, mine["mse"], _tips(mine, "mse"), look)
        points.set_label(plain(strategy))
    _log_if_wide(ax, scores["mse"], references)
    ax.set_xlim(-0.6, len(energies) - 0.4)
    _names(ax, energies)
    return reference_lines(ax, references)


def paired_differences(pairs: pd.DataFrame, comparison: pd.DataFrame, margin: float = 1.0, ax=None):
    """Per-seed differences from the baseline in percent of its mean, their interval, the equivalence band.

    pairs: strategy, seed, run, percent. comparison: strategy, percent, low, high. margin: half width of the
    band, in percent.
    """
    ax = _axes(ax)
    strategies = in_order(comparison["strategy"])
    if not strategies:
        return _nothing(ax, "no strategy shares a seed with none")
    ax.axvspan(-margin, margin, color=BAND, alpha=0.55, linewidth=0, label=f"within ±{margin:g} %: no difference that matters")
    ax.axvline(0, color=INK, linewidth=1)
    for y, (strategy, look, row) in enumerate(_by_strategy(comparison)):
        mine = pairs[pairs["strategy"] == strategy].sort_values("seed")
        _points(ax, mine["percent"], y - 0.16 + 0.5 * _spread(len(mine)), _tips(mine, "percent", " %"), look)
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
    ax = _lines(_axes(ax), learning, "step", "mse")
    _log_if_wide(ax, learning["mse"], references)
    _steps(ax, "MSE, same, averaged weights")
    return reference_lines(ax, references)


def loss_curves(losses: pd.DataFrame, term: str = "loss", ax=None):
    """One term of the loss (loss, denoise, contrast, grad_norm) by training step."""
    rows = losses[losses["term"] == term].dropna(subset="value")
    ax = _lines(_axes(ax), rows, "step", "value")
    _log_if_wide(ax, rows["value"])
    _steps(ax, {"grad_norm": "gradient norm", "denoise": "denoising loss", "contrast": "contrastive loss"}.get(term, term))
    _legend(ax)
    return ax


def landscape_steps(steps: pd.DataFrame, references=None, ax=None):
    """MSE by landscape steps a noise level at test time (one split)."""
    ax = _lines(_axes(ax), steps, "steps", "mse", markers=True)
    _log_if_wide(ax, steps["mse"], references)
    ax.set(xlabel="landscape steps a noise level", ylabel="MSE")
    return reference_lines(ax, references)


def conditions(bins: pd.DataFrame, references=None, ax=None):
    """MSE by condition number (one split): each bin at its geometric middle, on logarithmic axes."""
    middle = np.sqrt(bins["low"].clip(lower=1.0)) * np.sqrt(bins["high"].clip(lower=1.0))
    ax = _lines(_axes(ax), bins.assign(condition=middle).dropna(subset="mse"), "condition", "mse", markers=True)
    _log(ax, x=middle, y=bins["mse"])
    for part in ("major", "minor") if ax.get_xscale() == "log" else ():
        getattr(ax.xaxis, f"set_{part}_formatter")(WrittenOut(minor_thresholds=(1.2, 0.6)))
    ax.set(xlabel="condition number of A", ylabel="MSE")
    return reference_lines(ax, references)


def ladder(rungs: pd.DataFrame, references=None, ax=None):
    """MSE at each difficulty; harder to the right. references: name -> {offset: MSE}, known at some rungs."""
    ax = _lines(_axes(ax), rungs, "offset", "mse", markers=True)
    for name, known in (references or {}).items():
        ax.plot(list(known), list(known.values()), color=MUTED, marker="_", markersize=13, markeredgewidth=1.6,
                linestyle=REFERENCE_LINES.get(name, ":"), linewidth=1.1, label=name)
    _log(ax, x=rungs["offset"], y=rungs["mse"])
    ax.set_xticks(sorted(rungs["offset"].unique()), [f"{c:g}" for c in sorted(rungs["offset"].unique())])
    ax.minorticks_off()
    ax.invert_xaxis()
    ax.set(xlabel="offset c of A = 2RRᵀ + cI (harder →)", ylabel="MSE")
    _legend(ax)
    return ax


RIVALS = {"newton_schulz_best": "Newton-Schulz, best start", "newton_schulz_fitted": "Newton-Schulz, fitted",
          "conjugate_gradients": "conjugate gradients", "lu_float32": "LU in float32"}
RIVAL_LINES = {"newton_schulz_best": ("-", None), "newton_schulz_fitted": ((0, (6, 2)), None),
               "conjugate_gradients": ((0, (1, 1.5)), None), "lu_float32": ("none", "_")}


def prices(thinking: pd.DataFrame, rivals: pd.DataFrame, ax=None):
    """MSE by the matrix products of an answer (one split): solvers in their looks, rivals as grey lines (`RIVAL_LINES`).

    thinking: columns of `frames.thinking`; a line for each number of landscape steps. rivals: rival, products, mse.
    """
    ax = _axes(ax)
    for name, mine in rivals[rivals["products"] > 0].groupby("rival", sort=False):
        line, marker = RIVAL_LINES.get(name, (":", None))
        ax.plot(mine["products"], mine["mse"], color=MUTED, linewidth=1.3, linestyle=line, marker=marker, markersize=14)
    for strategy, (colour, marker, line), rows in _by_strategy(thinking):
        for _, part in rows.groupby("landscape_steps"):
            group = part.groupby("products")["mse"].agg(["mean", "min", "max"])
            ax.fill_between(group.index, group["min"], group["max"], color=colour, alpha=0.18, linewidth=0)
            ax.plot(group.index, group["mean"], color=colour, linestyle=line, marker=marker)
        ax.plot([], [], color=colour, linestyle=line, marker=marker, label=plain(strategy))
    _log(ax, x=thinking["products"], y=pd.concat([thinking["mse"], rivals["mse"]]))
    ax.set(xlabel="n x n matrix products of an answer", ylabel="MSE")
    _legend(ax)
    return ax


def sizes(rungs: pd.DataFrame, ax=None):
    """MSE by n (one split), as scored (thin) and after thinking longer (thick); columns of `frames.sizes`."""
    ax = _axes(ax)
    for strategy, (colour, marker, line), mine in _by_strategy(rungs):
        means = mine.groupby("n")[["mse", "mse_refined"]].mean()
        ax.plot(means.index, means["mse"], color=colour, linestyle=line, linewidth=0.9)
        ax.plot(means.index, means["mse_refined"], color=colour, linestyle=line, marker=marker, label=plain(strategy))
    _log(ax, y=pd.concat([rungs["mse"], rungs["mse_refined"]]))
    ax.set_xticks(sorted(rungs["n"].unique()))
    ax.set(xlabel="side of the matrices, n", ylabel="MSE")
    _legend(ax)
    return ax


def spectra(rungs: pd.DataFrame, ax=None):
    """Relative squared error of every seed by spectrum, as scored (small) and after thinking longer (large)."""
    ax = _axes(ax)
    places = {name: place for place, name in enumerate(rungs["spectrum"].unique())}
    strategies = in_order(rungs["strategy"])
    for place, (strategy, look, mine) in enumerate(_by_strategy(rungs)):
        x = mine["spectrum"].map(places) + 0.7 * ((place + 0.5) / len(strategies) - 0.5)
        ax.scatter(x - 0.06, mine["relative"], s=10, color=look[0], marker=look[1], alpha=0.6, linewidth=0)
        _points(ax, x + 0.06, mine["relative_refined"], _tips(mine, "relative_refined"), look).set_label(plain(strategy))
    _log(ax, y=pd.concat([rungs["relative"], rungs["relative_refined"]]))
    conditions = rungs.groupby("spectrum")["condition"].first()
    ax.set_xticks(range(len(places)), [f"{plain(name, 14)}\n{conditions[name]:,.0f}" for name in places])
    ax.set(ylabel="squared error, relative", xlim=(-0.6, len(places) - 0.4))
    ax.grid(axis="x", visible=False)
    _legend(ax)
    return ax


def energies(solving: pd.DataFrame, ax=None):
    """Energy on arrival at a noise level (thin) and after its landscape steps (thick), while solving `same`."""
    ax = _axes(ax)
    for strategy, (colour, marker, line), mine in _by_strategy(solving.dropna(subset="energy_after")):
        means = mine.groupby("level")[["energy_before", "energy_after"]].mean()
        ax.plot(means.index, means["energy_before"], color=colour, linestyle=line, linewidth=0.9)
        ax.plot(means.index, means["energy_after"], color=colour, linestyle=line, marker=marker, label=plain(strategy))
    _log_if_wide(ax, solving[["energy_before", "energy_after"]].stack())
    return _levels(ax, "energy")


def acceptance(solving: pd.DataFrame, ax=None):
    """Share of landscape steps that lowered the energy, by noise level, while solving `same`."""
    ax = _axes(ax)
    for strategy, (colour, marker, line), mine in _by_strategy(solving.dropna(subset="accepted")):
        means = 100 * mine.groupby("level")["accepted"].mean()
        ax.plot(means.index, means, color=colour, linestyle=line, marker=marker, label=plain(strategy))
    ax.set_ylim(-4, 104)
    return _levels(ax, "accepted steps, %")


MINED = {"contrast": "contrastive loss", "gap": "energy of negative − of answer", "distance": "distance from the answer, RMS",
         "accepted": "accepted steps of the miner, %", "false": "negatives that are right, %", "residual": "residual of the negative"}


def mined(mining: pd.DataFrame, quantity: str = "gap", ax=None):
    """What the miner made, by noise level (`frames.mining`); quantity: one of `MINED`."""
    return _levels(_mined(mining, "level", quantity, ax), MINED[quantity])


def mined_over_training(history: pd.DataFrame, quantity: str = "gap", ax=None):
    """What the miner made, by training step (`frames.mining_history`); quantity: one of `MINED`."""
    ax = _mined(history, "step", quantity, ax)
    _steps(ax, MINED[quantity])
    _legend(ax)
    return ax


def _mined(table: pd.DataFrame, along: str, quantity: str, ax):
    """One line a strategy, mean over its runs."""
    ax = _axes(ax)
    values = table.assign(gap=table["energy_negative"] - table["energy_positive"], accepted=100 * table["accepted"], false=100 * table["false"])
    for strategy, (colour, marker, line), mine in _by_strategy(values.dropna(subset=quantity)):
        means = mine.groupby(along)[quantity].mean()
        ax.plot(means.index, means, color=colour, linestyle=line, marker=marker if along == "level" else None, label=plain(strategy))
    return ax


def reference_lines(ax, references=None):
    """Draws name -> MSE as labelled horizontal lines (names: constant, affine, published), then the legend."""
    references = {name: value for name, value in (references or {}).items() if np.isfinite(value)}
    for name, value in references.items():
        ax.axhline(value, color=MUTED, linestyle=REFERENCE_LINES.get(name, ":"), linewidth=1.3, zorder=1)
    ax.autoscale_view()
    heights = _apart([_height(ax, value) for value in references.values()])
    for (name, _), height in zip(references.items(), heights):
        ax.annotate(name, (1.0, height), xycoords="axes fraction", xytext=(3, 0), textcoords="offset points",
                    va="center", fontsize=9.5, color=MUTED, annotation_clip=False)
    _legend(ax)
    return ax


def _axes(ax):
    return plt.subplots()[1] if ax is None else ax


def _by_strategy(table: pd.DataFrame):
    """(strategy, look, its rows by seed) for each strategy of the table, in order."""
    look = looks(table["strategy"])
    rows = table.sort_values("seed", kind="stable") if "seed" in table else table
    return [(s, look[s], rows[rows["strategy"] == s]) for s in in_order(table["strategy"])]


def _spread(count: int) -> np.ndarray:
    """Places of `count` points side by side around 0."""
    return 0.5 * ((np.arange(count) + 0.5) / count - 0.5)


def _points(ax, x, y, tips: list[str], look: tuple):
    colour, marker, _ = look
    dots = ax.scatter(x, y, s=34, color=colour, marker=marker, alpha=0.85, linewidth=0, zorder=3)
    dots.set_urls(tips)
    return dots


def _tips(rows: pd.DataFrame, column: str, unit: str = "") -> list[str]:
    return [f"tip:{row.strategy}, seed {row.seed}: {getattr(row, column):.6g}{unit} ({row.run})" for row in rows.itertuples()]


def _lines(ax, table: pd.DataFrame, x: str, y: str, markers: bool = False):
    """Mean over seeds with the band from lowest to highest seed, one line a strategy."""
    for strategy, (colour, marker, line), mine in _by_strategy(table):
        group = mine.groupby(x)[y].agg(["mean", "min", "max"])
        ax.fill_between(group.index, group["min"], group["max"], color=colour, alpha=0.18, linewidth=0)
        ax.plot(group.index, group["mean"], color=colour, linestyle=line, marker=marker if markers else None,
                label=plain(strategy))
    return ax


def _names(ax, names: list[str]):
    """Names along the x axis of an MSE figure, slanted where they would run into each other."""
    shown = [plain(name, 14) for name in names]
    slant = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if sum(map(len, shown)) > 34 else {}
    ax.set_xticks(range(len(names)), shown, **slant)
    ax.set_ylabel("MSE")
    ax.grid(axis="x", visible=False)


def _log_if_wide(ax, values, references=None):
    values = pd.Series([*values, *(references or {}).values()], dtype=float).dropna()
    if len(values) and values.min() > 0 and values.max() / values.min() > LOG_FROM:
        ax.set_yscale("log")


def _steps(ax, label: str):
    ax.set(xlabel="training step", ylabel=label)
    ax.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(5, integer=True))
    ax.xaxis.set_major_formatter(matplotlib.ticker.StrMethodFormatter("{x:,.0f}"))


def _log(ax, **values):
    """A logarithmic axis where all its values allow it (x=, y=)."""
    for axis, numbers in values.items():
        known = numbers.dropna()
        if len(known) and (known > 0).all():
            ax.set(**{f"{axis}scale": "log"})


def _levels(ax, label: str):
    ax.set(xlabel="noise level (noisiest left)", ylabel=label)
    if not ax.xaxis_inverted():
        ax.invert_xaxis()
    ax.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))
    _legend(ax)
    return ax


def _legend(ax):
    """The legend, under the axes; a figure with nothing in it says so."""
    labels = ax.get_legend_handles_labels()[1]
    if labels:
        columns = max(1, min(3, 40 // (max(map(len, labels)) + 1)))
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=columns, columnspacing=1.2, handlelength=2.6)
    elif not ax.has_data():
        _nothing(ax, "no run has these numbers")


def _nothing(ax, why: str):
    ax.text(0.5, 0.5, why, transform=ax.transAxes, ha="center", color=MUTED)
    return ax


def _height(ax, value: float) -> float:
    """Where a value lies on the y axis, as a fraction of its height."""
    return ax.transAxes.inverted().transform(ax.transData.transform((0, value)))[1]


def _apart(heights: list[float], gap: float = 0.065, top: float = 1.02) -> list[float]:
    """Heights moved as little as keeps labels `gap` apart and below `top`."""
    placed = np.array(heights, dtype=float)
    order = np.argsort(placed, kind="stable")
    for low, high in zip(order, order[1:]):
        placed[high] = max(placed[high], placed[low] + gap)
    limit = top
    for index in order[::-1]:
        placed[index] = min(placed[index], limit)
        limit = placed[index] - gap
    return placed.tolist()
