"""The cost of a training step by strategy, and errors at equal training time."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from anm.analysis import tidy_tables
from anm.analysis.gaps import unequal
from anm.analysis.results import StudyResults, of
from anm.study.plan import BASELINE


class EqualTime(NamedTuple):
    """A strategy after as much training time as the baseline's whole training.

    steps: its steps in that time. change: mean error against the baseline's at its end, as a share. lower, seeds: in
    how many of the paired seeds its error is lower.
    """

    steps: float
    change: float
    lower: int
    seeds: int


def step_costs(results: StudyResults, energy: str) -> dict[str, float]:
    """Strategy -> time per training step, in steps of the baseline.

    Empty unless all runs did steps of the same size on the same machine.
    """
    rows = of(results.scores, energy)
    seconds = rows.groupby("strategy", observed=True)["seconds_per_step"].mean().to_dict()
    settings = {name: (name, "first") for name in ("n", "batch_size", "noise_levels")}
    sizes = rows.groupby("run").agg(seeds=("seed", "nunique"), **settings)
    origins = [r["provenance"] for r in results.records.values() if r["params"]["energy"] == energy]
    machines = {(origin["device"], str(origin["machine"])) for origin in origins}
    if len(machines) != 1 or len(sizes.drop_duplicates()) != 1 or not seconds.get(BASELINE, 0) > 0:
        return {}
    return {name: value / seconds[BASELINE] for name, value in seconds.items() if value > 0}


def at_equal_time(results: StudyResults, energy: str, strategy: str) -> EqualTime | None:
    """A strategy's error at equal training time, by its learning curve, or None.

    Only for strategies whose step takes longer than the baseline's, in runs of equal steps. Runs of a budget are at
    equal compute anyway.
    """
    cost = step_costs(results, energy).get(strategy, 0)
    curves = of(tidy_tables.learning(results.records).dropna(subset="mse"), energy)
    base, own = (curves[curves["strategy"] == name] for name in (BASELINE, strategy))
    steps = base["step"].max() / cost if cost > 1 else np.nan
    budgets = [record["params"].get("budget_steps") for record in results.records.values()]
    if any(budgets) or unequal(results, energy) or own.empty or not steps >= own["step"].min():
        return None
    end = base[base["step"] == base["step"].max()].set_index("seed")["mse"]
    then = own.groupby("seed")[["step", "mse"]].apply(lambda curve: np.interp(steps, curve["step"], curve["mse"]))
    both = pd.DataFrame({"then": then, "end": end}).dropna()
    if both.empty:
        return None
    change = both["then"].mean() / both["end"].mean() - 1
    return EqualTime(steps, change, int((both["then"] < both["end"]).sum()), len(both))
