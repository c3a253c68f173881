"""A comparison from its file to its executed notebooks, through papermill at a tiny scale."""

import subprocess
import sys

import numpy as np
import pytest
from project_copy import copy_project, environment

import anm
from anm.records.problem_errors import decode

COMPARISON = """
settings:
  {n: 3, width: 8, noise_levels: 3, batch_size: 4, seeds: "0,1", schedule: wsd, test_problems: 16, test_set: 1,
   landscape_steps: 2, evaluation: scores, device: cpu}
regimes: {inverse-3: {budget_steps: 12}}
arms: {none: {}, adversarial: {}}
"""
NAMES = ["inverse-3--none", "inverse-3--adversarial"]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = copy_project(tmp_path_factory.mktemp("project"), figures=False)
    (folder / "params" / "small.yaml").write_text(COMPARISON)
    return folder


def run(project):
    """Exit code and all that was printed."""
    command = [sys.executable, "-m", "anm.study", "run", "--comparison", "params/small.yaml"]
    done = subprocess.run(command, cwd=project, env=environment(), capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def records(project):
    code, output = run(project)
    assert code == 0, output
    folder = project / "reports" / "small"
    assert sorted(path.stem for path in folder.glob("*.ipynb")) == sorted(NAMES)
    assert (folder / "comparison.yaml").read_text() == COMPARISON
    return [anm.read_run(folder / f"{name}.ipynb") for name in NAMES]


def test_the_runs_have_equal_compute_at_each_point_to_within_a_step(records):
    none, arm = (record["results"]["budgets"] for record in records)
    step = max(record["compute"]["step_flops"] for record in records)
    assert [point["steps"] for point in none] == [3, 6, 12, 24]
    assert [point["share"] for point in arm] == [0.25, 0.5, 1] and arm[-1]["steps"] == records[1]["compute"]["steps"]
    for ours, theirs in zip(arm, none):
        assert abs(ours["flops"] - theirs["flops"]) < 2 * step  # a point is a share, rounded down, of a rounded length
    assert 0 <= none[2]["flops"] - arm[-1]["flops"] < records[1]["compute"]["step_flops"]
    assert none[2]["flops"] == 12 * records[0]["compute"]["step_flops"] == 12 * records[1]["compute"]["baseline_flops"]
    assert records[1]["compute"]["step_flops"] > records[1]["compute"]["baseline_flops"]


def test_each_point_has_the_errors_of_its_problems(records):
    for record in records:
        assert "ladder" not in record["results"] and record["params"]["test_set"] == 1
        *_, last = points = record["results"]["budgets"]
        assert last["same"]["mse"] == record["results"]["same"]["mse"]
        assert last["harder"]["mse"] == record["results"]["harder"]["mse"]
        for point in points:
            errors = decode(point["same"]["errors"], 2)
            assert errors.shape == (2, point["problems"]) == (2, 16)
            np.testing.assert_allclose(errors.mean(1), point["same"]["mse"], rtol=7e-4)


def test_finished_runs_are_not_run_again(project, records):
    code, output = run(project)
    assert code == 0 and output.count("finished already") == 2 and "papermill" not in output
