"""Plots of a comparison at equal compute. Each takes tidy data and `ax`, and returns `ax`."""

import numpy as np
import pandas as pd
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from scipy.stats import t as student

from anm.analysis.log_ratios import RATIO_MARGIN
from anm.report import plot_helpers as parts
from anm.report.plot_style import BAND, INK, MUTED, plain_text, strategy_styles

WIDEST = 20.0  # ratios beyond this factor stand at the edge, with an arrow as their mark
RATIO_TICKS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20)
BUDGET_TICKS = {0.25: "B/4", 0.5: "B/2", 1: "B", 2: "2 B"}
IN_RANGE = 3.0  # a reference line is drawn where it is within this factor of the errors


def forest(rows: pd.DataFrame, limits: tuple[float, float], grey: str = "", ax=None):
    """Error ratios to the baseline with their 95 % intervals, one row an arm, the multiplier at the right.

    rows: strategy (categories), ratio, ci_low, ci_high, significant, text (the multiplier). limits: of the ratios.
    grey: the reason why the regime carries no claim, which makes it grey; nothing otherwise. Hollow: not significant.
    """
    ax, styles = parts.axes_or_new(ax), strategy_styles(rows["strategy"])
    ax.axvspan(1 / (1 + RATIO_MARGIN), 1 + RATIO_MARGIN, color=BAND, alpha=0.55, linewidth=0)
    ax.axvline(1, color=INK, linewidth=1)
    for place, row in enumerate(rows.to_dict("records")):
        colour, marker, _ = styles[row["strategy"]]
        forest_row(ax, place, row, limits, MUTED if grey else colour, marker)
    names = [plain_text(name, 24) for name in rows["strategy"]]
    ax.set_yticks(range(len(names)), names)
    ax.set(xscale="log", xlim=limits, ylim=(len(names) - 0.4 + bool(grey), -0.6), ylabel="")
    ax.set_xlabel("error / error of none", fontsize=10)
    ax.xaxis.set_major_locator(FixedLocator([tick for tick in RATIO_TICKS if limits[0] <= tick <= limits[1]]))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.grid(axis="y", visible=False)
    below = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "top", "fontsize": 10}
    ax.annotate("multiplier", (1, 0), xytext=(4, -19), annotation_clip=False, **below)
    if grey:
        ax.tick_params(axis="y", labelcolor=MUTED)
        ax.text(
            0.98, 0.02, plain_text(grey, 60), transform=ax.transAxes, ha="right", va="bottom", fontsize=9.5, color=MUTED
        )
    return ax


def forest_row(ax, place: int, row: dict, limits: tuple[float, float], colour: str, marker: str):
    """One row of `forest`: interval, point with hover text, and multiplier."""
    beside = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points", "va": "center", "fontsize": 10}
    ax.annotate(row["text"], (1, place), xytext=(4, 0), annotation_clip=False, color=INK, **beside)
    if not np.isfinite(row["ratio"]):
        ax.text(1, place, " no result", va="center", fontsize=9.5, color=MUTED)
        return
    low, point, high = np.clip([row["ci_low"], row["ratio"], row["ci_high"]], *limits)
    ax.plot([low, high], [place, place], color=colour, linewidth=2, solid_capstyle="butt")
    shape = marker if point == row["ratio"] else "<" if point > row["ratio"] else ">"
    fill = colour if row["significant"] else "none"
    ax.scatter(
        [point],
        [place],
        s=46,
        marker=shape,
        facecolors=fill,
        edgecolors=colour,
        linewidths=1.4,
        zorder=3,
        clip_on=False,
    )
    ax.collections[-1].set_urls([f"tip:{row['tip']}"])


def ratio_limits(rows: pd.DataFrame) -> tuple[float, float]:
    """Limits of the ratio axis that all panels share."""
    ends = pd.concat([rows["ci_low"], rows["ci_high"], rows["ratio"]])
    ends = ends[np.isfinite(ends) & (ends > 0)].clip(1 / WIDEST, WIDEST)
    return min([0.8, *ends / 1.1]), max([1.25, *ends * 1.1])


def error_by_compute(points: pd.DataFrame, references: dict[str, float], ax=None):
    """Geometric mean of the error over seeds by compute, with its 95 % t interval; labels at the right.

    points: strategy (categories), share (of the run), compute (in budgets), error; a row a seed. references: name ->
    error; those far from the errors are left out.
    """
    ax, last = parts.axes_or_new(ax), {}
    for label, (colour, marker, line), rows in parts.by_strategy(points):
        curve = geometric_curve(rows)
        style = {"color": colour, "linestyle": line, "marker": marker, "markersize": 5.5}
        ends = [curve["mean"] - curve["low"], curve["high"] - curve["mean"]]
        wide = 2.6 if label == "none" else 1.5
        ax.errorbar(curve["compute"], curve["mean"], yerr=ends, elinewidth=1, capsize=2, linewidth=wide, **style)
        last[label] = (curve["mean"].iloc[-1], colour, marker)
    ax.set(xscale="log", yscale="log", xlabel="compute, in budgets", ylabel="error")
    ax.xaxis.set_major_locator(FixedLocator(list(BUDGET_TICKS)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: BUDGET_TICKS.get(round(value, 3), "")))
    ax.xaxis.set_minor_locator(NullLocator())
    top, bottom = points["error"].max() * IN_RANGE, points["error"].min() / IN_RANGE
    for name, value in references.items():
        if bottom <= value <= top:
            ax.axhline(value, color=MUTED, linestyle=(0, (7, 3)), linewidth=1.2, zorder=1)
            last[name] = (value, MUTED, None)
    label_ends(ax, last)
    return ax


def geometric_curve(rows: pd.DataFrame) -> pd.DataFrame:
    """compute, mean, low and high at each point: the geometric mean over seeds with its 95 % t interval."""
    logs = np.log(rows.assign(error=rows["error"].where(rows["error"] > 0)).set_index("share")["error"]).dropna()
    groups = logs.groupby(level=0)
    half = groups.std() / np.sqrt(groups.size()) * student.ppf(0.975, (groups.size() - 1).clip(lower=1))
    found = pd.DataFrame(
        {"compute": rows.groupby("share")["compute"].mean(), "log": groups.mean(), "half": half.fillna(0)}
    )
    curve = {"mean": found["log"], "low": found["log"] - found["half"], "high": found["log"] + found["half"]}
    return pd.DataFrame(
        {"compute": found["compute"]} | {name: np.exp(values) for name, values in curve.items()}
    ).dropna()


def label_ends(ax, last: dict[str, tuple]):
    """Names at the right of the axes, each with its mark and near the height of its last value."""
    ax.figure.canvas.draw()  # the limits of the axes are known only now
    to_axes = ax.transData + ax.transAxes.inverted()
    heights = parts._apart([to_axes.transform((1, value))[1] for value, *_ in last.values()], gap=0.062)
    for (name, (_, colour, marker)), height in zip(last.items(), heights):
        if marker:
            ax.plot(
                [1.035], [height], marker=marker, color=colour, markersize=5.5, transform=ax.transAxes, clip_on=False
            )
        style = {"va": "center", "fontsize": 9.5, "color": INK if marker else MUTED, "annotation_clip": False}
        ax.annotate(plain_text(name, 22), (1.07, height), xycoords="axes fraction", **style)
