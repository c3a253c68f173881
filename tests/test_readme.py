"""What the README tells people to do works as it stands there."""

import re
import subprocess
import sys
from pathlib import Path

import anm

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
TINY = {
    "n": 4,
    "noise_levels": 3,
    "train_steps": 4,
    "batch_size": 8,
    "seeds": "0,1",
    "test_problems": 8,
    "device": "cpu",
}


def section(title: str) -> str:
    """The text under a heading of the README."""
    return re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", README, flags=re.MULTILINE | re.DOTALL)[1]


def test_a_strategy_in_ten_lines_runs_through_the_real_notebook(tmp_path):
    text = section("Add a strategy in ten lines")
    code, module = re.search(r"```python\n(.*?)```", text, flags=re.DOTALL)[1], re.search(r"`(\w+\.py)`", text)[1]
    command = re.search(
        r"^    papermill (notebooks/train\.ipynb) (out\.ipynb) -p strategy (\S+)$", text, flags=re.MULTILINE
    )
    assert len(code.splitlines()) <= 10
    (tmp_path / module).write_text(code)
    line = [
        sys.executable,
        "-m",
        "papermill",
        str(ROOT / command[1]),
        command[2],
        "--no-progress-bar",
        "-p",
        "strategy",
        command[3],
    ]
    line += [part for name, value in TINY.items() for part in ("-p", name, str(value))]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr[-2000:]
    record = anm.read_run(tmp_path / command[2])
    by_level = record["curves"]["by_level"]
    assert record["params"]["strategy"] == command[3] == "my_negatives:blended"
    assert any(value is not None for value in by_level["accepted"][-1]) and any(
        value for value in by_level["distance"][-1]
    )


def test_the_table_of_strategies_is_the_registry():
    named = set(
        re.findall(
            r"`(\w+)`",
            "".join(row.split("|")[1] for row in section("The strategies").splitlines() if row.startswith("| `")),
        )
    )
    assert named == set(anm.params.CHOICES["strategy"])
