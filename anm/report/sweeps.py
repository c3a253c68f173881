"""The section on a sweep; empty if the folder holds no sweep."""

from functools import partial

import pandas as pd

from anm.analysis.results import StudyResults
from anm.analysis.statistics import ALPHA, MIN_SEEDS
from anm.analysis.sweeps import Sweep
from anm.report.formatting import counted, difference_text, format_range, number, number_cell, shares
from anm.report.heat_map import sweep_heat_map
from anm.report.page import Html, figure, link, paragraphs, table
from anm.study.plan import BASELINE


def description(results: StudyResults) -> Html:
    """The axes and the scale of the sweep, and the cells that lack a comparison."""
    if (sweep := results.sweep) is None:
        return Html("")
    axes = " × ".join(f"{axis} ({', '.join(map(str, values))})" for axis, values in sweep.grid.axes.items())
    texts = [f"{', '.join(sweep.grid.strategies)}: {axes}. {_missing(sweep)}", f"Scale: {_scale(sweep)}."]
    return paragraphs(texts, "finding")


def summary(results: StudyResults) -> Html:
    """The best and worst cells, and how many differ after correction."""
    if (sweep := results.sweep) is None:
        return Html("")
    rows = []
    for (energy, split), cells in sweep.cells.groupby(["energy", "split"], sort=False):
        if cells["n_seeds"].any():
            rows.append([f"{energy}, {split}", *_summary(sweep, cells.drop_duplicates("planned"))])
    columns = ["energy, problems", "best cell", "worst cell", "cells", "interval below 0", "interval above 0"]
    caption = "Differences from none in the sweep; intervals are not corrected, the result is (Holm)"
    return table(caption, [*columns, "comparisons", "result"], rows) if rows else Html("")


def maps(results: StudyResults) -> Html:
    """Heat maps: the first two axes in each, one per other value."""
    if (sweep := results.sweep) is None:
        return Html("")
    cells, axes = with_percent(sweep.cells), list(sweep.grid.axes)
    x, y = axes[0], axes[1] if len(axes) > 1 else "strategy"
    apart = [name for name in ("strategy", "energy", "split", *axes[2:]) if name not in (x, y)]
    panels = [
        (_title(sweep, apart, values), partial(sweep_heat_map, rows, x, y))
        for values, rows in cells.groupby(apart, sort=False)
    ]
    return figure(
        "sweep",
        panels,
        "Difference in MSE from the run without mining at the same seeds and settings, in percent of its mean; below "
        "it, the 95 % interval of the mean over seeds. Blue is better, orange is worse. A thick frame: significant "
        "after Holm's correction over all cells of the energy and split. An empty cell was not run.",
        alt="; ".join(row["tip"] for row in cells.to_dict("records") if row["n_seeds"]),
    )


def cells(results: StudyResults) -> Html:
    """Every cell as a row, with its notebook."""
    if results.sweep is None:
        return Html("")
    axes = list(results.sweep.grid.axes)
    rows = []
    for row in results.sweep.cells.to_dict("records"):
        read = Html("").join(link(results.paths[name], name) for name in row["runs"])
        where = [row[name] for name in ("strategy", "energy", "split", *axes)]
        mse, mse_none, p, p_holm = (number_cell(row[name]) for name in ("mse", "mse_none", "p", "p_holm"))
        difference = difference_text(row) if row["n_seeds"] else None
        notebooks = read or f"{row['planned']} (not run)"
        rows.append([notebooks, *where, mse, mse_none, difference, p, p_holm, int(row["n_seeds"])])
    columns = ["run", "strategy", "energy", "problems", *axes, "MSE", "MSE of none", "difference", "p", "p (Holm)"]
    return table("Every cell of the sweep", [*columns, "paired seeds"], rows, fold=True)


def with_percent(cells: pd.DataFrame) -> pd.DataFrame:
    """The cells with columns percent, low, high and tip (the text on hover)."""
    rows = cells.to_dict("records")
    found = [[100 * share for share in shares(row)] for row in rows]
    tips = [f"{row['planned'].removesuffix('.ipynb')}, {row['split']}: {difference_text(row)}" for row in rows]
    return cells.assign(**dict(zip(("percent", "low", "high"), zip(*found))), tip=tips)


def _summary(sweep: Sweep, rows: pd.DataFrame) -> list:
    """The cells of one row of `summary`; sweep cells that share a run count once."""
    best, worst = (rows.loc[place] for place in (rows["relative"].idxmin(), rows["relative"].idxmax()))
    names = [", ".join(f"{axis} {row[axis]}" for axis in sweep.grid.axes) for row in (best, worst)]
    texts = [f"{row['strategy']} ({name}): {difference_text(row)}" for row, name in zip((best, worst), names)]
    counts = [(rows["n_seeds"] > 0).sum(), (rows["ci_high"] < 0).sum(), (rows["ci_low"] > 0).sum()]
    return [*texts, *map(int, counts), int(rows["family"].iloc[0]), _result(rows)]


def _result(rows: pd.DataFrame) -> str:
    """How many cells differ from the baseline after correction, or why none can."""
    rows = rows[rows["claim"]]
    if rows.empty:
        return f"no claim: fewer than {MIN_SEEDS} paired seeds"
    if (lowest := rows["lowest"].min()) >= ALPHA:
        return f"inconclusive: with {format_range(rows['n_seeds'])} seeds, p cannot be below {number(lowest, 2)}"
    return f"{counted(int(rows['significant'].sum()), 'cell')} significant"


def _missing(sweep: Sweep) -> str:
    if not (lacking := sweep.missing):
        return "Every cell has a comparison."
    why = "without a comparison (not run, or without a score or a baseline)"
    return f"{counted(len(lacking), 'run')} of the grid {why}: {', '.join(lacking)}."


def _scale(sweep: Sweep) -> str:
    params = sweep.grid.params(BASELINE, sweep.grid.standard())
    paired = sweep.cells.loc[sweep.cells["n_seeds"] > 0, "n_seeds"]
    return (
        f"n = {params.n}, {params.train_steps:,} training steps, batch {params.batch_size}, "
        f"{format_range(paired) if len(paired) else 0} paired seeds, {params.test_problems:,} test problems per split, "
        "unless an axis changes it"
    )


def _title(sweep: Sweep, apart: list[str], values: tuple) -> str:
    named = dict(zip(apart, values))
    several = {name: len(set(sweep.cells[name])) > 1 for name in apart}
    return ", ".join(
        str(value) if name in ("strategy", "energy", "split") else f"{name} {value}"
        for name, value in named.items()
        if several[name] or name == "split"
    )
