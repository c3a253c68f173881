"""`python -m anm.benchmark.gpu`: every stage at a tiny scale on a CPU."""

import json
from dataclasses import replace

import pytest
import torch

from anm.benchmark import gpu
from anm.benchmark.gpu_scale import ON_CPU, ON_GPU
from anm.records.read import read_run
from anm.records.to_notebook import convert

# A file of tests that takes a second
SCALE = replace(ON_CPU, rounds=1, stacks=("0-1",), test_files=("tests/training/test_ema.py",), comparison_runs=1)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """The folder of one call with every stage, its exit code and what it printed."""
    folder, printed = tmp_path_factory.mktemp("gpu"), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gpu.torch.cuda, "is_available", lambda: False)
        patch.setattr("builtins.print", lambda *words, **options: printed.append(" ".join(map(str, words))))
        scale = replace(SCALE, checkpoint_dir=str(folder / "checkpoints"))
        code = gpu.main(["--out", str(folder / "out"), "--minutes", "60", "--strategies", "none"], scale)
    return folder / "out", code, "\n".join(printed)


def test_every_stage_has_results_and_the_missing_gpu_is_named(found):
    folder, code, printed = found
    stages = json.loads((folder / "gpu.json").read_text())["stages"]
    assert list(stages) == list(gpu.STAGES) and all(entry["rows"] for entry in stages.values())
    assert code == 0 and not [name for name, entry in stages.items() if {"failed", "stopped", "skipped"} & entry.keys()]
    assert "has no CUDA GPU" in printed
    reasons = [row["skipped"] for entry in stages.values() for row in entry["rows"] if "skipped" in row]
    assert reasons and all("CUDA GPU" in reason for reason in reasons)


def test_the_table_has_every_stage_and_no_target_that_only_a_gpu_can_reach(found):
    folder, _, printed = found
    page = (folder / "gpu.md").read_text()
    assert page in printed and [line[3:] for line in page.splitlines() if line.startswith("## ")] == list(gpu.STAGES)
    assert "reached" not in page


def test_records_become_runs_that_can_be_read(found, tmp_path):
    folder, _, _ = found
    records = sorted((folder / "records").iterdir())
    assert [path.stem for path in records] == [
        "full--none",
        "inverse-4--none",
        "pilot--adversarial--float32",
        "pilot--none--float32",
    ]
    for path in records:
        convert(path, tmp_path / f"{path.stem}.ipynb")
        record = read_run(tmp_path / f"{path.stem}.ipynb")
        assert record["params"]["device"] == "cpu" and record["results"]["same"]["mse"]


def test_nothing_but_results_is_written_and_no_checkpoint(found):
    folder, _, _ = found
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".json", ".md"} and sum(path.stat().st_size for path in files) < 10**6


def test_a_second_call_trains_only_what_is_missing(found, capsys):
    folder, _, _ = found
    scale = replace(SCALE, checkpoint_dir=str(folder.parent / "checkpoints"))
    gpu.main(["--out", str(folder), "--minutes", "60", "--stages", "full", "--strategies", "none", "random"], scale)
    rows = json.loads((folder / "gpu.json").read_text())["stages"]["full"]["rows"]
    assert [row.get("kept", False) for row in rows] == [True, False] and rows[0]["mse_same"] > 0


def test_a_shorter_full_study(tmp_path, capsys):
    asked = ["--out", str(tmp_path), "--stages", "full", "--strategies", "none", "-p", "train_steps", "8"]
    assert gpu.main(asked, replace(SCALE, checkpoint_dir=str(tmp_path / "checkpoints"))) == 0
    (row,) = json.loads((tmp_path / "gpu.json").read_text())["stages"]["full"]["rows"]
    assert row["steps"] == 8 and row["mse_same"] > 0


def test_a_failed_stage_is_told_by_the_exit_code_and_the_others_are_done(tmp_path, monkeypatch, capsys):
    def failing(run, scale):
        raise RuntimeError("out of memory")
        yield

    stages = {"bad": (failing, 1.0), "good": (lambda run, scale: iter([{"value": 1}]), 1.0)}
    monkeypatch.setattr(gpu, "STAGES", stages)
    assert gpu.main(["--out", str(tmp_path)], SCALE) == 1
    page = (tmp_path / "gpu.md").read_text()
    assert "Failed: RuntimeError: out of memory" in page and "| 1 |" in page


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--stages", "step"], "--stages step: there is no such stage. Did you mean 'steps'?"),
        (["--minutes", "0"], "--minutes 0: must be above 0"),
        (["-p", "seds", "0-1"], "seds = '0-1': there is no such parameter. Did you mean 'seeds'?"),
        (["--out", "/proc/none"], "must be a folder that can be written to"),
    ],
)
def test_a_bad_argument_is_refused_before_anything_is_done(arguments, reason, tmp_path, capsys):
    assert gpu.main(["--out", str(tmp_path / "out"), *arguments], SCALE) == 2
    assert reason in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_a_gpu_does_the_whole_of_it(monkeypatch, tmp_path, capsys):
    scales = []
    monkeypatch.setattr(gpu, "STAGES", {"look": (lambda run, scale: scales.append(scale) or iter(()), 1.0)})
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(gpu, "machine", lambda device: {"gpu": f"a {device}"})
    assert gpu.main(["--out", str(tmp_path)]) == 0
    assert scales == [ON_GPU] and set(ON_GPU.precisions) == {"float32", "tf32", "bfloat16"}
    assert "share of the product floor" in (tmp_path / "gpu.md").read_text()
    assert "no CUDA GPU" not in capsys.readouterr().out
