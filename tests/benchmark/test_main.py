"""`python -m anm.benchmark`."""

import json
import subprocess
import sys
from pathlib import Path

from anm.benchmark.__main__ import main

PROJECT = Path(__file__).parents[2]
ARGUMENTS = ["--n", "4", "--batch", "8", "--rounds", "1", "--strategies", "none", "--device", "cpu", "--compile", "no"]


def test_the_command_writes_table_json_and_figure(tmp_path):
    command = [sys.executable, "-m", "anm.benchmark", *ARGUMENTS, "--no-growth", "--output", str(tmp_path / "out")]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "| mlp | none | 1 | 8 | 4 |" in done.stdout
    found = json.loads((tmp_path / "out" / "benchmark.json").read_text())
    assert found["steps"][0]["step_ms"] > 0 and found["machine"]["threads"] >= 1 and found["growth"] == []
    assert (tmp_path / "out" / "roofline.png").stat().st_size > 1000


def test_scaling_is_measured_unless_it_is_skipped(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("anm.benchmark.measure.SCALING", {"seeds": ["0-1"], "n": [5]})
    assert main([*ARGUMENTS, "--output", str(tmp_path)]) == 0
    growth = json.loads((tmp_path / "benchmark.json").read_text())["growth"]
    assert [(entry["grows"], entry["seeds"], entry["n"]) for entry in growth] == [("seeds", 2, 4), ("n", 1, 5)]
    assert "n = 5:" in capsys.readouterr().out


def test_a_bad_argument_is_refused_before_anything_is_measured(tmp_path, capsys):
    assert main(["--strategies", "adversrial", "--output", str(tmp_path / "out")]) == 2
    assert "Did you mean 'adversarial'?" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
