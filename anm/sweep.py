"""A finished sweep, read: what each cell of its grid did to the error, against no mining at the same seeds."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from anm.grid import BASELINE, KEPT, Grid, grid_run, read_grid
from anm.params import NOT_IDENTITY, RunParams
from anm.stats import ALPHA, compare_pair, holm

SPLITS = ("same", "harder")


@dataclass(frozen=True)
class Sweep:
    """A sweep's grid, its comparisons and the runs that only the sweep is about.

    cells: one row per cell, energy and split: strategy, energy, split, the axes, run (its notebooks' names), and the columns
    of `anm.stats.compare` against `none`, in whose family of Holm's correction are all cells of one energy and split.
    aside: runs (file names) that are no part of the comparison of strategies at their standard settings.
    """

    grid: Grid
    cells: pd.DataFrame
    aside: frozenset[str]

    @property
    def missing(self) -> list[str]:
        """Cells without a comparison, by the name of the notebook that would hold them."""
        lacking = self.cells[(self.cells["n_seeds"] == 0) & (self.cells["split"] == SPLITS[0])]
        return list(lacking["planned"])


def read_sweep(folder: str | Path, scores: pd.DataFrame) -> Sweep | None:
    """The sweep whose runs are in `folder`, given their scores (`anm.record.collect_runs`); None where there is none.

    Raises `ParamError` where its grid.yaml cannot be used.
    """
    path = Path(folder) / KEPT
    if not path.is_file():
        return None
    grid = read_grid(path, name=Path(folder).resolve().name)
    cells = corrected(pd.DataFrame([row for cell in grid.cells() for row in compare_cell(grid, *cell, scores)]))
    return Sweep(grid, cells, aside(grid, scores))


def compare_cell(grid: Grid, strategy: str, values: dict[str, Any], scores: pd.DataFrame) -> list[dict]:
    """The rows of one cell, a split each: its difference from the baseline at the same values."""
    params = grid.params(strategy, values)
    mine, base = rows_of(grid, params, scores), rows_of(grid, grid.params(BASELINE, values), scores)
    about = {"strategy": strategy, "energy": params.energy} | values
    about |= {"planned": grid_run(grid, strategy, values, Path(), None).path.name, "runs": tuple(sorted(set(mine["run"])))}
    rows = []
    for split in SPLITS:
        cell, none = (by_seed(part[part["split"] == split]) for part in (mine, base))
        both = pd.DataFrame({strategy: cell, "\0none": none}, dtype=float)
        row = compare_pair(both[strategy], both["\0none"], none.mean())
        rows.append(row | about | {"against": BASELINE, "split": split, "mse": cell.mean(), "mse_none": none.mean()})
    return rows


def rows_of(grid: Grid, params: RunParams, scores: pd.DataFrame) -> pd.DataFrame:
    """The scores of runs with these parameters, in what the sweep sets and varies."""
    names = {"strategy", "energy", *grid.axes, *grid.settings} - NOT_IDENTITY - {"seeds"}
    chosen = pd.Series(True, index=scores.index)
    for name in names & set(scores):
        chosen &= scores[name].astype(object) == getattr(params, name)
    return scores[chosen]


def by_seed(rows: pd.DataFrame) -> pd.Series:
    """MSE by seed, float64; the first where a seed has two."""
    return rows.drop_duplicates("seed").set_index("seed")["mse"].astype(float)


def corrected(cells: pd.DataFrame) -> pd.DataFrame:
    """The cells with Holm's p over each family: all cells of one energy and split. `family`: how many comparisons that is."""
    parts = []
    for _, rows in cells.groupby(["energy", "split"], sort=False):
        p = rows["p"].to_numpy(float)
        adjusted = holm(p)
        parts.append(rows.assign(p_holm=adjusted, significant=rows["claim"] & (adjusted < ALPHA), family=int(np.isfinite(p).sum())))
    return pd.concat(parts).sort_index()


def aside(grid: Grid, scores: pd.DataFrame) -> frozenset[str]:
    """Runs of the sweep that are not at its standard cell."""
    standard = pd.Series(False, index=scores.index)
    for strategy in {BASELINE, *grid.strategies}:
        standard |= scores.index.isin(rows_of(grid, grid.params(strategy, grid.standard()), scores).index)
    swept = scores["strategy"].isin({BASELINE, *grid.strategies})
    return frozenset(scores.loc[swept & ~standard, "run"])
