"""The stages that measure."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from anm.benchmark import gpu_stages
from anm.benchmark.gpu_scale import ON_CPU, ON_GPU
from anm.benchmark.gpu_stages import combinations, cuda_tests, first_step, replayed, serial_parts, steps
from anm.benchmark.staged_run import SkippedStage, StagedRun
from anm.registry import CHOICES

TINY = replace(ON_CPU, rounds=1)


@pytest.fixture
def run(tmp_path):
    return StagedRun(tmp_path / "out", 60, {}, log=lambda line: None)


def test_the_study_as_it_trains_is_measured_first_and_what_takes_longest_last():
    order = combinations(ON_GPU)
    assert order[:3] == [(name, "graph", "tf32", "0-9") for name in ("none", "random", "adversarial")]
    assert {strategy for strategy, *_ in order} == set(CHOICES["strategy"]) and len(set(order)) == len(order)
    assert [mode for _, mode, _, _ in order].index("autotuned") == len(order) - 3 * 3 * 2
    assert {each[1:] for each in order if each[0] == "pgd"} == {("graph", "tf32", "0-9")}


def test_the_files_with_tests_that_need_cuda_are_found():
    tests = Path(__file__).parents[1]
    found = {path.name for path in tests.rglob("test_*.py") if gpu_stages.NEEDS_CUDA.search(path.read_text())}
    assert {"test_cuda_graph.py", "test_float64.py"} <= found and "test_params.py" not in found


def test_failed_tests_are_counted_and_named(run, tmp_path):
    file = tmp_path / "test_three.py"
    file.write_text(
        "import pytest\ndef test_good(): pass\ndef test_bad(): assert 0\n"
        "@pytest.mark.skip(reason='FAILED before')\ndef test_left_out(): pass\n"
    )
    rows = cuda_tests(run, replace(TINY, test_files=(str(file),)))
    row = next(rows)
    assert [row[f"tests_{name}"] for name in ("passed", "failed", "skipped")] == [1, 1, 1] and row["complete"]
    with pytest.raises(RuntimeError, match="test_bad: run pytest"):
        next(rows)


def test_tests_that_take_too_long_are_counted_so_far(run, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "left", lambda: 0.0)
    file = tmp_path / "test_long.py"
    file.write_text("import time\ndef test_long(): time.sleep(600)\n")
    rows = cuda_tests(run, replace(TINY, test_files=(str(file),)))
    assert next(rows)["complete"] is False


def test_without_the_clone_or_pytest_the_tests_are_skipped(run, monkeypatch, tmp_path):
    monkeypatch.setattr(gpu_stages.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SkippedStage, match="pytest is not installed"):
        next(cuda_tests(run, TINY))
    monkeypatch.setattr(gpu_stages, "PROJECT", tmp_path)
    with pytest.raises(SkippedStage, match="in the clone"):
        next(cuda_tests(run, TINY))


def test_a_first_step_that_fails_gives_its_reason(run):
    with pytest.raises(RuntimeError, match="n = 1000: "):
        next(first_step(run, replace(TINY, step={"n": 1000})))


def test_a_first_step_that_takes_too_long_says_so(run, monkeypatch):
    def too_long(command, timeout, **how):
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(gpu_stages.subprocess, "run", too_long)
    monkeypatch.setattr(run, "left", lambda: 7.0)
    with pytest.raises(TimeoutError, match="^no step in 7 s; give it more with --minutes$"):
        next(first_step(run, TINY))


def test_serial_parts_are_timed_and_one_that_fails_leaves_the_others(run, monkeypatch):
    def broken(*arguments, **options):
        raise RuntimeError("no such kernel\nsecond line")

    monkeypatch.setattr(torch.linalg, "inv_ex", broken)
    rows = {row["part"]: row for row in serial_parts(run, TINY)}
    assert rows.pop("inverse by torch.linalg.inv_ex")["skipped"] == "no such kernel second line"
    assert len(rows) == 5 and all(row["ms"] > 0 for row in rows.values())


def test_an_action_on_a_cpu_is_itself():
    action = lambda: None
    assert replayed(action, torch.device("cpu"), None) is action


def test_steps_are_measured_with_their_launches_and_a_reason_is_given_once(run, monkeypatch):
    few = {name: CHOICES["strategy"][name] for name in ("none", "random", "adversarial")}
    monkeypatch.setitem(CHOICES, "strategy", few)
    rows = list(steps(run, replace(TINY, strategies=("none", "random"), stacks=("0-1",))))
    assert [row["mode"] for row in rows if "skipped" in row] == ["graph", "graph"]
    measured = [row for row in rows if "skipped" not in row]
    assert [(row["strategy"], row["seeds"]) for row in measured] == [(name, 2) for name in few]
    for row in measured:
        assert row["mode"] == "eager" and not row["replayed"] and row["launches"] > 100 and row["step_ms"] > 0


def test_a_step_that_fails_leaves_the_others(run, monkeypatch):
    measure = gpu_stages.measure_step

    def measure_step(params, *arguments, **options):
        if params.strategy == "none":
            raise RuntimeError("CUDA out of memory")
        return measure(params, *arguments, **options)

    monkeypatch.setattr(gpu_stages, "measure_step", measure_step)
    monkeypatch.setattr(gpu_stages, "combinations", lambda scale: [(s, *scale.usual, "0") for s in ("none", "random")])
    failed, measured = steps(run, TINY)
    assert failed == {"mode": "eager", "precision": "float32", "strategy": "none", "skipped": "CUDA out of memory"}
    assert measured["strategy"] == "random" and measured["step_ms"] > 0
