"""Tune every arm of a comparison with the same effort, on pilot seeds.

    python -m anm.study.tuning params/comparisons/equal-compute.yaml

The file's part `tuning` gives `seeds`, and `learning_rates` (three of them), which a regime may replace with settings
of its own. Each arm has four trials in each regime: the three rates; then, at the best of them, a fifth of the weight
of the loss of negatives, or for an arm without negatives a rate between the two best. The error of a trial is the
geometric mean over seeds on the frozen fitting set, which no test set shares. The trials go to <name>.tuning.csv, row
by row; a finished trial is not repeated.
"""

import csv
import sys
from pathlib import Path

import numpy as np

from anm.params import ParamError, RunParams
from anm.solvers.errors import solve_errors
from anm.study.comparison import ComparisonDefinition, read_comparison_file
from anm.study.run import UNUSABLE, log, log_error
from anm.tasks.frozen import FIT_STREAM, frozen_problems
from anm.training.compute import training_compute
from anm.training.state import TrainingError, TrainingState
from anm.training.step import training_step
from anm.utils.device import keep_memory

COLUMNS = ["regime", "arm", "learning_rate", "contrastive_weight", "seeds", "budget_steps", "steps", "error"]
PROBLEMS, SMALLER_WEIGHT = 500, 0.2


def main(arguments: list[str] | None = None) -> int:
    """Run the trials that are not finished of a comparison's file; further arguments limit it to some regimes."""
    path, *regimes = sys.argv[1:] if arguments is None else arguments
    try:
        comparison = read_comparison_file(path)
        for regime, arm in comparison.cells():
            if regime in (regimes or comparison.regimes) and "tuning" in merged(comparison, regime):
                tune(comparison, regime, arm, Path(path).with_suffix(".tuning.csv"))
    except ParamError as error:
        log_error(error)
        return UNUSABLE
    return 0


def merged(comparison: ComparisonDefinition, regime: str) -> dict:
    """The settings of the tuning in a regime; empty where the file has no such part."""
    own = comparison.tuning.get("regimes", {}).get(regime)
    return {"tuning": True} | comparison.tuning | own if own is not None else {}


def tune(comparison: ComparisonDefinition, regime: str, arm: str, table: Path) -> None:
    """The four trials of one arm in one regime."""
    tuning = merged(comparison, regime)
    rates, errors = sorted(tuning["learning_rates"]), {}
    usual = RunParams(**comparison.given(regime, arm) | {"contrastive_weight": weight_of(comparison, regime, arm)})
    for rate in rates:
        errors[rate] = trial(comparison, regime, arm, table, rate, usual.contrastive_weight)
    best, second = sorted(rates, key=errors.get)[:2]
    if usual.strategy == "none":
        trial(comparison, regime, arm, table, float(f"{(best * second) ** 0.5:.2g}"), usual.contrastive_weight)
    else:
        trial(comparison, regime, arm, table, best, SMALLER_WEIGHT * usual.contrastive_weight)


def weight_of(comparison: ComparisonDefinition, regime: str, arm: str) -> float:
    """The declared weight of the loss of negatives, before tuning."""
    settings = comparison.settings | comparison.regimes[regime] | comparison.arms[arm]
    return float(settings.get("contrastive_weight", RunParams().contrastive_weight))


def trial(comparison: ComparisonDefinition, regime: str, arm: str, table: Path, rate: float, weight: float) -> float:
    """The error of one trial, from the table if it is finished; infinite if the training diverges."""
    tuning = merged(comparison, regime)
    budget = int(float(tuning.get("budget_share", 1)) * comparison.budget(regime))
    settings = {"learning_rate": rate, "contrastive_weight": weight, "seeds": tuning["seeds"]}
    params = RunParams(**comparison.given(regime, arm) | settings | {"budget_steps": budget, "budget_points": "1"})
    key = {"regime": regime, "arm": arm, "learning_rate": f"{rate:g}", "contrastive_weight": f"{weight:g}"}
    key |= {"seeds": params.seeds, "budget_steps": str(budget)}
    rows = list(csv.DictReader(open(table, newline=""))) if table.is_file() else []
    for row in rows:
        if key.items() <= row.items():
            return float(row["error"]) if row["error"] else np.inf
    steps, error = training_compute(params).steps, train_and_score(params)
    log(f"{regime}, {arm}: learning rate {rate:g}, weight {weight:g}: {error:.3g} after {steps} steps")
    with open(table, "a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if not rows:
            writer.writeheader()
        writer.writerow(key | {"steps": steps, "error": f"{error:.4g}" if np.isfinite(error) else ""})
    return error


def train_and_score(params: RunParams) -> float:
    """The geometric mean over seeds of the error on the frozen fitting set, after a training without notebook."""
    keep_memory()
    state = TrainingState(params, training_compute(params).steps)
    try:
        while state.step < state.steps:
            training_step(state)
        state.check_finite()
    except TrainingError:
        return np.inf
    task = params.task_object()
    frozen = frozen_problems(task, params.n, task.splits["same"], PROBLEMS, FIT_STREAM)
    return float(np.exp(np.log(solve_errors(state.solver(), frozen).error.mean(1)).mean()))


if __name__ == "__main__":
    sys.exit(main())
