"""The examples of README.md and docs/extend.md work as they are written."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import torch
import yaml
from conftest import missing
from project_copy import copy_project, environment
from tiny import tiny

import anm
from anm.energies.mlp import IRED_LAYERS
from anm.registry import CHOICES
from anm.tasks import frozen_problems

ROOT = Path(__file__).resolve().parents[2]
README, EXTEND, CATALOGUE, TASKS = (
    ROOT / name for name in ("README.md", "docs/extend.md", "docs/catalogue.md", "docs/tasks.md")
)
TINY = {
    "n": 4,
    "noise_levels": 3,
    "train_steps": 4,
    "batch_size": 8,
    "seeds": "0,1",
    "test_problems": 8,
    "learning_rate": 0.001,
    "device": "cpu",
}


def section(path: Path, title: str) -> str:
    """The text under a heading of a Markdown file."""
    return re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", path.read_text(), re.MULTILINE | re.DOTALL)[1]


def code(text: str) -> str:
    """The only Python block of a text."""
    (block,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    return block


def own_python(project: Path) -> dict[str, str]:
    """The variables of commands in a copy of the project whose environment is this one."""
    python = project / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    (project / ".venv" / ".anm-ready").touch()
    return {name: value for name, value in environment().items() if not name.startswith(("MAKE", "MFLAGS"))}


def commands(text: str, start: str) -> list[list[str]]:
    """The commands of a text that start like this, in words."""
    return [shlex.split(line) for line in re.findall(r"^    (.*)$", text, re.MULTILINE) if line.startswith(start)]


def write_example(folder: Path, text: str) -> str:
    """Write a section's Python block into the file that the section names; gives the code."""
    (folder / re.search(r"into `(\w+\.py)`", text)[1]).write_text(code(text))
    return code(text)


