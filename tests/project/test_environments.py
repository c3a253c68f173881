"""Where people try the project: CI, the devcontainer and Binder use its own commands and pins."""

import json
import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OLDEST = PROJECT["requires-python"].removeprefix(">=")


def test_the_workflow_calls_ci_run_and_nothing_of_its_own():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    (job,) = workflow["jobs"].values()
    commands = [step["run"] for step in job["steps"] if "run" in step]
    assert commands[-1] == ".ci/run" and "pytest" not in str(workflow)
    assert job["container"]["image"].startswith("debian:")  # root, as .ci/run and the Slurm of the tests need


def test_the_devcontainer_sets_up_with_make():
    text = (ROOT / ".devcontainer" / "devcontainer.json").read_text()
    container = json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE))
    assert container["postCreateCommand"] == "make setup" and f"-{OLDEST}-" in container["image"]
    assert "cpu" in container["containerEnv"]["PIP_EXTRA_INDEX_URL"]


def test_binder_installs_the_pinned_study():
    lines = [line for line in (ROOT / "binder" / "requirements.txt").read_text().splitlines() if line[0] != "#"]
    assert {"-c ../constraints.txt", "-e .[study]"} < set(lines) and len(lines) == 3
    assert (ROOT / "binder" / "runtime.txt").read_text() == f"python-{OLDEST}\n"


def test_the_extras_are_those_that_the_documents_name():
    extras = set(PROJECT["optional-dependencies"])
    assert extras == {"study", "mlflow", "ro-crate", "test"}
    for name in ("README.md", "docs/install.md", "CONTRIBUTING.md"):
        assert set(re.findall(r"anm\[([\w-]+)\]", (ROOT / name).read_text())) <= extras
