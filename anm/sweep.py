"""A finished sweep, read: what each cell of its grid did to the error, against no mining at the same seeds."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from anm.grid import BASELINE, KEPT, Grid, grid_run, read_grid
from anm.miners import unused
from anm.params import NOT_IDENTITY, RunParams
from anm.stats import ALPHA, compare_pair, holm, lowest_holm

SPLITS = ("same", "harder")


@dataclass(frozen=True)
class Sweep:
    """A sweep's grid, its comparisons and the runs that only the sweep is about.

    cells: one row per cell, energy and split: strategy, energy, split, the axes, planned (the name of the notebook that holds it;
    cells on an axis that their strategy does not use share one), runs (the names of those that were read), paired (whether they
    drew the same problems as the baseline), and the columns of `anm.stats.compare` against `none`; in the family of Holm's
    correction are all notebooks of one energy and split. aside: scores of the runs that are no part of the comparison of
    strategies at their standard settings.
    """

    grid: Grid
    cells: pd.DataFrame
    aside: pd.DataFrame

    @property
    def missing(self) -> list[str]:
        """Cells without a comparison, by the name of the notebook that would hold them."""
        lacking = self.cells[(self.cells["n_seeds"] == 0) & (self.cells["split"] == SPLITS[0])]
        return list(lacking["planned"].unique())

    @property
    def unpaired(self) -> list[str]:
        """Cells whose runs and baseline drew different problems, by the same name."""
        return list(self.cells.loc[~self.cells["paired"], "planned"].unique())


def read_sweep(folder: str | Path, scores: pd.DataFrame) -> Sweep | None:
    """The sweep whose runs are in `folder`, given their scores (`anm.record.collect_runs`); None where there is none.

    Raises `ParamError` where its grid.yaml cannot be used.
    """
    path = Path(folder) / KEPT
    if not path.is_file():
        return None
    grid = read_grid(path)
    cells = corrected(pd.DataFrame([row for cell in grid.cells() for row in compare_cell(grid, *cell, scores)]))
    return Sweep(grid, cells, aside(grid, scores))


def compare_cell(grid: Grid, strategy: str, values: dict[str, Any], scores: pd.DataFrame) -> list[dict]:
    """The rows of one cell, a split each: its difference from the baseline at the same values."""
    params = grid.params(strategy, values)
    mine, base = rows_of(params, scores), rows_of(grid.params(BASELINE, values), scores)
    about = {"strategy": strategy, "energy": params.energy} | values
    paired = pd.concat([mine, base])["drawn_on"].nunique() <= 1
    about |= {
        "planned": grid_run(grid, strategy, values, Path(), None).path.name,
        "runs": tuple(sorted(set(mine["run"]))),
        "paired": paired,
    }
    rows = []
    for split in SPLITS:
        cell, none = (by_seed(part[part["split"] == split]) for part in (mine, base))
        both = pd.DataFrame({strategy: cell, "\0none": none}, dtype=float)
        row = compare_pair(both[strategy], both["\0none"], none.mean())
        row |= {
            "against": BASELINE,
            "split": split,
            "mse": cell.mean(),
            "mse_none": none.mean(),
            "claim": row["claim"] and paired,
        }
        rows.append(row | about)
    return rows


def rows_of(params: RunParams, scores: pd.DataFrame) -> pd.DataFrame:
    """The scores of runs with these parameters, in all that their strategy uses, seeds aside."""
    chosen = scores["problems"] == params.test_problems
    for name in set(RunParams.model_fields) & set(scores) - NOT_IDENTITY - {"seeds"} - unused(params.strategy):
        chosen &= scores[name].astype(object) == getattr(params, name)
    return scores[chosen]


def by_seed(rows: pd.DataFrame) -> pd.Series:
    """MSE by seed, float64; the first where a seed has two."""
    return rows.drop_duplicates("seed").set_index("seed")["mse"].astype(float)


def corrected(cells: pd.DataFrame) -> pd.DataFrame:
    """The cells with Holm's p over each family: all notebooks of one energy and split. `family`: how many comparisons that is;
    `lowest`: the least that p could be."""
    parts = []
    for _, rows in cells.groupby(["energy", "split"], sort=False):
        once = rows.drop_duplicates("planned").set_index("planned")
        p = once["p"].to_numpy(float)
        found = pd.DataFrame(
            {"p_holm": holm(p), "lowest": lowest_holm(p, once["n_seeds"].to_numpy())}, index=once.index
        )
        rows = rows.join(found, on="planned")
        parts.append(
            rows.assign(significant=rows["claim"] & (rows["p_holm"] < ALPHA), family=int(np.isfinite(p).sum()))
        )
    return pd.concat(parts).sort_index()


def aside(grid: Grid, scores: pd.DataFrame) -> pd.DataFrame:
    """Scores of the sweep's runs that are not at its standard cell."""
    standard = pd.Series(False, index=scores.index)
    for strategy in {BASELINE, *grid.strategies}:
        standard |= scores.index.isin(rows_of(grid.params(strategy, grid.standard()), scores).index)
    swept = scores["strategy"].isin({BASELINE, *grid.strategies})
    return scores[swept & ~standard]
