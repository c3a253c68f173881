"""Matrices as small images on one pair of axes, a name above each: for a figure of the report."""

import numpy as np

from anm.report.plot_helpers import axes_or_new
from anm.report.plot_style import plain_text

SIGNED = "RdBu_r"  # symmetric about zero, and safe for colour-blind readers


def matrix_images(matrices: list[np.ndarray], names: list[str], columns: int = 4, by_row: bool = False, ax=None):
    """Matrices (n, n) as named images in rows of `columns`, on a scale symmetric about zero.

    The scale ends at the median of the largest entries: of all matrices, or of each row (by_row).
    """
    group = columns if by_row else len(matrices)
    scales = [_median_largest(matrices[place - place % group :][:group]) for place in range(len(matrices))]
    return _draw(ax, matrices, names, columns, SIGNED, [(-scale, scale) for scale in scales])


def error_images(errors: list[np.ndarray], names: list[str], columns: int = 4, ax=None):
    """Absolute errors (n, n) as named images on one logarithmic scale; darker is worse."""
    logs = [np.log10(np.where(error == 0, np.nan, np.abs(error))) for error in errors]
    known = np.concatenate([[], *(log[np.isfinite(log)] for log in logs)])
    low, high = (known.min(), known.max()) if len(known) else (0.0, 1.0)
    logs = [np.where(error == 0, low, log) for error, log in zip(errors, logs)]  # exact entries get the lightest shade
    return _draw(ax, logs, names, columns, "Greys", [(low, max(high, low + 1e-9))] * len(logs))


def _median_largest(matrices: list[np.ndarray]) -> float:
    largest = [np.nanmax(np.abs(matrix)) for matrix in matrices if np.isfinite(matrix).any()]
    return float(np.median(largest or [1.0])) or 1.0


def _draw(ax, matrices: list[np.ndarray], names: list[str], columns: int, colours: str, limits: list[tuple]):
    """Draws each matrix as one image of n x n pixels: a kilobyte in the page, where n^2 shapes are forty."""
    ax = axes_or_new(ax)
    down = 1.25 + 0.15 * max(name.count("\n") for name in names)
    for place, (matrix, name, (low, high)) in enumerate(zip(matrices, names, limits)):
        x, y = 1.1 * (place % columns), -down * (place // columns)
        ax.imshow(matrix, extent=(x, x + 1, y - 1, y), interpolation="none", cmap=colours, vmin=low, vmax=high)
        text = "\n".join(map(plain_text, name.split("\n")))
        ax.text(x + 0.5, y + 0.04, text, ha="center", va="bottom", fontsize=9, linespacing=1.1)
    rows = -(-len(matrices) // columns)
    ax.set(xlim=(-0.02, 1.1 * columns - 0.08), ylim=(-down * (rows - 1) - 1.02, down - 0.98))
    ax.set_axis_off()
    return ax
