"""The MLflow store, compared with the records: with a stand-in for its client, and in MLflow where it is installed."""

import importlib.util
from collections import defaultdict
from types import SimpleNamespace

import pytest

import anm
from anm.exports import export_folder, mlflow_store

START = 1735787045000  # 2025-01-02T03:04:05Z in milliseconds


class StandIn:
    """MLflow's client, as far as the export uses it; it checks what MLflow checks."""

    def __init__(self):
        self.experiments, self.runs = {}, {}

    def get_experiment_by_name(self, name):
        return SimpleNamespace(experiment_id=self.experiments[name]) if name in self.experiments else None

    def create_experiment(self, name, artifact_location):
        assert artifact_location.startswith("file:///")
        return self.experiments.setdefault(name, str(len(self.experiments)))

    def create_run(self, experiment_id, start_time, tags, run_name):
        run = dict(name=run_name, tags=dict(tags), start=start_time, params={}, history=defaultdict(list), files=[])
        self.runs[str(len(self.runs))] = run
        return SimpleNamespace(info=SimpleNamespace(run_id=str(len(self.runs) - 1)))

    def log_batch(self, run_id, metrics=(), params=()):
        assert len(metrics) <= 1000 and len(params) <= 100
        self.runs[run_id]["params"] |= {each.key: each.value for each in params}
        for each in metrics:
            self.runs[run_id]["history"][each.key].append((each.step, each.value, each.timestamp))

    def log_artifact(self, run_id, path):
        self.runs[run_id]["files"].append(path.rpartition("/")[2])

    def set_tag(self, run_id, name, value):
        self.runs[run_id]["tags"][name] = value

    def set_terminated(self, run_id, status, end_time):
        self.runs[run_id] |= {"status": status, "end": end_time}

    def search_runs(self, experiments, max_results):
        return [SimpleNamespace(data=SimpleNamespace(tags=run["tags"])) for run in self.runs.values()]

    def contents(self) -> list[dict]:
        return [run | {"parent": run["tags"].get("mlflow.parentRunId"), "id": key} for key, run in self.runs.items()]


def read_back(client, experiment: str) -> list[dict]:
    """The runs of a real store in the form of `StandIn.contents`."""
    number = client.get_experiment_by_name(experiment).experiment_id
    runs = []
    for run in client.search_runs([number]):
        key, data = run.info.run_id, run.data
        history = {
            name: [(point.step, point.value, point.timestamp) for point in client.get_metric_history(key, name)]
            for name in data.metrics
        }
        times = {"start": run.info.start_time, "end": run.info.end_time, "status": run.info.status}
        about = {"name": run.info.run_name, "tags": data.tags, "params": data.params, "history": history, "id": key}
        files = [file.path for file in client.list_artifacts(key)]
        runs.append(about | times | {"files": files, "parent": data.tags.get("mlflow.parentRunId")})
    return runs


@pytest.fixture(params=["stand-in", pytest.param("mlflow", marks=pytest.mark.filterwarnings("ignore"))])
def export(request, study, tmp_path, monkeypatch):
    """Exports the study; gives what is then in the store."""
    monkeypatch.chdir(tmp_path)
    output, client = tmp_path / "store", StandIn()
    if request.param == "mlflow":
        if importlib.util.find_spec("mlflow") is None:
            pytest.skip("MLflow is not installed: pip install 'anm[mlflow]'")
    else:
        entities = SimpleNamespace(
            Param=lambda key, value: SimpleNamespace(key=key, value=value),
            Metric=lambda key, value, timestamp, step: SimpleNamespace(
                key=key, value=value, timestamp=timestamp, step=step
            ),
        )
        monkeypatch.setattr(mlflow_store, "open_store", lambda output: client)
        monkeypatch.setattr(mlflow_store, "optional_import", lambda name, extra: entities)

    def call():
        export_folder("mlflow", study, output)
        real = request.param == "mlflow"
        return read_back(mlflow_store.open_store(output), "small") if real else client.contents()

    return call


def test_each_notebook_is_a_run_with_one_run_per_seed(study, export):
    runs = export()
    parents = {run["name"]: run for run in runs if run["parent"] is None}
    assert set(parents) == {"none-mlp", "adversarial mined"} and len(runs) == 8
    for name, parent in parents.items():
        record = anm.read_run(study / f"{name}.ipynb")
        assert parent["params"] == {name: str(value) for name, value in record["params"].items()}
        assert parent["files"] == [f"{name}.ipynb"] and parent["status"] == "FINISHED"
        assert (parent["start"], parent["end"]) == (START, START + 12_500)
        assert parent["tags"]["mlflow.source.git.commit"] == record["provenance"]["git_commit"]
        assert parent["tags"]["anm.machine.cpu"] == "Test CPU"
        children = {run["params"]["seeds"]: run for run in runs if run["parent"] == parent["id"]}
        assert set(children) == {"0", "1", "2"}
        for place, child in enumerate(children[seed] for seed in "012"):
            check_seed(child, record, place)


def check_seed(run: dict, record: dict, place: int):
    """A seed's run has the curves and scores of its place in the stack, and no value that was not finite."""
    curves, last = record["curves"], record["curves"]["step"][-1]
    for name in ("loss", "denoise", "contrast", "grad_norm"):
        wanted = [(step, values[place]) for step, values in zip(curves["step"], curves[name])]
        wanted = [(step, value) for step, value in wanted if value is not None]
        assert [(step, value) for step, value, _ in run["history"].get(name, [])] == wanted
    validations = zip(curves["mse_step"], curves["mse_same"])
    wanted = [(step, values[place]) for step, values in validations]
    assert [(step, value) for step, value, _ in run["history"]["validation_mse"]] == wanted
    for split in ("same", "harder"):
        value = record["results"][split]["mse"][place]
        found = [value for _, value, _ in run["history"].get(f"{split}_mse", [])]
        assert found == ([] if value is None else [value])
    step, _, moment = run["history"]["loss"][-1]
    assert (step, moment) == (last, START + 10_000)  # the training took 10 of the run's 12.5 seconds


def test_the_means_leave_out_what_a_seed_lacks(study, export):
    runs = {run["name"]: run for run in export()}
    (point,) = runs["adversarial mined"]["history"]["same_mse"]
    assert point[1] == pytest.approx(0.02)
    assert "harder_mse" not in runs["adversarial mined"]["history"] and "harder_mse" in runs["none-mlp"]["history"]


def test_a_second_export_adds_nothing(export):
    first = export()
    assert [run["id"] for run in export()] == [run["id"] for run in first]
