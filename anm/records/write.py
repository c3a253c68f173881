"""Write a run's result into its executed notebook."""

from datetime import datetime

from anm.evaluation.scores import Evaluation
from anm.records.problem_errors import encode
from anm.records.provenance import run_provenance
from anm.records.read import MIME
from anm.records.schema import SCHEMA, SPLITS, check_record, clean
from anm.solvers.solver import Solver
from anm.training.compute import training_compute
from anm.training.timer import seconds_per_step


def run_record(solver: Solver, evaluation: Evaluation, started: datetime) -> dict:
    """The record of a finished run. `started`: a datetime with its time zone."""
    timing = solver.timing
    source = run_provenance(
        solver.device,
        started,
        timing.get("code"),
        train_seconds=timing["step_seconds"],
        seconds_per_step=seconds_per_step(timing),
        evaluate_seconds=evaluation.seconds,
        resumed=timing["resumed"],
        compiled=timing.get("compiled", False),
    )
    source["own_code"] = solver.params.plugin_hashes()
    compute = training_compute(solver.params)
    return {
        "schema": SCHEMA,
        "params": solver.params.resolved(),
        "provenance": source,
        "compute": {name: getattr(compute, name) for name in ("step_flops", "baseline_flops", "steps")},
        "results": evaluation.results | {"budgets": encoded(evaluation.results["budgets"])},
        "curves": solver.history,
        "landscape": evaluation.landscape,
    }


def encoded(budgets: list[dict]) -> list[dict]:
    """The budget points with their errors per problem as text."""
    return [
        point | {split: point[split] | {"errors": encode(point[split]["errors"])} for split in SPLITS if split in point}
        for point in budgets
    ]


def emit_record(record: dict) -> None:
    """Store the record as an output of the notebook's current cell.

    Arrays and tensors become lists; numbers that are not finite become null.
    Raises `RecordError`, naming the entry, if the record is not of schema 1: `read_run` would refuse it.
    """
    from IPython.display import display

    record = clean(record)
    check_record(record)
    params = record["params"]
    summary = f"anm run record: {params['strategy']}, {params['energy']}, n = {params['n']}, seeds {params['seeds']}"
    display({MIME: record, "text/plain": summary}, raw=True)
