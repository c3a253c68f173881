"""How figures look: colours, markers and lines of strategies, the drawing settings, and text that is safe to draw."""

import matplotlib
import matplotlib.ticker
import pandas as pd

from anm.frames import in_order

INK, MUTED, GRID, BAND = "#1c1e21", "#565c64", "#dfe2e6", "#c9cfd6"
LOOKS = {"none": ("#3b3f45", "o", "-"), "random": ("#0072b2", "s", "--"), "adversarial": ("#d55e00", "^", "-.")}
MORE_LOOKS = (
    ("#00795a", "D", ":"),
    ("#882255", "v", (0, (5, 1))),
    ("#7a6a00", "P", (0, (3, 1, 1, 1))),
    ("#5b4bc4", "X", (0, (1, 1))),
    ("#a1395f", "*", (0, (8, 2))),
    ("#00795a", "<", (0, (5, 1))),
    ("#882255", ">", (0, (1, 1))),
    ("#7a6a00", "p", (0, (8, 2))),
    ("#5b4bc4", "h", ":"),
    ("#a1395f", "d", (0, (3, 1, 1, 1))),
)  # more than colours: the rest differ in marker and line
REFERENCE_LINES = {"constant": (0, (1, 3)), "affine": (0, (7, 3)), "published": (0, (3, 2, 1, 2))}
TEXT_LIMIT = 26


def style():
    """The report's drawing settings, as a context."""
    return matplotlib.rc_context(
        {
            "font.size": 11,
            "font.family": "sans-serif",
            "axes.titlesize": 11.5,
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
            "axes.labelsize": 11,
            "axes.edgecolor": MUTED,
            "axes.labelcolor": INK,
            "axes.grid": True,
            "axes.axisbelow": True,
            "grid.color": GRID,
            "grid.linewidth": 0.8,
            "text.color": INK,
            "xtick.color": MUTED,
            "ytick.color": MUTED,
            "xtick.labelcolor": INK,
            "ytick.labelcolor": INK,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "lines.linewidth": 1.8,
            "lines.markersize": 6,
            "legend.frameon": False,
            "legend.fontsize": 10,
            "svg.fonttype": "none",
            "svg.hashsalt": "anm",
            "axes.formatter.limits": (-4, 5),
            "axes.formatter.use_mathtext": False,
            "axes.unicode_minus": True,
        }
    )


def looks(strategies: pd.Series) -> dict[str, tuple]:
    """(colour, marker, line style) of each strategy; those beyond the study's three take the next free ones.

    A categorical column gives a strategy the same look in every figure, whether or not the others are in it.
    """
    names = strategies.cat.categories if isinstance(strategies.dtype, pd.CategoricalDtype) else strategies
    others = [s for s in in_order(names) if s not in LOOKS]
    return LOOKS | {s: MORE_LOOKS[i % len(MORE_LOOKS)] for i, s in enumerate(others)}


def plain(text, limit: int = TEXT_LIMIT) -> str:
    """Text from a record as figure text: one line, shortened, never read as a formula."""
    line = " ".join(str(text).split())
    return (line if len(line) <= limit else line[: limit - 1] + "…").replace("$", r"\$")


class WrittenOut(matplotlib.ticker.LogFormatter):
    """Labels of a logarithmic axis as plain numbers: 80, 1,000."""

    def __call__(self, x, pos=None) -> str:
        return f"{x:,.0f}" if super().__call__(x, pos) else ""
