"""The stages that train: a pilot of TF32 against float32, the regimes of the declared comparison, the full study."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from statistics import fmean, stdev

from anm.benchmark.gpu_scale import Scale
from anm.benchmark.meta_step import count_step
from anm.benchmark.staged_run import SkippedStage, StagedRun
from anm.evaluation.scores import evaluate
from anm.params import ParamError, RunParams
from anm.records.schema import SPLITS
from anm.records.write import run_record
from anm.training.compute import training_compute
from anm.training.loop import train
from anm.utils.locations import FILES

# Seconds; assumptions until a GPU has measured them
REPLAYED_LAUNCH, EAGER_LAUNCH = 2e-6, 6e-6  # no step is faster than its launches
SET_UP_SECONDS = {True: 40.0, False: 10.0}  # of a compiled run and of an eager one: all but its steps


def expected_seconds(run: StagedRun, params: RunParams) -> float:
    """The time of a run, from the rate of the fastest step that was measured; 0 if none was."""
    rows = run.stages.get("steps", {}).get("rows", [])
    rates = [row["gflops"] * 1e9 for row in rows if row.get("gflops")]
    if not rates:
        return 0.0
    counted, compiled = count_step(params), params.compile != "no"
    launches = counted["launches"] * (REPLAYED_LAUNCH if compiled else EAGER_LAUNCH)
    step = max(counted["flops"] / max(rates), launches)
    return step * training_compute(params).steps + SET_UP_SECONDS[compiled] * (params.device != "cpu")


def trained(run: StagedRun, name: str, params: RunParams) -> dict:
    """The result of one run, whose record is stored; `skipped` with the reason where it cannot be done.

    A run whose record is there already is not repeated. Raises `Interrupted` if the time is over before it ends; the
    next call with the same checkpoints continues it.
    """
    row = {
        "run": name,
        "strategy": params.strategy,
        "seeds": len(params.seed_list),
        "steps": training_compute(params).steps,
    }
    if there := run.record_of(name, params):
        return row | from_record(there) | {"kept": True}
    try:
        params.check_machine()
    except ParamError as error:
        return row | {"skipped": str(error)}
    expected = expected_seconds(run, params)
    if expected > run.left():
        return row | {"skipped": f"needs about {expected:.0f} s, and {run.left():.0f} s are left; give more --minutes"}
    started = datetime.now(UTC)
    with run.stopping_training():
        solver = train(params, log=lambda line: run.log(f"  {line}"))
    record = run_record(solver, evaluate(solver), started)
    return row | {"record": run.store_record(name, record), "expected_seconds": expected} | from_record(record)


def from_record(record: dict) -> dict:
    """A run's times in seconds and its mean errors; `results`: those per seed."""
    results, source = record["results"], record["provenance"]
    times = {name: source[name] for name in ("seconds", "train_seconds", "seconds_per_step", "evaluate_seconds")}
    means = {f"mse_{split}": mean_of_all(results[split]["mse"]) for split in SPLITS}
    return times | means | {"results": results}


def mean_of_all(errors: list[float | None]) -> float | None:
    """The mean over seeds; None if an error was not finite."""
    return None if None in errors else fmean(errors)


def without_results(row: dict) -> dict:
    """The row of a run without the results that its record holds."""
    return {name: value for name, value in row.items() if name != "results"}


def precision_pilot(run: StagedRun, scale: Scale) -> Iterator[dict]:
    """Runs of `none` and `adversarial` in float32 and in TF32 with the same seeds, and the ratio of their errors."""
    for strategy in ("none", "adversarial"):
        rows = {}
        for setting in ("float32", "tf32"):
            settings = {"strategy": strategy, "precision": setting}
            params = RunParams(**scale.common | scale.pilot | settings)
            rows[setting] = trained(run, f"pilot--{strategy}--{setting}", params)
            yield without_results(rows[setting])
        for split in SPLITS if all("results" in row for row in rows.values()) else ():
            errors = [rows[setting]["results"][split]["mse"] for setting in ("tf32", "float32")]
            yield {"run": f"pilot--{strategy}", "split": split} | log_ratio(*errors)


def log_ratio(errors: list[float | None], baseline: list[float | None]) -> dict:
    """The paired log ratio of errors to a baseline's: its mean over seeds, the standard error, and the ratios."""
    if None in errors + baseline:
        return {"skipped": "an error was not finite"}
    logs = [math.log(error / other) for error, other in zip(errors, baseline, strict=True)]
    standard_error = stdev(logs) / math.sqrt(len(logs)) if len(logs) > 1 else math.nan
    return {"log_ratio": fmean(logs), "standard_error": standard_error, "ratios": [math.exp(log) for log in logs]}


def full_study(run: StagedRun, scale: Scale) -> Iterator[dict]:
    """The full study, one strategy at a time; those whose record is there already are kept."""
    from anm.study.plan import plan_study  # reads YAML, which a machine without the extra `study` may lack

    for strategy in scale.strategies:
        (planned,) = plan_study("full", [strategy], settings=(scale.common | scale.full).items())
        yield without_results(trained(run, f"full--{strategy}", planned.params))


def comparison_regimes(run: StagedRun, scale: Scale) -> Iterator[dict]:
    """Every regime and arm of the declared comparison, each as one stack of seeds."""
    file = FILES / scale.comparison_file
    if not file.is_file():
        raise SkippedStage(f"{scale.comparison_file}: there is no such file")
    from anm.study.comparison import read_comparison_file  # reads YAML too

    comparison = read_comparison_file(file)
    for regime, arm in comparison.cells()[: scale.comparison_runs]:
        declared = comparison.params(regime, arm).resolved()
        yield without_results(trained(run, f"{regime}--{arm}", RunParams(**declared | scale.common | scale.comparison)))
