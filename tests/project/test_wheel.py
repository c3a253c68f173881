"""The wheel: what is in it, the core without notebook packages, and a study in an empty folder."""

import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from conftest import missing
from packaging.version import Version
from project_copy import TINY, environment

import anm
from anm.utils.git import git_state

ROOT = Path(__file__).resolve().parents[2]
LISTED = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]

# Nothing of the core imports these
BLOCKED = (
    "pandas scipy sklearn statsmodels matplotlib seaborn papermill nbformat nbclient nbconvert jupytext IPython "
    "latex2mathml yaml psutil"
).split()
CORE = f"""
import sys

sys.modules.update(dict.fromkeys({BLOCKED!r}))

import torch
import anm
from anm.energies import StackedLinear

where = anm.__file__


class Doubling(anm.Task):
    "The answer is twice the problem."
    name, splits = "doubling", {{"same": 1.0, "harder": 2.0}}

    def shapes(self, n):
        return (n,), (n,)

    def draw(self, draws, batch, n, difficulty):
        problem = difficulty * draws.uniform(batch, n)
        return problem, 2 * problem


class Quadratic(anm.AutogradEnergy):
    "A quadratic energy around a linear map of the problem."

    def __init__(self, n, noise_levels, stack, shapes=None):
        super().__init__(n, noise_levels, stack, shapes)
        self.map = StackedLinear(stack, n, n)

    def energy(self, problem, x_t, t):
        return (x_t - self.map(problem)).square().sum(-1)


def shuffled(context):
    return context.x0.roll(1, dims=1)


sys.modules["mine"] = sys.modules["__main__"]
own = {{"task": "mine:Doubling", "energy": "mine:Quadratic", "strategy": "mine:shuffled", "n": 3}}
for settings in ({{"n": 4, "width": 16, "strategy": "adversarial"}}, own):
    params = anm.RunParams(
        train_steps=2, batch_size=4, noise_levels=3, seeds="0,1", test_problems=4, device="cpu", **settings
    )
    solver = anm.train(params, log=lambda line: None)
    problem = torch.zeros(5, *params.task_object().shapes(params.n)[0])
    assert solver.solve(problem).shape[:2] == (2, 5)
    scores = anm.evaluate(solver).results
    assert len(scores["same"]["mse"]) == 2
solver = anm.load("none-residual", device="cpu")
A = torch.eye(20).expand(2, 20, 20)
assert (solver.solve(A) - A).abs().max() < 1e-3
try:
    anm.collect_runs(".")
except ImportError as error:
    assert "pip install 'anm[study]'" in str(error)
else:
    raise AssertionError("pandas was there")
print(where)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The path of a wheel, built from a copy of the project's files without a network."""
    if Version(metadata.version("setuptools")) < Version("77"):
        missing("no setuptools of version 77 or newer: pip install setuptools")
    folder = tmp_path_factory.mktemp("wheel")
    listed = subprocess.run(LISTED, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / "clone" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / "clone" / name)
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost", "-C", str(folder / "clone")]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "a copy"]):
        subprocess.run(git + command, check=True, capture_output=True)
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run([*build, "-w", folder, folder / "clone"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A folder that holds what an installation of the wheel puts into site-packages."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def python(folder: Path, site: Path | None, *arguments: str) -> subprocess.CompletedProcess:
    """Python in `folder` with the anm of `site`, or of the clone."""
    variables = environment() | ({"PYTHONPATH": str(site)} if site else {})
    return subprocess.run([sys.executable, *arguments], cwd=folder, env=variables, capture_output=True, text=True)


def test_the_wheel_has_what_a_study_needs_and_no_results(wheel):
    assert wheel.stat().st_size < 3_000_000
    with zipfile.ZipFile(wheel) as archive:
        names = {name.removeprefix("anm/data/") for name in archive.namelist()}
        notebooks = [archive.read(name).decode() for name in archive.namelist() if name.endswith(".ipynb")]
    assert {"anm/__init__.py", "notebooks/train.ipynb", "notebooks/analysis.ipynb", "slurm/papermill.sbatch"} <= names
    assert {f"params/{path.relative_to(ROOT / 'params')}" for path in (ROOT / "params").rglob("*.*")} <= names
    assert {"energies/none-residual.pt", "energies/MODEL_CARD.md", "constraints.txt"} <= names
    unwanted = ("test", "reports/", "build/", "docs/", "summary")
    assert [name for name in names if name.startswith(unwanted) or "/test" in name] == []
    assert len(notebooks) == len(list((ROOT / "notebooks").glob("*.ipynb"))) and all(
        '"output_type"' not in text for text in notebooks
    )
    packages = [path for path in (ROOT / "anm").rglob("*") if path.suffix in (".py", ".j2", ".css", ".csv", ".npz")]
    assert {str(path.relative_to(ROOT)) for path in packages} <= names


@pytest.mark.parametrize("where", ["clone", "wheel"])
def test_the_core_needs_no_notebook_packages(where, installed, tmp_path):
    (tmp_path / "core.py").write_text(CORE)
    site = installed if where == "wheel" else ROOT
    done = python(tmp_path, site, "core.py")
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.strip() == str(site / "anm" / "__init__.py")


def test_a_command_without_its_packages_names_the_extra(tmp_path):
    block = "import sys; sys.modules['yaml'] = None; from anm.study.__main__ import main; sys.exit(main())"
    done = python(tmp_path, ROOT, "-c", block)
    assert done.returncode == 2 and "yaml: not installed; install it: pip install 'anm[study]'" in done.stderr


def test_a_study_from_the_wheel_writes_to_the_current_folder_alone(installed, tmp_path):
    before = sorted(installed.rglob("*"))
    (tmp_path / "params").mkdir()
    (tmp_path / "params" / "mine.yaml").write_text(TINY.replace("train_steps: 40", "train_steps: 4"))
    (tmp_path / "own.py").write_text("def shuffled(context):\n    return context.x0.roll(1, dims=1)\n")
    options = ["--study", "mine", "--strategy", "none", "own:shuffled"]
    for command in ("run", "report"):
        done = python(tmp_path, installed, "-B", "-m", "anm.study", command, *options)
        assert done.returncode == 0, done.stderr[-4000:]
    study = tmp_path / "reports" / "mine"
    assert (study / "summary.html").is_file()
    written = {path.name for path in tmp_path.iterdir()} - {"__pycache__", "params", "own.py"}
    assert written == {"reports", "checkpoints"}
    records = [anm.read_run(study / f"{name}-mlp.ipynb") for name in ("none", "own.shuffled")]
    assert {record["params"]["train_steps"] for record in records} == {4}
    new = [path for path in sorted(installed.rglob("*")) if path not in before]
    assert [path for path in new if "__pycache__" not in path.parts] == []


def test_the_files_of_the_wheel_are_copied_and_none_is_replaced(installed, tmp_path):
    (tmp_path / "params").mkdir()
    (tmp_path / "params" / "quick.yaml").write_text("n: 3  # mine\n")
    done = python(tmp_path, installed, "-m", "anm.study", "files")
    assert done.returncode == 0, done.stderr
    assert "kept: params/quick.yaml" in done.stdout
    assert (tmp_path / "params" / "quick.yaml").read_text() == "n: 3  # mine\n"
    for name in ("notebooks/train.ipynb", "params/sweeps/mining.yaml", "slurm/papermill.sbatch", "slurm/logs/.gitkeep"):
        assert (tmp_path / name).read_bytes() == (ROOT / name).read_bytes()
    assert python(ROOT, ROOT, "-m", "anm.study", "files").returncode == 2  # a clone has them


def test_the_wheel_knows_its_commit(wheel, installed):
    head = ["git", "-C", str(wheel.parent / "clone"), "rev-parse", "HEAD"]
    commit = subprocess.run(head, capture_output=True, text=True, check=True).stdout.strip()
    assert git_state(installed / "anm") == (commit, False)
