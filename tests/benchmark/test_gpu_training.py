"""The stages that train: their plan, what they keep, and the ratio of errors."""

import json
from dataclasses import replace
from math import log

import pytest
from records import make_record
from tiny import tiny

from anm.benchmark import gpu_training
from anm.benchmark.gpu_scale import ON_CPU
from anm.benchmark.gpu_training import comparison_regimes, expected_seconds, full_study, log_ratio, trained
from anm.benchmark.meta_step import count_step
from anm.benchmark.staged_run import SkippedStage, StagedRun
from anm.params import RunParams


@pytest.fixture
def run(tmp_path):
    return StagedRun(tmp_path / "out", 60, {}, log=lambda line: None)


def measured(run, *rates) -> None:
    run.stages["steps"] = {"rows": [{"gflops": rate} for rate in rates] + [{"skipped": "no GPU"}]}


def test_the_time_of_a_run_follows_from_the_fastest_measured_step(run, tmp_path):
    params = tiny(tmp_path, train_steps=1000)
    assert expected_seconds(run, params) == 0  # nothing is known yet
    flops = count_step(params)["flops"]
    measured(run, flops / 1e9 / 2, flops / 1e9)  # a step in two seconds, and in one
    assert expected_seconds(run, params) == pytest.approx(1000)


def test_no_step_is_expected_to_be_faster_than_its_launches(run, tmp_path):
    eager, compiled = (tiny(tmp_path, train_steps=1000, compile=choice) for choice in ("no", "yes"))
    measured(run, 1e9)
    launches = 1000 * count_step(eager)["launches"]
    assert expected_seconds(run, eager) == pytest.approx(6e-6 * launches)
    assert expected_seconds(run, compiled) == pytest.approx(2e-6 * launches)


def test_a_run_that_would_not_end_in_time_does_not_begin(run, tmp_path, monkeypatch):
    monkeypatch.setattr(gpu_training, "train", lambda *arguments, **options: pytest.fail("begun"))
    measured(run, 1e-6)
    row = trained(run, "a", tiny(tmp_path, train_steps=1000))
    assert "are left; give more --minutes" in row["skipped"] and not list((run.folder / "records").iterdir())


def test_a_run_that_this_machine_cannot_do_is_skipped_with_the_reason(run, tmp_path):
    assert "needs a CUDA GPU" in trained(run, "a", tiny(tmp_path, precision="tf32"))["skipped"]


def test_a_run_on_record_is_not_trained_again(run, tmp_path, monkeypatch):
    monkeypatch.setattr(gpu_training, "train", lambda *arguments, **options: pytest.fail("begun"))
    record = make_record("none", n=4)
    record["results"]["same"]["mse"][1] = None
    record["params"] = RunParams(n=4, strategy="none", seeds="0-2").resolved()
    run.store_record("a", record)
    row = trained(run, "a", RunParams(**record["params"]))
    assert row["kept"] and row["mse_same"] is None and row["mse_harder"] > 0
    assert row["seconds"] == record["provenance"]["seconds"]


def test_the_log_ratio_by_hand():
    found = log_ratio([0.2, 0.8], [0.1, 0.1])
    assert found["log_ratio"] == pytest.approx((log(2) + log(8)) / 2) and found["ratios"] == pytest.approx([2, 8])
    assert found["standard_error"] == pytest.approx(log(8 / 2) / 2)  # half the difference of two
    assert log_ratio([0.2, None], [0.1, 0.1]) == {"skipped": "an error was not finite"}


def test_a_comparison_that_is_not_declared_is_skipped(run):
    with pytest.raises(SkippedStage, match="params/such.yaml: there is no such file"):
        next(comparison_regimes(run, replace(ON_CPU, comparison_file="params/such.yaml")))


def test_every_regime_and_arm_is_trained_with_other_seeds_and_nothing_else_changed(run, tmp_path, monkeypatch):
    declared = {
        "settings": {"seeds": "0-5", "test_problems": 50},
        "regimes": {"small": {"n": 3, "budget_steps": 40}, "other": {"n": 4, "budget_steps": 20}},
        "arms": {"none": {}, "scaled": {"strategy": "adversarial", "mining_noise_scale": 1}},
    }
    (tmp_path / "c.yaml").write_text(json.dumps(declared))
    asked = []
    monkeypatch.setattr(gpu_training, "trained", lambda run, name, params: asked.append((name, params)) or {})
    scale = replace(
        ON_CPU, comparison_file=str(tmp_path / "c.yaml"), comparison={"seeds": "0-63"}, comparison_runs=None
    )
    list(comparison_regimes(run, scale))
    assert [name for name, _ in asked] == ["small--none", "small--scaled", "other--none", "other--scaled"]
    params = asked[1][1]
    assert (params.seeds, params.n, params.strategy, params.mining_noise_scale) == ("0-63", 3, "adversarial", 1)
    assert (params.budget_steps, params.test_problems, params.device) == (40, 50, "cpu")


def test_the_full_study_is_that_of_its_parameter_files(run, monkeypatch):
    asked = []
    monkeypatch.setattr(gpu_training, "trained", lambda run, name, params: asked.append((name, params)) or {})
    list(full_study(run, replace(ON_CPU, full={"precision": "tf32"}, strategies=("none", "adversarial"))))
    assert [name for name, _ in asked] == ["full--none", "full--adversarial"]
    params = asked[1][1]
    assert (params.n, params.train_steps, params.batch_size, params.seeds) == (20, 100_000, 2048, "0-9")
    assert (params.precision, params.strategy, params.device) == ("tf32", "adversarial", "cpu")
