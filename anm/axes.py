"""What figures share: points and lines in the looks of their strategies, reference lines, axes, legends."""

import matplotlib.pyplot as plt
import matplotlib.ticker
import numpy as np
import pandas as pd

from anm.frames import in_order
from anm.looks import MUTED, REFERENCE_LINES, looks, plain

LOG_FROM = 20.0  # axes whose values span a larger factor are logarithmic


def reference_lines(ax, references=None):
    """Draws name -> MSE as labelled horizontal lines (names: constant, affine, published), then the legend."""
    references = {name: value for name, value in (references or {}).items() if np.isfinite(value)}
    for name, value in references.items():
        ax.axhline(value, color=MUTED, linestyle=REFERENCE_LINES.get(name, ":"), linewidth=1.3, zorder=1)
    ax.autoscale_view()
    heights = _apart([_height(ax, value) for value in references.values()])
    for (name, _), height in zip(references.items(), heights):
        ax.annotate(
            name,
            (1.0, height),
            xycoords="axes fraction",
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize=9.5,
            color=MUTED,
            annotation_clip=False,
        )
    legend(ax)
    return ax


def axes_or_new(ax):
    """These axes, or new ones where there are none."""
    return plt.subplots()[1] if ax is None else ax


def by_strategy(table: pd.DataFrame):
    """(strategy, look, its rows by seed) for each strategy of the table, in order."""
    look = looks(table["strategy"])
    rows = table.sort_values("seed", kind="stable") if "seed" in table else table
    return [(s, look[s], rows[rows["strategy"] == s]) for s in in_order(table["strategy"])]


def spread(count: int) -> np.ndarray:
    """Places of `count` points side by side around 0."""
    return 0.5 * ((np.arange(count) + 0.5) / count - 0.5)


def points(ax, x, y, tips: list[str], look: tuple):
    """One point for each x and y in a strategy's look, with its text on hover."""
    colour, marker, _ = look
    dots = ax.scatter(x, y, s=34, color=colour, marker=marker, alpha=0.85, linewidth=0, zorder=3)
    dots.set_urls(tips)
    return dots


def tips(rows: pd.DataFrame, column: str, unit: str = "") -> list[str]:
    """What each row's point says on hover: strategy, seed, value, run."""
    return [
        f"tip:{row.strategy}, seed {row.seed}: {getattr(row, column):.6g}{unit} ({row.run})"
        for row in rows.itertuples()
    ]


def lines(ax, table: pd.DataFrame, x: str, y: str, markers: bool = False):
    """Mean over seeds with the band from lowest to highest seed, one line a strategy."""
    for strategy, (colour, marker, line), mine in by_strategy(table):
        group = mine.groupby(x)[y].agg(["mean", "min", "max"])
        ax.fill_between(group.index, group["min"], group["max"], color=colour, alpha=0.18, linewidth=0)
        ax.plot(
            group.index,
            group["mean"],
            color=colour,
            linestyle=line,
            marker=marker if markers else None,
            label=plain(strategy),
        )
    return ax


def names(ax, names: list[str]):
    """Names along the x axis of an MSE figure, slanted where they would run into each other."""
    shown = [plain(name, 14) for name in names]
    slant = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if sum(map(len, shown)) > 34 else {}
    ax.set_xticks(range(len(names)), shown, **slant)
    ax.set_ylabel("MSE")
    ax.grid(axis="x", visible=False)


def log_if_wide(ax, values, references=None):
    """A logarithmic y axis where values and references, all above zero, span more than a factor of `LOG_FROM`."""
    values = pd.Series([*values, *(references or {}).values()], dtype=float).dropna()
    if len(values) and values.min() > 0 and values.max() / values.min() > LOG_FROM:
        ax.set_yscale("log")


def step_axis(ax, label: str):
    """Training steps along x; `label` is that of y."""
    ax.set(xlabel="training step", ylabel=label)
    ax.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(5, integer=True))
    ax.xaxis.set_major_formatter(matplotlib.ticker.StrMethodFormatter("{x:,.0f}"))


def log_axes(ax, **values):
    """A logarithmic axis where all its values allow it (x=, y=)."""
    for axis, numbers in values.items():
        known = numbers.dropna()
        if len(known) and (known > 0).all():
            ax.set(**{f"{axis}scale": "log"})


def level_axis(ax, label: str):
    """Noise levels along x, the noisiest left, and the legend; `label` is that of y."""
    ax.set(xlabel="noise level (noisiest left)", ylabel=label)
    if not ax.xaxis_inverted():
        ax.invert_xaxis()
    ax.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))
    legend(ax)
    return ax


def legend(ax):
    """The legend, under the axes; a figure with nothing in it says so."""
    labels = ax.get_legend_handles_labels()[1]
    if labels:
        columns = max(1, min(3, 40 // (max(map(len, labels)) + 1)))
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=columns, columnspacing=1.2, handlelength=2.6)
    elif not ax.has_data():
        nothing(ax, "no run has these numbers")


def nothing(ax, why: str):
    """Says in the axes why they are empty."""
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
