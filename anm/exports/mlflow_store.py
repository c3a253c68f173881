"""A local MLflow store: one run per executed notebook, and below it one run per seed.

    mlflow server --backend-store-uri sqlite:///reports/quick/mlflow/mlflow.db

Source: the client of MLflow 3, https://mlflow.org/docs/latest/ml/tracking.
"""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from anm.analysis.folder import fingerprint
from anm.params import parse_seeds
from anm.records.schema import SPLITS
from anm.utils.optional import optional_import

CURVES = ("loss", "denoise", "contrast", "grad_norm")
MEASURED = ("seconds", "train_seconds", "seconds_per_step", "evaluate_seconds", "peak_memory_mib")
MOST_METRICS = 1000  # that MLflow takes in one call
RECORD_TAG = "anm.record"  # the fingerprint of a record: a run that is in the store already is not written again
Point = tuple[str, float | None, int]  # name, value, step


def write_mlflow(records: dict[Path, dict], output: Path, experiment: str) -> None:
    """Add the runs to the experiment of this name in the store `output`, which is created where it is missing."""
    client = open_store(output)
    found = client.get_experiment_by_name(experiment)
    number = found.experiment_id if found else client.create_experiment(experiment, (output / "artifacts").as_uri())
    there = {run.data.tags.get(RECORD_TAG) for run in client.search_runs([number], max_results=50_000)}
    for path, record in records.items():
        if fingerprint(record) not in there:
            write_run(client, number, path, record)


def open_store(output: Path):
    """The client of the store in the folder `output`."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # it would also write into the home folder
    mlflow = optional_import("mlflow", "mlflow")
    output.mkdir(parents=True, exist_ok=True)
    return mlflow.MlflowClient(tracking_uri=f"sqlite:///{output / 'mlflow.db'}")


def write_run(client, experiment: str, path: Path, record: dict) -> None:
    """Add one notebook: a run with the means over seeds and the notebook, and a run per seed with its own values."""
    params, times = record["params"], Times(record)
    seeds = parse_seeds(params["seeds"])
    parent = start_run(client, experiment, path.stem, source_tags(path, record["provenance"]), params, times)
    measured = [(name, record["provenance"][name], times.steps) for name in MEASURED]
    log_points(client, parent, times, [*mean_points(record, len(seeds)), *measured])
    client.log_artifact(parent, str(path))
    for place, seed in enumerate(seeds):
        child_tags = {"mlflow.parentRunId": parent}
        child = start_run(client, experiment, f"{path.stem}, seed {seed}", child_tags, params | {"seeds": seed}, times)
        log_points(client, child, times, seed_points(record, place))
        client.set_terminated(child, "FINISHED", times.end)
    client.set_tag(parent, RECORD_TAG, fingerprint(record))  # last: a run that is not written to its end lacks it
    client.set_terminated(parent, "FINISHED", times.end)


class Times:
    """The moments of a run in milliseconds since 1970; those of a step assume that all steps took equally long."""

    def __init__(self, record: dict):
        source = record["provenance"]
        self.start = round(datetime.fromisoformat(source["started"]).astimezone(UTC).timestamp() * 1000)
        self.end = self.start + round(1000 * (source["seconds"] or 0))
        self.training = 1000 * (source["train_seconds"] or 0)
        self.steps = record["curves"]["step"][-1] if record["curves"]["step"] else record["params"]["train_steps"]

    def at(self, step: int) -> int:
        """The moment of a training step."""
        return min(self.end, self.start + round(self.training * step / self.steps))


def source_tags(path: Path, provenance: dict) -> dict[str, str]:
    """What MLflow's page shows as a run's source, and the provenance as tags."""
    flat = provenance | {f"machine.{name}": value for name, value in provenance["machine"].items()}
    tags = {f"anm.{name}": str(value) for name, value in flat.items() if name not in MEASURED and name != "machine"}
    commit = {"mlflow.source.git.commit": provenance["git_commit"]} if provenance["git_commit"] else {}
    return tags | commit | {"mlflow.source.name": path.name, "mlflow.source.type": "NOTEBOOK"}


def start_run(client, experiment: str, name: str, tags: dict, params: dict, times: Times) -> str:
    """The id of a new run with these tags and parameters, started when the training was."""
    entities = optional_import("mlflow.entities", "mlflow")
    run = client.create_run(experiment, times.start, tags, name).info.run_id
    client.log_batch(run, params=[entities.Param(name, str(value)) for name, value in params.items()])
    return run


def log_points(client, run: str, times: Times, points: list[Point]) -> None:
    """Add the points that have a value, each with its step and moment."""
    entities = optional_import("mlflow.entities", "mlflow")
    known = [(name, value, step) for name, value, step in points if value is not None]
    metrics = [entities.Metric(name, float(value), times.at(step), step) for name, value, step in known]
    for first in range(0, len(metrics), MOST_METRICS):
        client.log_batch(run, metrics=metrics[first : first + MOST_METRICS])


def seed_points(record: dict, place: int) -> list[Point]:
    """The curves and scores of the seed at this place of the stack."""
    return [(name, values[place], step) for name, values, step in seed_values(record)]


def mean_points(record: dict, seeds: int) -> list[Point]:
    """The means over seeds of all curves and scores; None where a seed has no finite value."""
    means = []
    for name, values, step in seed_values(record):
        means.append((name, None if None in values else sum(values) / seeds, step))
    return means


def seed_values(record: dict) -> Iterator[tuple[str, list[float | None], int]]:
    """(name, one value per seed, step) of every point of a curve and of every score."""
    curves, results, last = record["curves"], record["results"], Times(record).steps
    for name in CURVES:
        yield from ((name, values, step) for step, values in zip(curves["step"], curves[name]))
    yield from (("validation_mse", values, step) for step, values in zip(curves["mse_step"], curves["mse_same"]))
    for split in SPLITS:
        for name in ("mse", "residual"):
            if results[split][name] is not None:
                yield f"{split}_{name}", results[split][name], last
        for point in results.get("budgets", ()):
            yield f"{split}_budget_mse", point[split]["mse"], point["steps"]
