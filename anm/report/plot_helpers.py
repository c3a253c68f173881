"""Parts that figures share: points, mean lines, reference lines, axes and legends."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.ticker import MaxNLocator

from anm.analysis.tidy_tables import in_order
from anm.report.plot_style import MUTED, REFERENCE_LINES, short_labels, strategy_styles

LOG_FROM = 20.0  # an error axis is logarithmic where its values span more than this factor


def axes_or_new(ax):
    """The given axes, or new ones for None."""
    return plt.subplots()[1] if ax is None else ax


def by_strategy(table: pd.DataFrame) -> list[tuple]:
    """(label, style, rows) of each strategy in the table, in the study's order."""
    names, styles = in_order(table["strategy"]), strategy_styles(table["strategy"])
    labels = zip(short_labels(names, 26), names)
    return [(label, styles[name], table[table["strategy"] == name]) for label, name in labels]


def places(values: pd.Series, order: list[str]) -> np.ndarray:
    """The index of each value in `order`, as a coordinate."""
    return pd.Index(order).get_indexer(list(values)).astype(float)


def side_by_side(index, count, width: float):
    """Offsets from a tick for the places 0 to count - 1, which together are `width` wide."""
    return width * ((index + 0.5) / count - 0.5)


def seed_offsets(rows: pd.DataFrame, width: float) -> pd.Series:
    """Offsets that put the seeds of each strategy side by side."""
    seeds = rows.groupby("strategy", observed=True)["seed"]
    return side_by_side(seeds.rank(method="first") - 1, seeds.transform("size"), width)


def points(ax, table: pd.DataFrame, x: str, y: str, value: str = "mse", unit: str = "", labelled: bool = True):
    """One point a row in its strategy's style. Hover text: strategy, seed, value and run."""
    for label, (colour, marker, _), rows in by_strategy(table.dropna(subset=[x, y])):
        style = {"s": 34, "color": colour, "marker": marker, "alpha": 0.85, "linewidth": 0, "edgecolor": "none"}
        sns.scatterplot(rows, x=x, y=y, ax=ax, label=label if labelled else None, legend=False, zorder=3, **style)
        who = rows[["strategy", "seed", value, "run"]].itertuples(index=False, name=None)
        tips = [f"tip:{strategy}, seed {seed}: {number:.6g}{unit} ({run})" for strategy, seed, number, run in who]
        ax.collections[-1].set_urls(tips)
    return ax


def mean_lines(ax, table: pd.DataFrame, x: str, y: str, markers: bool = True, errorbar=("pi", 100), **options):
    """Mean over seeds, one line a strategy; the band reaches from the lowest to the highest seed.

    ax: None for new axes. errorbar: None for no band. options: of seaborn's lineplot.
    """
    ax = axes_or_new(ax)
    for label, (colour, marker, line), rows in by_strategy(table.dropna(subset=[x, y])):
        style = {"color": colour, "linestyle": line, "marker": marker if markers else None, "markeredgecolor": colour}
        band = {"errorbar": errorbar, "err_kws": {"alpha": 0.18, "linewidth": 0}}
        sns.lineplot(rows, x=x, y=y, ax=ax, label=label, legend=False, **style, **band, **options)
    return ax


def reference_lines(ax, references=None):
    """Draws name -> MSE as horizontal lines with labels at the right (constant, affine, published), then the legend."""
    references = {name: value for name, value in (references or {}).items() if np.isfinite(value)}
    for name, value in references.items():
        ax.axhline(value, color=MUTED, linestyle=REFERENCE_LINES.get(name, ":"), linewidth=1.3, zorder=1)
    ax.autoscale_view()
    to_axes = ax.transData + ax.transAxes.inverted()
    heights = _apart([to_axes.transform((0, value))[1] for value in references.values()])
    style = {"va": "center", "fontsize": 9.5, "color": MUTED, "annotation_clip": False}
    for name, height in zip(references, heights):
        ax.annotate(name, (1, height), xytext=(3, 0), xycoords="axes fraction", textcoords="offset points", **style)
    return legend(ax)


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


def log_scale(ax, factor: float = 1.0, **values):
    """Makes an axis (x=, y=) logarithmic where its values are above zero and span at least `factor`."""
    for axis, numbers in values.items():
        known = pd.Series(numbers, dtype=float).dropna()
        if len(known) and known.min() > 0 and known.max() >= factor * known.min():
            ax.set(**{f"{axis}scale": "log"})


def log_if_wide(ax, values, references=None):
    """A logarithmic y axis where values and references span at least a factor of `LOG_FROM`."""
    log_scale(ax, LOG_FROM, y=[*values, *(references or {}).values()])


def category_axis(ax, names: list[str]):
    """Names along the x axis of an MSE figure, slanted where they would overlap."""
    labels = short_labels(names, 14)
    slant = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if sum(map(len, labels)) > 34 else {}
    ax.set_xticks(range(len(names)), labels, **slant)
    ax.set(xlim=(-0.6, len(names) - 0.4), xlabel="", ylabel="MSE")
    ax.grid(axis="x", visible=False)


def step_axis(ax, label: str):
    """Training steps along x; `label` is that of y."""
    ax.set(xlabel="training step", ylabel=label)
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    ax.xaxis.set_major_formatter("{x:,.0f}")


def level_axis(ax, label: str):
    """Noise levels along x, the noisiest left, and the legend; `label` is that of y."""
    ax.set(xlabel="noise level (noisiest left)", ylabel=label)
    if not ax.xaxis_inverted():
        ax.invert_xaxis()
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    return legend(ax)


def legend(ax):
    """The legend below the axes, each label once. Axes without data say so."""
    handles = dict(zip(*ax.get_legend_handles_labels()[::-1]))
    if handles:
        columns = max(1, min(3, 40 // (max(map(len, handles)) + 1)))
        place = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.2), "ncols": columns}
        ax.legend(handles.values(), handles, columnspacing=1.2, handlelength=2.6, **place)
    elif not ax.has_data():
        say_empty(ax, "no run has these numbers")
    return ax


def say_empty(ax, reason: str):
    """Writes into empty axes why they are empty."""
    ax.text(0.5, 0.5, reason, transform=ax.transAxes, ha="center", color=MUTED)
    return ax
