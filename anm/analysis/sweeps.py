"""Read a finished sweep: the difference of each cell from the baseline at the same seeds."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from anm.analysis.statistics import ALPHA, compare_pair, holm, lowest_holm
from anm.params import NOT_IN_RUN_ID, RunParams
from anm.records.schema import SPLITS
from anm.registry import unused_settings
from anm.study.plan import BASELINE
from anm.study.sweep import SWEEP_FILE, SweepDefinition, read_sweep_file, sweep_run


@dataclass(frozen=True)
class Sweep:
    """A sweep's definition, the comparisons of its cells, and its other runs.

    cells: one row per cell, energy and split: strategy, energy, split, the axes; planned (the name of the cell's
    notebook; cells on an axis that their strategy does not use share one); runs (the notebooks that were read); paired
    (whether they drew the same problems as the baseline); the columns of `anm.analysis.statistics.compare` against
    `none`. Holm's family: all notebooks of one energy and split. aside: scores of the runs that are not at the
    standard settings and so are left out of the comparison of strategies.
    """

    grid: SweepDefinition
    cells: pd.DataFrame
    aside: pd.DataFrame

    @property
    def missing(self) -> list[str]:
        """Names of the notebooks that cells without a comparison would have."""
        lacking = self.cells[(self.cells["n_seeds"] == 0) & (self.cells["split"] == SPLITS[0])]
        return list(lacking["planned"].unique())

    @property
    def unpaired(self) -> list[str]:
        """Names of the notebooks of cells that drew other problems than their baseline."""
        return list(self.cells.loc[~self.cells["paired"], "planned"].unique())


def read_sweep(folder: str | Path, scores: pd.DataFrame) -> Sweep | None:
    """The sweep whose runs are in `folder`; None if there is none.

    scores: as `anm.collect_runs` gives them. Raises `ParamError` if its grid.yaml cannot be used.
    """
    path = Path(folder) / SWEEP_FILE
    if not path.is_file():
        return None
    grid = read_sweep_file(path)
    cells = corrected(pd.DataFrame([row for cell in grid.cells() for row in compare_cell(grid, *cell, scores)]))
    return Sweep(grid, cells, aside(grid, scores))


def compare_cell(grid: SweepDefinition, strategy: str, values: dict[str, Any], scores: pd.DataFrame) -> list[dict]:
    """A row per split: a cell's difference from the baseline."""
    params = grid.params(strategy, values)
    own, base = rows_of(params, scores), rows_of(grid.params(BASELINE, values), scores)
    paired = pd.concat([own, base])["drawn_on"].nunique() <= 1
    planned, runs = sweep_run(grid, strategy, values, Path(), None).path.name, tuple(sorted(set(own["run"])))
    about = {"strategy": strategy, "energy": params.energy, "against": BASELINE} | values
    about |= {"planned": planned, "runs": runs, "paired": paired}
    rows = []
    for split in SPLITS:
        scored = (part[part["split"] == split].drop_duplicates("seed") for part in (own, base))  # a seed counts once
        cell, none = (rows.set_index("seed")["mse"].astype(float) for rows in scored)
        both = pd.DataFrame({strategy: cell, "\0none": none}, dtype=float)
        row = compare_pair(both[strategy], both["\0none"], none.mean())
        row |= {"split": split, "mse": cell.mean(), "mse_none": none.mean(), "claim": row["claim"] and paired}
        rows.append(row | about)
    return rows


def rows_of(params: RunParams, scores: pd.DataFrame) -> pd.DataFrame:
    """The scores of runs with these parameters; seeds and unused settings may differ."""
    chosen = scores["problems"] == params.test_problems
    ignored = NOT_IN_RUN_ID | {"seeds"} | unused_settings(params.strategy)
    for name in set(RunParams.model_fields) & set(scores) - ignored:
        chosen &= scores[name].astype(object) == getattr(params, name)
    return scores[chosen]


def corrected(cells: pd.DataFrame) -> pd.DataFrame:
    """The cells with Holm's p over each family: all notebooks of one energy and split.

    family: the number of comparisons in it. lowest: the lowest p that the row could have.
    """
    parts = []
    for _, rows in cells.groupby(["energy", "split"], sort=False):
        once = rows.drop_duplicates("planned").set_index("planned")
        p = once["p"].to_numpy(float)
        found = {"p_holm": holm(p), "lowest": lowest_holm(p, once["n_seeds"].to_numpy())}
        rows = rows.join(pd.DataFrame(found, index=once.index), on="planned")
        significant = rows["claim"] & (rows["p_holm"] < ALPHA)
        parts.append(rows.assign(significant=significant, family=int(np.isfinite(p).sum())))
    return pd.concat(parts).sort_index()


def aside(grid: SweepDefinition, scores: pd.DataFrame) -> pd.DataFrame:
    """Scores of the sweep's runs that are not at its standard cell."""
    standard = pd.Series(False, index=scores.index)
    for strategy in {BASELINE, *grid.strategies}:
        standard |= scores.index.isin(rows_of(grid.params(strategy, grid.standard()), scores).index)
    swept = scores["strategy"].isin({BASELINE, *grid.strategies})
    return scores[swept & ~standard]
