"""The report on a sweep: its map, its cells, and what they say. Empty where the folder holds none."""

from functools import partial

import pandas as pd

from anm.heatmap import heat_map
from anm.page import Cell, Html, figure, joined, link, paragraphs, table
from anm.report.findings import BASELINE, Findings
from anm.report.numbers import counted, interval, number, reach, shares
from anm.stats import ALPHA, MIN_SEEDS
from anm.sweep import Sweep


def say(findings: Findings) -> Html:
    """What was swept, the best and the worst cell, how many comparisons were made and how they were corrected."""
    if findings.sweep is None:
        return Html("")
    sweep = findings.sweep
    axes = " × ".join(f"{axis} ({', '.join(map(str, values))})" for axis, values in sweep.grid.axes.items())
    texts = [f"{', '.join(sweep.grid.strategies)}: {axes}. {_missing(sweep)}", f"Scale: {_scale(sweep)}."]
    for (energy, split), rows in sweep.cells.groupby(["energy", "split"], sort=False):
        texts += [_outcome(sweep, rows, energy, split)] if rows["n_seeds"].any() else []
    return paragraphs(texts, "finding")


def maps(findings: Findings) -> Html:
    """A heat map for each strategy, energy, difficulty, and value of the axes beyond the first two."""
    if findings.sweep is None:
        return Html("")
    sweep = findings.sweep
    axes = list(sweep.grid.axes)
    x, y = axes[0], axes[1] if len(axes) > 1 else "strategy"
    apart = [name for name in ("strategy", "energy", "split", *axes[2:]) if name not in (x, y)]
    panels = [
        (_title(sweep, apart, values), partial(heat_map, rows, x, y))
        for values, rows in drawn(sweep.cells).groupby(apart, sort=False)
    ]
    return figure(
        "sweep",
        panels,
        caption=(
            "Difference in MSE from the run without mining at the same seed and the same other settings, in percent of its "
            "mean; below it the 95 % interval of the mean over seeds. Blue is better, orange worse; a thick frame marks what "
            "is significant after Holm's correction over all cells of the energy and difficulty; an empty cell was not run."
        ),
        alt="; ".join(f"{row['tip']}" for row in drawn(sweep.cells).to_dict("records") if row["n_seeds"]),
    )


def cells(findings: Findings) -> Html:
    """Every cell as a row, with its notebook."""
    if findings.sweep is None:
        return Html("")
    sweep, paths = findings.sweep, findings.paths
    axes = list(sweep.grid.axes)
    rows = [
        [
            _notebooks(row, paths),
            row["strategy"],
            row["energy"],
            row["split"],
            *(row[axis] for axis in axes),
            _number(row["mse"]),
            _number(row["mse_none"]),
            interval(row) if row["n_seeds"] else None,
            _number(row["p"]),
            _number(row["p_holm"]),
            int(row["n_seeds"]),
        ]
        for row in sweep.cells.to_dict("records")
    ]
    columns = [
        "run",
        "strategy",
        "energy",
        "problems",
        *axes,
        "MSE",
        "MSE of none",
        "difference",
        "p",
        "p (Holm)",
        "paired seeds",
    ]
    return table("Every cell of the sweep", columns, rows, fold=True)


def drawn(cells: pd.DataFrame) -> pd.DataFrame:
    """The cells as a map shows them: percent, low, high, and the text on hover."""
    found = [[100 * share for share in shares(row)] for row in cells.to_dict("records")]
    tips = [
        f"{row['planned'].removesuffix('.ipynb')}, {row['split']}: {interval(row)}" for row in cells.to_dict("records")
    ]
    return cells.assign(**dict(zip(("percent", "low", "high"), zip(*found))), tip=tips)


def _outcome(sweep: Sweep, rows: pd.DataFrame, energy: str, split: str) -> str:
    """The best and the worst cell, and the count of comparisons, for one energy and difficulty. Cells that share a run count once."""
    rows = rows.drop_duplicates("planned")
    best, worst = (rows.loc[place] for place in (rows["relative"].idxmin(), rows["relative"].idxmax()))
    clear = int((rows["ci_high"] < 0).sum()), int((rows["ci_low"] > 0).sum())
    return (
        f"{energy}, {split}: best {_where(sweep, best)} {interval(best)}, worst {_where(sweep, worst)} {interval(worst)}. "
        f"{clear[0]} of {counted(int((rows['n_seeds'] > 0).sum()), 'cell')} have an interval below zero (better than {BASELINE}) and {clear[1]} "
        f"above it, before any correction. {counted(int(rows['family'].iloc[0]), 'comparison')}, corrected together after Holm: {_verdict(rows)}."
    )


def _verdict(rows: pd.DataFrame) -> str:
    """How many cells differ from the baseline after correction, or why none could."""
    if not rows["claim"].any():
        return f"no claim: fewer than {MIN_SEEDS} seeds are paired"
    lowest = rows.loc[rows["claim"], "lowest"].min()
    if lowest >= ALPHA:
        return f"none can be shown to differ, however much it does: with {reach(rows.loc[rows['claim'], 'n_seeds'])} seeds p is {number(lowest, 2)} at least"
    return f"{counted(int(rows['significant'].sum()), 'cell')} significant"


def _where(sweep: Sweep, row) -> str:
    values = ", ".join(f"{axis} {row[axis]}" for axis in sweep.grid.axes)
    return f"{row['strategy']} ({values})"


def _missing(sweep: Sweep) -> str:
    lacking = sweep.missing
    if not lacking:
        return "Every cell has been run."
    return f"{counted(len(lacking), 'run')} of the grid without a comparison, not run or without a score or a baseline: {', '.join(lacking)}."


def _scale(sweep: Sweep) -> str:
    params = sweep.grid.params(BASELINE, sweep.grid.standard())
    paired = sweep.cells.loc[sweep.cells["n_seeds"] > 0, "n_seeds"]
    return (
        f"n = {params.n}, {params.train_steps:,} training steps, batch {params.batch_size}, {reach(paired) if len(paired) else 0} paired seeds, "
        f"{params.test_problems:,} test problems a difficulty, where the axes say nothing else"
    )


def _title(sweep: Sweep, apart: list[str], values: tuple) -> str:
    named = dict(zip(apart, values))
    several = {name: len(set(sweep.cells[name])) > 1 for name in apart}
    return ", ".join(
        str(value) if name in ("strategy", "energy", "split") else f"{name} {value}"
        for name, value in named.items()
        if several[name] or name == "split"
    )


def _notebooks(row: dict, paths: dict) -> Html | str:
    return joined(link(paths[name], name) for name in row["runs"]) if row["runs"] else f"{row['planned']} (not run)"


def _number(value: float) -> Cell | None:
    return Cell(number(value, 4), sort=value) if value == value else None