def test_the_strategy_runs_through_the_real_notebook_and_is_compared_with_none(tmp_path):
    """With make, in a copy of the project whose quick study is tiny, and an environment that is this one."""
    if shutil.which("make") is None:
        missing("no make on this machine: apt install make")
    project, text = copy_project(tmp_path / "anm"), section(README, "Your own strategy")
    assert len(write_example(project, text).splitlines()) <= 10
    (project / "params" / "quick.yaml").write_text(yaml.safe_dump(TINY))
    variables = own_python(project)
    (command,) = commands(text, "make report")
    done = subprocess.run(command, cwd=project, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    page = project / re.search(r"`(reports/quick/summary\.html)`", text)[1]
    records = {path.name: anm.read_run(path) for path in page.parent.glob("*-mlp.ipynb")}
    assert {record["params"]["strategy"] for record in records.values()} == {"none", "my_negatives:blended"}
    assert "my_negatives:blended" in page.read_text()
    by_level = records["my_negatives.blended-mlp.ipynb"]["curves"]["by_level"]
    assert any(value is not None for value in by_level["accepted"][-1]) and any(by_level["distance"][-1])


def test_the_single_runs_name_the_example():
    """That papermill takes a module of one's own from any folder is tested with the notebook."""
    run = [".venv/bin/papermill", "notebooks/train.ipynb", "out.ipynb", "-p"]
    assert commands(section(README, "Your own strategy"), run[0]) == [[*run, "strategy", "my_negatives:blended"]]
    assert commands(section(EXTEND, "Your own energy"), run[0]) == [[*run, "energy", "my_energy:SmallEnergy"]]
    (command,) = commands(section(EXTEND, "Your own task"), run[0])
    assert command[:6] == [*run, "task", "my_task:LinearSystem"]
    (command,) = commands(section(EXTEND, "Your own energy for every task"), run[0])
    assert command[:6] == [*run, "energy", "my_general_energy:GeneralEnergy"]


def test_the_task_runs_through_the_real_notebook_and_its_strategies_are_compared(tmp_path):
    """With the study and make, in a copy of the project, from the parameter file of the text at a tiny scale."""
    if shutil.which("make") is None:
        missing("no make on this machine: apt install make")
    project, text = copy_project(tmp_path / "anm"), section(EXTEND, "Your own task")
    assert len(write_example(project, text).splitlines()) <= 40
    settings = yaml.safe_load(re.search(r"```yaml\n(.*?)```", text, re.DOTALL)[1])
    scale = {name: value for name, value in TINY.items() if name not in ("n", "learning_rate")}
    (project / "params" / "linear-system.yaml").write_text(yaml.safe_dump(settings | scale))
    variables = own_python(project)
    floors, run = commands(text, ".venv/bin/python")
    (report,) = commands(text, "make report")
    for command in ([*floors, "--problems", "50"], run, report):
        done = subprocess.run(command, cwd=project, env=variables, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        assert command[-1] != "50" or "| linear_system | 20 | Gauss | limit |" in done.stdout
    records = [anm.read_run(path) for path in (project / "reports" / "linear-system").glob("*-mlp.ipynb")]
    assert {record["params"]["strategy"] for record in records} == {"none", "adversarial"}
    for record in records:
        assert record["params"]["task"] == "my_task:LinearSystem" and record["params"]["n"] == 6
        assert "my_task:LinearSystem" in str(record["provenance"])
        assert all(value > 0 for value in record["results"]["harder"]["residual"])
    assert (project / "reports" / "linear-system" / "summary.html").is_file()


def test_the_task_is_what_its_text_says(tmp_path, monkeypatch):
    names: dict = {}
    exec(code(section(EXTEND, "Your own task")), names)  # the project's own example
    task = names["LinearSystem"]()
    frozen = frozen_problems(task, 6, 0.5, 20)
    assert task.violation(frozen.problem[None], frozen.answer[None]).max() < 1e-5
    solved = names["gauss"](None, None)(frozen.problem.double().numpy())
    torch.testing.assert_close(torch.tensor(solved), frozen.answer.double(), rtol=0, atol=1e-5)
    text = section(EXTEND, "Your own task")
    for name in re.findall(r"^\| `(\w+)", text, re.MULTILINE):
        assert hasattr(anm.Task, name), name


def test_negatives_are_shown_without_training(tmp_path, monkeypatch):
    write_example(tmp_path, section(README, "Your own strategy"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    matplotlib.use("Agg")
    exec(code(section(EXTEND, "Look at negatives without training")), names := {})  # the project's own example
    assert names["params"].strategy == "my_negatives:blended"
    titles = [ax.get_title() for ax in plt.gcf().axes]
    assert sum("negative, level" in title for title in titles) == 3
    plt.close("all")


def test_the_energy_for_every_task_trains_on_another_task(tmp_path, monkeypatch):
    text = section(EXTEND, "Your own energy for every task")
    write_example(tmp_path, text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    ((*_, _, energy, _, _, task, _, _, n),) = commands(text, ".venv/bin/papermill")
    params = tiny(tmp_path, strategy="adversarial", energy=energy, task=task, n=n, train_steps=30)
    solvers = (anm.untrained(params), anm.train(params, log=lambda line: None))
    before, after = (anm.evaluate(solver).results["same"]["mse"] for solver in solvers)
    assert task == "addition" and all(trained < untrained for untrained, trained in zip(before, after))


def test_the_runs_of_the_tasks_name_their_parameter_files():
    runs = commands(TASKS.read_text(), ".venv/bin/papermill")
    files = {command[command.index("-f") + 1] for command in runs}
    assert files == {f"params/tasks/{path.name}" for path in (ROOT / "params" / "tasks").glob("*.yaml")}
    strategies = {command[command.index("strategy") + 1] for command in runs}
    assert strategies <= set(CHOICES["strategy"])


def test_the_records_can_be_read(monkeypatch):
    monkeypatch.chdir(ROOT)
    names: dict = {"A": torch.eye(20).expand(2, 20, 20)}
    exec(code(section(README, "Read results")), names)  # the project's own example
    assert len(names["scores"]) > 0 and not names["rejected"]
    assert names["X"].shape == (8, 2, 20, 20)
    torch.testing.assert_close(names["X"], names["A"].expand_as(names["X"]), rtol=0, atol=1e-3)


def test_the_energy_trains(tmp_path, monkeypatch):
    text = section(EXTEND, "Your own energy")
    write_example(tmp_path, text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    ((*_, option, energy),) = commands(text, ".venv/bin/papermill")
    params = tiny(tmp_path, strategy="adversarial", **{option: energy}, train_steps=30)
    solvers = (anm.untrained(params), anm.train(params, log=lambda line: None))
    before, after = (anm.evaluate(solver).results["same"]["mse"] for solver in solvers)
    assert energy == "my_energy:SmallEnergy" and len(after) == 2
    assert all(trained < untrained for untrained, trained in zip(before, after))


def test_the_energy_agrees_with_finite_differences(tmp_path, monkeypatch):
    write_example(tmp_path, section(EXTEND, "Your own energy"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    model = anm.untrained(tiny(tmp_path, energy="my_energy:SmallEnergy")).model.double()
    A, x_t, step = *torch.randn(2, 2, 3, 4, 4, dtype=torch.float64), 1e-5
    t = torch.tensor([[0, 1, 2], [3, 0, 1]])
    _, eps_hat = model.energy_and_grad(A, x_t, t)
    there, back = (model.energy(A, x_t + sign * step * eps_hat, t) for sign in (1, -1))
    slope = ((there - back) / (2 * step)).detach()
    torch.testing.assert_close(slope, eps_hat.square().sum((-2, -1)).detach(), rtol=1e-5, atol=1e-8)


def test_released_weights_are_loaded_and_scored(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    n, hidden, embedding = 4, 512, 128
    shapes = {"fc1": (hidden, 2 * n * n), "fc4": (n * n, hidden)} | dict.fromkeys(("fc2", "fc3"), (hidden, hidden))
    shapes |= dict.fromkeys(("time_mlp.1", "time_mlp.3"), (embedding, embedding))
    shapes |= dict.fromkeys(("t_map_fc2", "t_map_fc3"), (2 * hidden, embedding))
    assert set(shapes) == {"fc1", *IRED_LAYERS}
    weights = {f"model.ebm.{name}.weight": torch.randn(shape) / shape[1] ** 0.5 for name, shape in shapes.items()}
    weights |= {f"model.ebm.{name}.bias": torch.zeros(shape[0]) for name, shape in shapes.items()}
    torch.save({"model": weights}, "model-1.pt")
    names: dict = {"A": torch.eye(n).expand(3, n, n)}
    exec(code(section(EXTEND, "Weights trained elsewhere")), names)  # the project's own example
    assert names["X"].shape == (1, 3, n, n)


def test_every_documented_name_of_the_context_exists():
    named = re.findall(r"context\.(\w+)", section(EXTEND, "Your own strategy"))
    known = {*anm.MiningContext.__dataclass_fields__, *vars(anm.MiningContext)}
    assert set(named) <= known and {"x0", "descend", "state"} <= set(named)


def test_the_table_of_strategies_is_the_registry():
    rows = [line.split("|")[1] for line in section(CATALOGUE, "The strategies").splitlines() if line.startswith("| `")]
    settings = {"contrast_scale", "contrast_noise"}  # which have rows too
    assert set(re.findall(r"`(\w+)`", "".join(rows))) == set(CHOICES["strategy"]) | settings
