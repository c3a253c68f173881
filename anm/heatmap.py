"""The figure of a sweep: a cell for each combination of two settings, with its difference from no mining."""

import numpy as np
import pandas as pd
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.patches import Rectangle

from anm.looks import plain

# Better, level, worse: told apart by colour-blind readers, and pale enough for dark text in both of the page's themes.
SCALE = LinearSegmentedColormap.from_list("anm", ["#6aa5d8", "#f3f3f1", "#ea9a62"])
ON_CELL = "#111214"
SMALLEST_LIMIT = 1.0  # percent; below, differences are not worth a strong colour


def heat_map(cells: pd.DataFrame, x: str, y: str, ax=None):
    """Difference in MSE from none, in percent of it, in each cell; below it the 95 % interval of its mean.

    cells: columns x, y (settings), percent, low, high, significant, and tip (hover text). Blue is better than no mining,
    orange worse, a thick frame significant after correction, an empty cell not run. Returns `ax`.
    """
    if ax is None:
        import matplotlib.pyplot as plt

        _, ax = plt.subplots()
    columns, rows = (list(dict.fromkeys(cells[axis])) for axis in (x, y))
    limit = np.nanmax([SMALLEST_LIMIT, *cells["percent"].abs()])
    for cell in cells[cells["percent"].notna()].to_dict("records"):
        _cell(ax, columns.index(cell[x]), rows.index(cell[y]), cell, limit)
    ax.set_xlim(-0.5, len(columns) - 0.5)
    ax.set_ylim(-0.5, len(rows) - 0.5)
    ax.set_xticks(range(len(columns)), _labels(columns))
    ax.set_yticks(range(len(rows)), _labels(rows))
    ax.set(xlabel=x, ylabel=y)
    ax.grid(visible=False)
    return ax


def _labels(values: list) -> list[str]:
    """Values as short labels, numbered where they begin alike."""
    labels = [plain(value, 16) for value in values]
    return (
        labels
        if len(set(labels)) == len(labels)
        else [f"{place}: {plain(value, 13)}" for place, value in enumerate(values, 1)]
    )


def _cell(ax, column: int, row: int, cell: dict, limit: float) -> None:
    """One cell: its colour, its number, its interval."""
    colour = to_hex(SCALE(0.5 + 0.5 * cell["percent"] / limit))
    frame = {"edgecolor": ON_CELL, "linewidth": 2.5} if cell["significant"] else {"linewidth": 0}
    ax.add_patch(
        Rectangle((column - 0.48, row - 0.48), 0.96, 0.96, facecolor=colour, url=f"tip:{cell['tip']}", **frame)
    )
    ax.text(column, row + 0.12, signed(cell["percent"]), ha="center", va="center", color=ON_CELL, fontsize=10.5)
    if np.isfinite(cell["low"]):
        spread = f"{signed(cell['low'])} to {signed(cell['high'])}"
        ax.text(column, row - 0.22, spread, ha="center", va="center", color=ON_CELL, fontsize=6.5)


def signed(value: float) -> str:
    """A percentage with its sign, in as many digits as a cell has room for."""
    return f"{value:+.0f}" if abs(value) >= 100 else f"{round(value, 1) + 0.0:+.1f}"  # no minus before a zero
