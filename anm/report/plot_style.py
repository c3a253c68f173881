"""The style of figures: colours, markers and lines of strategies, drawing settings, and text that is safe to draw."""

from collections.abc import Sequence

import matplotlib
import matplotlib.ticker
import pandas as pd

from anm.analysis.tidy_tables import in_order

INK, MUTED, GRID, BAND = "#1c1e21", "#565c64", "#dfe2e6", "#c9cfd6"
STRATEGY_STYLES = {
    "none": ("#3b3f45", "o", "-"),
    "random": ("#0072b2", "s", "--"),
    "adversarial": ("#d55e00", "^", "-."),
}
MORE_COLOURS = ("#00795a", "#882255", "#7a6a00", "#5b4bc4", "#a1395f")
MORE_LINES = (":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (8, 2)))
# The last five repeat the colours, each with another marker and line.
MORE_STYLES = tuple(zip(2 * MORE_COLOURS, "DvPX*<>phd", MORE_LINES + MORE_LINES[1:] + MORE_LINES[:1]))
REFERENCE_LINES = {"constant": (0, (1, 3)), "affine": (0, (7, 3)), "published": (0, (3, 2, 1, 2))}
SETTINGS = {
    **dict.fromkeys(("axes.labelcolor", "text.color", "xtick.labelcolor", "ytick.labelcolor"), INK),
    **dict.fromkeys(("axes.edgecolor", "xtick.color", "ytick.color"), MUTED),
    **dict.fromkeys(("axes.spines.top", "axes.spines.right", "legend.frameon"), False),
    **dict.fromkeys(("axes.grid", "axes.axisbelow"), True),
    "axes.formatter.limits": (-4, 5),
    "axes.titlelocation": "left",
    "axes.titlesize": 11.5,
    "axes.titleweight": "bold",
    "font.size": 11,
    "grid.color": GRID,
    "legend.fontsize": 10,
    "lines.linewidth": 1.8,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "anm",  # the same figure gets the same ids
}


def report_style():
    """The report's drawing settings, as a context."""
    return matplotlib.rc_context(SETTINGS)


def strategy_styles(strategies: pd.Series) -> dict[str, tuple]:
    """(colour, marker, line style) of each strategy. Strategies outside the study take the next free ones.

    In a categorical column, a strategy has the same style whether or not the others are present.
    """
    names = strategies.cat.categories if isinstance(strategies.dtype, pd.CategoricalDtype) else strategies
    others = [name for name in in_order(names) if name not in STRATEGY_STYLES]
    return STRATEGY_STYLES | {name: MORE_STYLES[i % len(MORE_STYLES)] for i, name in enumerate(others)}


def plain_text(text, limit: int = 26) -> str:
    """Text of a record for a figure: one line of at most `limit` characters, never read as a formula."""
    line = " ".join(str(text).split())
    return (line if len(line) <= limit else line[: limit - 1] + "…").replace("$", r"\$")


def short_labels(values: Sequence, limit: int = 16) -> list[str]:
    """Values as short labels, numbered where two of them would look the same."""
    labels = [plain_text(value, limit) for value in values]
    if len(set(labels)) == len(labels):
        return labels
    return [f"{place}: {plain_text(value, limit - 3)}" for place, value in enumerate(values, 1)]


class PlainLogFormatter(matplotlib.ticker.LogFormatter):
    """Labels of a logarithmic axis as plain numbers: 80, 1,000."""

    def __call__(self, x, pos=None) -> str:
        return f"{x:,.0f}" if super().__call__(x, pos) else ""
