"""Tune every arm of a comparison with the same effort, on pilot seeds.

    python -m anm.study.tuning params/comparisons/equal-compute.yaml

The file's part `tuning` gives `seeds`, `learning_rates` (three of them) and `regimes`: those that are tuned, each with
settings that replace the common ones. Each arm has four trials in each of them: the three rates; then, at the best of
them, a fifth of the weight of the loss of negatives, or for an arm without negatives a rate between the two best. The
error of a trial is the geometric mean over seeds on the frozen fitting set, which no test set shares. The trials go to
<name>.tuning.csv, row by row; a finished trial is not repeated.
"""

import argparse
import csv
import sys
from pathlib import Path

import numpy as np

from anm.params import ParamError, RunParams
from anm.solvers.errors import solve_errors
from anm.solvers.solver import Solver
from anm.study.comparison import ComparisonDefinition, read_comparison_file
from anm.study.run import UNUSABLE, log, log_error
from anm.tasks.frozen import FIT_STREAM, FrozenSet, frozen_problems
from anm.training.compute import training_compute
from anm.training.state import TrainingError, TrainingState
from anm.training.step import training_step
from anm.utils.device import keep_memory
from anm.utils.parsing import did_you_mean

COLUMNS = ["regime", "arm", "learning_rate", "contrastive_weight", "seeds", "budget_steps", "steps", "error"]
PROBLEMS, SMALLER_WEIGHT = 500, 0.2


def main(arguments: list[str] | None = None) -> int:
    """Run the trials that are not finished of a comparison's file."""
    parser = argparse.ArgumentParser(prog="python -m anm.study.tuning", description="Tune the arms of a comparison.")
    parser.add_argument("file", type=Path, help="the comparison's YAML file")
    parser.add_argument("regimes", nargs="*", help="only these regimes (default: all that its part `tuning` names)")
    options = parser.parse_args(arguments)
    try:
        comparison = read_comparison_file(options.file)
        check_tuning(comparison, options.regimes)
        for regime, arm in comparison.cells():
            if merged(comparison, regime) and regime in (options.regimes or comparison.regimes):
                tune(comparison, regime, arm, options.file.with_suffix(".tuning.csv"))
    except ParamError as error:
        log_error(error)
        return UNUSABLE
    return 0


def merged(comparison: ComparisonDefinition, regime: str) -> dict:
    """The settings of the tuning in a regime; empty where it is not tuned."""
    regimes = comparison.tuning.get("regimes") or {}
    return comparison.tuning | (regimes[regime] or {}) if regime in regimes else {}


def check_tuning(comparison: ComparisonDefinition, regimes: list[str]) -> None:
    """Raises `ParamError` on a regime that is not declared or not tuned, and on missing seeds or rates."""
    tuned = comparison.tuning.get("regimes") or {}
    known = dict.fromkeys(tuned, comparison.regimes) | dict.fromkeys(regimes, tuned)
    for regime, names in known.items():
        if regime not in names:
            hint = f"{did_you_mean(regime, names)} There are: {', '.join(names)}"
            raise ParamError(f"tuning: {regime}: there is no such regime.{hint}")
        tuning = merged(comparison, regime)
        rates = tuning.get("learning_rates")
        if "seeds" not in tuning or not isinstance(rates, list) or len(rates) < 2:
            raise ParamError(f"tuning: {regime}: must give seeds, and learning_rates: a list of at least two")


def tune(comparison: ComparisonDefinition, regime: str, arm: str, table: Path) -> None:
    """The four trials of one arm in one regime."""
    tuning = merged(comparison, regime)
    rates, errors = sorted(RunParams(learning_rate=rate).learning_rate for rate in tuning["learning_rates"]), {}
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
    rows = list(csv.DictReader(table.read_text().splitlines())) if table.is_file() else []
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
    """The geometric mean over seeds of the error on the frozen fitting set; infinite if the training diverges."""
    try:
        solver = trained(params)
    except TrainingError:
        return np.inf
    error = float(np.exp(np.log(solve_errors(solver, fitting_problems(params)).error.mean(1)).mean()))
    return error if np.isfinite(error) else np.inf


def trained(params: RunParams) -> Solver:
    """The solver at the end of a training without log and checkpoints. Raises `TrainingError` if it diverges."""
    keep_memory()
    state = TrainingState(params, training_compute(params).steps)
    while state.step < state.steps:
        training_step(state)
    state.check_finite()
    return state.solver()


def fitting_problems(params: RunParams) -> FrozenSet:
    """The frozen fitting set of `same`."""
    task = params.task_object()
    return frozen_problems(task, params.n, task.splits["same"], PROBLEMS, FIT_STREAM)


if __name__ == "__main__":
    sys.exit(main())
