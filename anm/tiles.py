"""Matrices as small pictures on one axes, a name above each: for a figure of the report."""

import matplotlib.pyplot as plt
import numpy as np

from anm.looks import plain

SIGNED = "RdBu_r"  # symmetric about zero, and told apart by colour-blind readers
SIZES = "Greys"


def tiles(matrices: list[np.ndarray], names: list[str], columns: int = 4, by_row: bool = False, ax=None):
    """Matrices (n, n) as named pictures in rows of `columns`, on a scale symmetric about zero: up to the median of
    their largest entries, those of all or of each row."""
    group = columns if by_row else len(matrices)
    scales = [_median_largest(matrices[place - place % group :][:group]) for place in range(len(matrices))]
    return _tiles(ax, matrices, names, columns, SIGNED, [(-scale, scale) for scale in scales])


def error_tiles(errors: list[np.ndarray], names: list[str], columns: int = 4, ax=None):
    """Sizes of errors (n, n) as pictures, on one logarithmic scale: darker is worse."""
    sizes = [np.log10(np.where(error == 0, np.nan, np.abs(error))) for error in errors]
    known = np.concatenate([[], *(size[np.isfinite(size)] for size in sizes)])
    low, high = (known.min(), known.max()) if len(known) else (0.0, 1.0)
    sizes = [np.where(error == 0, low, size) for error, size in zip(errors, sizes)]  # exact entries are as light as any
    return _tiles(ax, sizes, names, columns, SIZES, [(low, max(high, low + 1e-9))] * len(sizes))


def _median_largest(matrices: list[np.ndarray]) -> float:
    largest = [np.nanmax(np.abs(matrix)) for matrix in matrices if np.isfinite(matrix).any()]
    return float(np.median(largest or [1.0])) or 1.0


def _tiles(
    ax, matrices: list[np.ndarray], names: list[str], columns: int, colours: str, limits: list[tuple[float, float]]
):
    ax = plt.subplots()[1] if ax is None else ax
    down = 1.25 + 0.15 * max(name.count("\n") for name in names)
    for place, (matrix, name, (low, high)) in enumerate(zip(matrices, names, limits)):
        x, y = 1.1 * (place % columns), -down * (place // columns)
        ax.imshow(matrix, extent=(x, x + 1, y - 1, y), interpolation="none", cmap=colours, vmin=low, vmax=high)
        ax.text(x + 0.5, y + 0.04, plain_lines(name), ha="center", va="bottom", fontsize=9, linespacing=1.1)
    rows = -(-len(matrices) // columns)
    ax.set(xlim=(-0.02, 1.1 * columns - 0.08), ylim=(-down * (rows - 1) - 1.02, down - 0.98))
    ax.set_axis_off()
    return ax


def plain_lines(text: str) -> str:
    """As `plain`, line by line."""
    return "\n".join(plain(line) for line in text.split("\n"))
