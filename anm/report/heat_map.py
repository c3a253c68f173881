"""The figure of a sweep: a cell for each combination of two settings, with its difference from no mining."""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import Rectangle

from anm.report.plot_helpers import axes_or_new
from anm.report.plot_style import GRID, short_labels

# Blue, pale, orange: safe for colour-blind readers, and light enough for dark text in both themes of the page.
SCALE = LinearSegmentedColormap.from_list("anm", ["#6aa5d8", "#f3f3f1", "#ea9a62"])
ON_CELL = "#111214"
SMALLEST_LIMIT = 1.0  # percent; smaller differences get no strong colour


def sweep_heat_map(cells: pd.DataFrame, x: str, y: str, ax=None):
    """Difference in MSE from none in each cell, in percent; below it the 95 % interval of its mean.

    cells: columns x, y (settings), percent, low, high, significant, and tip (hover text). Blue is better than no
    mining, orange worse. A thick frame marks a significant cell after correction. A cell not run is empty.
    """
    ax = axes_or_new(ax)
    columns, rows = (list(dict.fromkeys(cells[axis])) for axis in (x, y))
    percent = np.full((len(rows), len(columns)), np.nan)
    for cell in cells[cells["percent"].notna()].to_dict("records"):
        row, column = rows.index(cell[y]), columns.index(cell[x])
        percent[row, column] = cell["percent"]
        frame = {"edgecolor": ON_CELL, "linewidth": 2.5 if cell["significant"] else 0}
        corner = (column + 0.02, row + 0.02)
        ax.add_patch(Rectangle(corner, 0.96, 0.96, fill=False, url=f"tip:{cell['tip']}", zorder=3, **frame))
        if np.isfinite(cell["low"]):
            interval = f"{signed(cell['low'])} to {signed(cell['high'])}"
            ax.text(column + 0.5, row + 0.28, interval, ha="center", va="center", color=ON_CELL, fontsize=6.5)
    numbers = {"annot": np.array([[signed(value) for value in row] for row in percent]), "fmt": ""}
    limit = np.nanmax([SMALLEST_LIMIT, *np.abs(percent).flat])
    colours = {"cmap": SCALE, "vmin": -limit, "vmax": limit, "cbar": False, "linewidths": 2, "linecolor": GRID}
    labels = {"xticklabels": short_labels(columns), "yticklabels": short_labels(rows)}
    sns.heatmap(percent, ax=ax, annot_kws={"color": ON_CELL, "fontsize": 10.5}, **numbers, **colours, **labels)
    ax.invert_yaxis()
    ax.tick_params(axis="both", rotation=0)
    ax.set(xlabel=x, ylabel=y)
    ax.grid(visible=False)
    return ax


def signed(value: float) -> str:
    """A percentage with its sign, short enough for a cell."""
    return f"{value:+.0f}" if abs(value) >= 100 else f"{round(value, 1) + 0.0:+.1f}"  # no minus before a zero
